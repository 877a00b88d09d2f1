#include "orchestrator/io/agent_desk.h"

#include <nlohmann/json.hpp>

#include "common/core/errc.h"
#include "common/io/blocking.h"

namespace slipway::orchestrator {
namespace {

using Clock = std::chrono::steady_clock;

Error not_driving() {
    return {StoreErrc::fenced, "this orchestrator does not drive; ask another"};
}

} // namespace

AgentDesk::AgentDesk(Driver& driver, Store& store, net::thread_pool& writer,
                     OrchestratorMetrics& metrics, Options options)
    : driver_(driver), store_(store), writer_(writer), metrics_(metrics),
      options_(std::move(options)) {}

void AgentDesk::begin(const std::vector<std::string>& hosts) {
    liveness_.emplace(Liveness::Limits{}, Clock::now());
    hosts_.clear();
    for (const auto& host : hosts) {
        liveness_->expect(host);
    }
}

void AgentDesk::end() {
    liveness_.reset();
    polls_.wake_all();
}

void AgentDesk::check(Liveness::TimePoint now) {
    if (!liveness_) {
        return;
    }
    for (auto& host : liveness_->check(now)) {
        hosts_.erase(host);
        driver_.submit({.event = HostLost{std::move(host)}});
    }
}

bool AgentDesk::has_news(const HostReport& report) const {
    const auto* order = driver_.order(report.host);
    return order != nullptr && options_.is_held() &&
           (order->epoch != report.epoch || order->generation != report.generation);
}

bool AgentDesk::was_told(const HostReport& report) const {
    const auto known = hosts_.find(report.host);
    const auto* order = driver_.order(report.host);
    return has_news(report) && known != hosts_.end() && known->second.was_told &&
           known->second.told_generation == order->generation;
}

std::chrono::milliseconds AgentDesk::pace_of(const OrderHost* order) const {
    return order != nullptr && !order->deployment.empty() ? options_.busy : options_.idle;
}

net::awaitable<Result<>> AgentDesk::take_in(const HostReport& report, std::uint64_t number,
                                            const std::string& body, bool is_back) {
    auto& known = hosts_[report.host];
    const bool was_overtaken = known.boot == report.boot && number < known.number;
    if (!is_back && (was_overtaken || known.said == body)) {
        co_return Result<>{};
    }
    known.said = body;
    known.boot = report.boot;
    known.number = number;
    Driver::Item item;
    item.event = report;
    const auto done = co_await driver_.perform(std::move(item));
    if (!done) {
        hosts_.erase(report.host);
        co_return tl::unexpected(done.error());
    }
    co_return Result<>{};
}

net::awaitable<Result<std::uint64_t>> AgentDesk::keep_events(const std::string& host,
                                                             const api::SyncReport& report) {
    std::vector<HostEvent> events;
    std::uint64_t last = 0;
    for (const auto& event : report.events) {
        const nlohmann::json body = {
            {"service", event.service}, {"kind", event.kind}, {"text", event.text}};
        events.push_back({.host = host,
                          .stream = report.stream,
                          .id = event.id,
                          .at_unix_ms = static_cast<std::int64_t>(event.at_ms),
                          .body = body.dump()});
        last = std::max(last, event.id);
    }
    if (events.empty()) {
        co_return last;
    }
    auto write = [this, events = std::move(events)] { return store_.add_events(events); };
    const auto kept = co_await run_blocking(writer_, std::move(write));
    if (!kept) {
        co_return tl::unexpected(kept.error());
    }
    co_return last;
}

net::awaitable<Answer> AgentDesk::sync(Asked asked) {
    if (!driver_.is_driving() || !liveness_) {
        co_return answer_of(not_driving());
    }
    const auto host = asked.who.name;
    auto said = api::decode_sync_report(asked.body);
    if (!said) {
        co_return answer_of(said.error());
    }
    metrics_.synced();
    if (options_.metrics) {
        options_.metrics(host, std::move(said->metrics));
    }
    const auto until = Clock::now() + std::chrono::milliseconds(said->wait_ms);
    const bool is_back = liveness_->heard(host, until);
    HostReport report{.host = host,
                      .labels = std::move(said->labels),
                      .boot = std::move(said->boot),
                      .epoch = said->epoch,
                      .generation = said->generation,
                      .services = std::move(said->services)};
    auto taken = co_await take_in(report, said->number, asked.body, is_back);
    auto events_to = Result<std::uint64_t>(0);
    if (taken) {
        events_to = co_await keep_events(host, *said);
    }
    Answer answer;
    if (!taken) {
        answer = answer_of(taken.error());
    } else if (!events_to) {
        answer = answer_of(events_to.error());
    } else {
        answer = co_await answer_report(std::move(report), *events_to, until);
    }
    if (liveness_) {
        liveness_->answered(host, Clock::now());
    }
    co_return answer;
}

net::awaitable<Answer> AgentDesk::answer_report(HostReport report, std::uint64_t events_to,
                                                Liveness::TimePoint until) {
    const auto& host = report.host;
    // That events are kept is news to the host, which keeps them until it knows.
    bool goes_on = events_to == 0;
    if (goes_on && was_told(report)) {
        constexpr std::chrono::milliseconds again{1'000};
        goes_on = co_await polls_.hold(host, again, std::stop_token());
    }
    while (goes_on && driver_.is_driving() && !has_news(report)) {
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now());
        goes_on = co_await polls_.hold(host, left, std::stop_token());
    }
    if (!driver_.is_driving()) {
        co_return answer_of(not_driving());
    }
    const auto* order = driver_.order(host);
    const bool is_news = has_news(report);
    if (is_news) {
        auto& known = hosts_[host];
        known.was_told = true;
        known.told_generation = order->generation;
    }
    const auto pace = static_cast<std::uint64_t>(pace_of(order).count());
    api::SyncAnswer answer{.epoch = driver_.epoch(),
                           .generation = order == nullptr ? report.generation : order->generation,
                           .desired = std::nullopt,
                           .events_to = events_to,
                           .wait_ms = pace,
                           .status_ms = pace};
    if (is_news) {
        answer.desired = order->desired;
    }
    co_return Answer{200, api::encode_sync_answer(answer)};
}

} // namespace slipway::orchestrator
