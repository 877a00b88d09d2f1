#include "orchestrator/io/driver.h"

#include <type_traits>

#include "common/core/errc.h"
#include "common/io/blocking.h"
#include "common/io/log.h"
#include "orchestrator/core/api_views.h"

namespace slipway::orchestrator {
namespace {

constexpr std::size_t page = 2'000;
constexpr std::size_t items_max = 4'096; ///< Of one commit.
constexpr std::chrono::milliseconds try_again{100};

Error standby() {
    return {StoreErrc::fenced,
            "this orchestrator does not drive now; ask another, or again in 3 s"};
}

} // namespace

/// Items that are stepped one after the other and become durable together.
struct Driver::Batch {
    Changes changes;
    std::vector<Command> commands;
    struct Answered {
        Item item;
        Result<std::string> answer;
    };
    std::vector<Answered> answered;

    [[nodiscard]] bool changes_something() const {
        return !changes.records.empty() || !changes.answers.empty() || !changes.messages.empty();
    }
};

Driver::Driver(net::io_context& io, Store& store, net::thread_pool& writer, Options options,
               DriverSinks sinks)
    : io_(io), store_(store), writer_(writer), options_(std::move(options)),
      sinks_(std::move(sinks)) {}

Result<std::unique_ptr<FleetState>> Driver::replay(std::uint64_t& position) {
    auto state = std::make_unique<FleetState>();
    for (position = 0;;) {
        const auto records = store_.read_log(position, page);
        if (!records) {
            return tl::unexpected(records.error());
        }
        for (const auto& record : *records) {
            const auto what = "position " + std::to_string(record.position) + " of the log";
            auto logged = decode_record(record.kind, record.at_unix_ms, record.body, what);
            auto applied = logged ? apply(*state, *logged) : tl::unexpected(logged.error());
            if (!applied) {
                return tl::unexpected(within(what, applied.error()));
            }
            position = record.position;
        }
        if (records->empty()) {
            return state;
        }
    }
}

net::awaitable<Result<>> Driver::drive(Lease lease, std::function<bool()> is_held,
                                       std::stop_token stop) {
    std::uint64_t position = 0;
    auto read = [this, &position] { return replay(position); };
    auto state = co_await run_blocking(writer_, std::move(read));
    if (!state) {
        co_return tl::unexpected(state.error());
    }
    state_ = std::move(*state);
    position_ = position;
    epoch_ = lease.token;
    orders_.clear();
    over_ = std::stop_source();
    is_held_ = std::move(is_held);
    is_driving_ = true;
    sinks_.begun(position_);
    submit({.event = Started{lease.token, lease.holder}});
    const std::stop_callback end{stop, [this] { over_.request_stop(); }};
    const auto over = over_.get_token();
    while (!over.stop_requested()) {
        submit({.event = Tick{}});
        co_await sleep_for(std::chrono::milliseconds(100), over);
    }
    is_driving_ = false;
    while (is_committing_) {
        co_await sleep_for(std::chrono::milliseconds(5), std::stop_token());
    }
    refuse_all(standby());
    co_return Result<>{};
}

void Driver::submit(Item item) {
    if (!is_driving_) {
        if (item.done) {
            item.done(tl::unexpected(standby()));
        }
        return;
    }
    queue_.push_back(std::move(item));
    if (!is_committing_) {
        run_queue();
    }
}

net::awaitable<Result<std::string>> Driver::perform(Item item) {
    struct Waited {
        explicit Waited(net::io_context& io) : timer(io, net::steady_timer::time_point::max()) {}
        net::steady_timer timer;
        std::optional<Result<std::string>> answer;
    };
    auto waited = std::make_shared<Waited>(io_);
    item.done = [waited](const Result<std::string>& answer) {
        waited->answer = answer;
        waited->timer.cancel();
    };
    submit(std::move(item));
    if (!waited->answer) {
        boost::system::error_code cancelled;
        co_await waited->timer.async_wait(net::redirect_error(net::use_awaitable, cancelled));
    }
    co_return std::move(*waited->answer);
}

void Driver::run_queue() {
    while (!queue_.empty() && !is_committing_) {
        auto batch = std::make_shared<Batch>();
        while (!queue_.empty() && batch->answered.size() < items_max) {
            auto item = std::move(queue_.front());
            queue_.pop_front();
            step_into(*batch, std::move(item));
        }
        if (batch->changes_something()) {
            is_committing_ = true;
            net::co_spawn(io_, commit(std::move(batch)), rethrow);
        } else {
            finish(*batch);
        }
    }
}

void Driver::step_into(Batch& batch, Item item) {
    Result<std::string> answer;
    if (item.event) {
        auto outcome = step(*state_, *item.event, options_.now());
        for (const auto& logged : outcome.records) {
            if (const auto* ended = std::get_if<DeploymentEnded>(&logged.record)) {
                add_history(batch, ended->deployment);
            }
            batch.changes.records.push_back({0, logged.at_unix_ms, deployment_of(logged.record),
                                             std::string(kind_of(logged.record)),
                                             encode_record(logged)});
        }
        for (auto& command : outcome.commands) {
            if (const auto* notify = std::get_if<Notify>(&command)) {
                add_message(batch, *notify);
            } else {
                batch.commands.push_back(std::move(command));
            }
        }
        answer = std::move(outcome.answer);
    }
    if (item.look) {
        if (auto kept = item.look(answer, *state_)) {
            batch.changes.answers.push_back(std::move(*kept));
        }
    }
    batch.answered.push_back({std::move(item), std::move(answer)});
}

void Driver::add_history(Batch& batch, const std::string& id) {
    const auto deployment = state_->log.deployments.find(id);
    const auto number = deployment_number(id);
    if (deployment == state_->log.deployments.end() || !number) {
        return;
    }
    const auto ended = ended_deployment(*state_, deployment->second);
    const auto key = history_key(*number);
    batch.changes.documents.push_back({history_collection, key, ended.at("view").dump()});
    batch.changes.documents.push_back({history_hosts_collection, key, ended.at("hosts").dump()});
}

void Driver::add_message(Batch& batch, const Notify& notify) {
    const auto id = std::to_string(epoch_) + "-" + std::to_string(++messages_);
    auto messages =
        messages_of(options_.receivers, id, notify.kind, options_.now().unix_ms, notify.body);
    for (auto& message : messages) {
        batch.changes.messages.push_back(std::move(message));
    }
}

net::awaitable<void> Driver::commit(std::shared_ptr<Batch> batch) {
    if (!batch->changes.records.empty()) {
        batch->changes.expected_position = position_;
    }
    const auto began = std::chrono::steady_clock::now();
    Result<Committed> committed;
    do {
        auto write = [this, batch, token = epoch_] { return store_.commit(token, batch->changes); };
        committed = co_await run_blocking(writer_, std::move(write));
        const bool may_try_again = !committed && committed.error().code == StoreErrc::unreachable;
        if (!may_try_again || !is_held_()) {
            break;
        }
        co_await sleep_for(try_again, std::stop_token());
    } while (is_held_());
    if (!committed) {
        sinks_.committed(0, {});
        log_event(LogLevel::error, "commit.failed", {{"why", describe(committed.error())}});
        for (auto& answered : batch->answered) {
            if (answered.item.done) {
                answered.item.done(tl::unexpected(committed.error()));
            }
        }
        // What is in memory is ahead of the log: the term is over, the next one reads it again.
        is_driving_ = false;
        is_committing_ = false;
        over_.request_stop();
        co_return;
    }
    sinks_.committed(batch->changes.records.size(), std::chrono::steady_clock::now() - began);
    for (auto& record : batch->changes.records) {
        record.position = ++position_;
    }
    finish(*batch);
    is_committing_ = false;
    if (is_driving_) {
        run_queue();
    }
}

void Driver::remember_order(OrderHost order) {
    const auto host = order.host;
    orders_.insert_or_assign(host, std::move(order));
    sinks_.ordered(host);
}

void Driver::finish(Batch& batch) {
    if (!batch.changes.records.empty()) {
        sinks_.recorded(batch.changes.records);
    }
    if (!batch.changes.messages.empty()) {
        sinks_.notified();
    }
    for (auto& command : batch.commands) {
        if (auto* order = std::get_if<OrderHost>(&command)) {
            remember_order(std::move(*order));
        } else if (auto* ask = std::get_if<AskGate>(&command)) {
            sinks_.ask_gate(std::move(*ask));
        }
    }
    for (auto& answered : batch.answered) {
        // A host that this term has not ordered anything yet is told what it should be at. Nothing
        // is in the state now that is not durable.
        const auto* report =
            answered.item.event ? std::get_if<HostReport>(&*answered.item.event) : nullptr;
        if (report != nullptr && !orders_.contains(report->host)) {
            remember_order(order_of(*state_, report->host));
        }
        if (answered.item.done) {
            answered.item.done(answered.answer);
        }
    }
}

void Driver::refuse_all(const Error& error) {
    auto refused = std::move(queue_);
    queue_.clear();
    for (auto& item : refused) {
        if (item.done) {
            item.done(tl::unexpected(error));
        }
    }
}

const OrderHost* Driver::order(const std::string& host) const {
    const auto found = orders_.find(host);
    return found == orders_.end() ? nullptr : &found->second;
}

Driver::Counts Driver::counts() const {
    Counts counts;
    if (!state_) {
        return counts;
    }
    counts.hosts = state_->log.hosts.size();
    for (const auto& [name, seen] : state_->seen.hosts) {
        counts.lost += seen.presence == Presence::lost ? 1U : 0U;
    }
    for (const auto& [id, deployment] : state_->log.deployments) {
        counts.active += is_over(deployment.phase) ? 0U : 1U;
    }
    return counts;
}

std::vector<std::string> Driver::hosts() const {
    std::vector<std::string> names;
    for (const auto& [name, host] : state_->log.hosts) {
        names.push_back(name);
    }
    return names;
}

} // namespace slipway::orchestrator
