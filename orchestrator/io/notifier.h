#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "orchestrator/io/store.h"
#include "orchestrator/io/webhook.h"

namespace slipway::orchestrator {

/// Who is told of events. `name` is what the queue is kept under: renaming a receiver drops what
/// waits for it.
struct Receiver {
    std::string name;
    WebhookTarget target;
    std::set<std::string> kinds{}; ///< Which events; empty: all.
};

/// The messages that tell `receivers` of one event, to be committed with what caused it:
/// `Changes::messages`. `id` is the event's; a receiver sees it again when it is told twice. Pure.
[[nodiscard]] std::vector<OutboxMessage> messages_of(const std::vector<Receiver>& receivers,
                                                     const std::string& id, const std::string& kind,
                                                     std::int64_t at_unix_ms,
                                                     const std::string& body);

/// Sends what waits in the store's outbox, at least once and in order for each receiver. Each
/// receiver has a thread of its own: a slow or dead one delays no other. A message is sent until a
/// 2xx answer; between attempts 1 s, 2 s, ... up to 5 min; one older than `give_up_after` is
/// dropped, with a line in the log.
///
/// Only who holds the lease runs one. Threads: wake() from any.
class Notifier {
public:
    struct Options {
        std::chrono::milliseconds retry_min{1'000};
        std::chrono::milliseconds retry_max{300'000};
        std::chrono::hours give_up_after{24};
        std::chrono::milliseconds look_again{10'000}; ///< Without wake(): after a take-over.
        std::function<std::int64_t()> now_unix_ms;    ///< Needed.
    };
    /// `store` must outlive the notifier. Errors: as for Webhook::make(), with the receiver's name.
    [[nodiscard]] static Result<std::unique_ptr<Notifier>>
    start(Store& store, std::vector<Receiver> receivers, Options options);
    /// Stops: a request that is under way is cut short and will be repeated by the next one.
    ~Notifier();

    /// Tells the threads that a commit added messages.
    void wake();

private:
    Notifier(Store& store, Options options) : store_(store), options_(std::move(options)) {}
    void serve(const std::string& name, Webhook hook, const std::stop_token& stop);
    /// Whether the message is done with: delivered, or given up.
    [[nodiscard]] bool deliver(const std::string& name, Webhook& hook, const OutboxMessage& message,
                               const std::stop_token& stop);
    void wait(std::chrono::milliseconds delay, std::uint64_t seen, bool wakes,
              const std::stop_token& stop);

    Store& store_;
    Options options_;
    std::mutex mutex_;
    std::condition_variable_any woken_;
    std::uint64_t wakes_ = 0;
    std::vector<std::jthread> threads_; ///< Last: they end before what they use.
};

} // namespace slipway::orchestrator
