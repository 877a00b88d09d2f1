#include "orchestrator/io/notifier.h"

#include "common/core/errc.h"
#include "common/io/log.h"

namespace slipway::orchestrator {

std::vector<OutboxMessage> messages_of(const std::vector<Receiver>& receivers,
                                       const std::string& id, const std::string& kind,
                                       std::int64_t at_unix_ms, const std::string& body) {
    std::vector<OutboxMessage> messages;
    for (const auto& receiver : receivers) {
        if (receiver.kinds.empty() || receiver.kinds.contains(kind)) {
            messages.push_back({0, receiver.name, id, body, at_unix_ms});
        }
    }
    return messages;
}

Result<std::unique_ptr<Notifier>> Notifier::start(Store& store, std::vector<Receiver> receivers,
                                                  Options options) {
    std::vector<Webhook> hooks;
    for (const auto& receiver : receivers) {
        auto hook = Webhook::make(receiver.target);
        if (!hook) {
            return tl::unexpected(within("receiver '" + receiver.name + "'", hook.error()));
        }
        hooks.push_back(std::move(*hook));
    }
    std::unique_ptr<Notifier> notifier(new Notifier(store, std::move(options)));
    for (std::size_t index = 0; index < receivers.size(); ++index) {
        notifier->threads_.emplace_back(
            [self = notifier.get(), name = receivers[index].name, hook = std::move(hooks[index])](
                const std::stop_token& stop) mutable { self->serve(name, std::move(hook), stop); });
    }
    return notifier;
}

Notifier::~Notifier() {
    for (auto& thread : threads_) {
        thread.request_stop();
    }
    threads_.clear();
}

void Notifier::wake() {
    {
        const std::lock_guard lock(mutex_);
        ++wakes_;
    }
    woken_.notify_all();
}

void Notifier::wait(std::chrono::milliseconds delay, std::uint64_t seen, bool wakes,
                    const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    woken_.wait_for(lock, stop, delay, [&] { return wakes && wakes_ != seen; });
}

bool Notifier::deliver(const std::string& name, Webhook& hook, const OutboxMessage& message,
                       const std::stop_token& stop) {
    const auto now = options_.now_unix_ms();
    auto reply = hook.send(message.id, now / 1'000, message.body, stop);
    if (reply && reply->status >= 200 && reply->status <= 299) {
        return true;
    }
    if (stop.stop_requested()) {
        return false;
    }
    const auto why = reply ? "status " + std::to_string(reply->status) : describe(reply.error());
    const auto age = std::chrono::milliseconds{now - message.at_unix_ms};
    const bool given_up = age > options_.give_up_after;
    log_event(LogLevel::warning, given_up ? "notification.dropped" : "notification.failed",
              {{"receiver", name}, {"id", message.id}, {"why", why}});
    return given_up;
}

void Notifier::serve(const std::string& name, Webhook hook, const std::stop_token& stop) {
    constexpr std::size_t batch = 100;
    auto retry = options_.retry_min;
    while (!stop.stop_requested()) {
        std::uint64_t seen = 0;
        {
            const std::lock_guard lock(mutex_);
            seen = wakes_;
        }
        auto waiting = store_.outbox(name, 0, batch);
        if (!waiting) {
            log_event(LogLevel::warning, "notification.unread",
                      {{"receiver", name}, {"why", describe(waiting.error())}});
            wait(options_.retry_min, seen, false, stop);
            continue;
        }
        if (waiting->empty()) {
            wait(options_.look_again, seen, true, stop);
            continue;
        }
        for (const auto& message : *waiting) {
            if (!deliver(name, hook, message, stop)) {
                wait(retry, seen, false, stop);
                retry = std::min(retry * 2, options_.retry_max);
                break;
            }
            retry = options_.retry_min;
            if (auto done = store_.sent(name, message.sequence); !done) {
                log_event(LogLevel::warning, "notification.repeats",
                          {{"receiver", name}, {"why", describe(done.error())}});
                wait(options_.retry_min, seen, false, stop);
                break;
            }
        }
    }
}

} // namespace slipway::orchestrator
