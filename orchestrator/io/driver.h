#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/io/asio.h"
#include "orchestrator/core/machine.h"
#include "orchestrator/io/notifier.h"
#include "orchestrator/io/store.h"

namespace slipway::orchestrator {

/// Where deployments that are over are kept: their views, and their hosts, by history_key().
inline constexpr const char* history_collection = "history";
inline constexpr const char* history_hosts_collection = "history_hosts";

/// Where the machine's commands go. Called on the io thread, after what they rest on is durable.
struct DriverSinks {
    std::function<void(const std::string& host)> ordered; ///< Driver::order() is another one now.
    std::function<void(AskGate)> ask_gate;
    std::function<void()> notified;
    /// Records that were committed, in order; and where the log ends when a term begins.
    std::function<void(const std::vector<LogRecord>&)> recorded;
    std::function<void(std::uint64_t position)> begun;
    /// How long a commit took; no records and no time: it failed, and the term is over.
    std::function<void(std::size_t records, std::chrono::duration<double> took)> committed;
};

/// Runs the deployment machine over the store while this process has the lease.
///
///     submit -> queue -> step() ... step() -> one commit -> commands, answers -> next of the queue
///
/// While a commit is under way, what comes in waits and shares the next one; what changes nothing
/// needs no commit. Nothing leaves the driver before it is durable, not even a look at the state:
/// whoever reads it stands in the same queue.
///
/// Threads: the io thread; commits are made on `writer`. What is passed in outlives the driver.
class Driver {
public:
    struct Options {
        std::vector<Receiver> receivers;
        std::function<Instant()> now;
    };
    Driver(net::io_context& io, Store& store, net::thread_pool& writer, Options options,
           DriverSinks sinks);

    /// Reads the log, begins the term of `lease`, and drives until `stop` or until a commit shows
    /// that the term is over. Then what waits is refused. `is_held` says whether to try again when
    /// the store does not answer. Error: a log that cannot be read or does not fit.
    net::awaitable<Result<>> drive(Lease lease, std::function<bool()> is_held,
                                   std::stop_token stop);
    [[nodiscard]] bool is_driving() const { return is_driving_; }

    /// What is asked of the driver: an event, or a look at the state.
    struct Item {
        std::optional<Event> event{};
        /// Called right after the step, with its answer, before it is durable: what it gives is
        /// committed with it.
        std::function<std::optional<KeptAnswer>(const Result<std::string>&, const FleetState&)>
            look{};
        /// Called when all of that is durable, or with the reason why it will not be.
        std::function<void(const Result<std::string>&)> done{};
    };
    void submit(Item item);
    /// submit() and wait; gives the step's answer.
    net::awaitable<Result<std::string>> perform(Item item);

    /// What a host should come to, as far as it is durable. None: the host is not known (yet).
    [[nodiscard]] const OrderHost* order(const std::string& host) const;
    struct Counts {
        std::size_t hosts = 0;
        std::size_t lost = 0;
        std::size_t active = 0; ///< Deployments that are not over.
    };
    /// For metrics: what is on its way to the disk counts too.
    [[nodiscard]] Counts counts() const;
    /// Hosts of the log when the term began.
    [[nodiscard]] std::vector<std::string> hosts() const;
    [[nodiscard]] std::uint64_t epoch() const { return epoch_; }
    [[nodiscard]] std::uint64_t position() const { return position_; }

private:
    struct Batch;
    [[nodiscard]] Result<std::unique_ptr<FleetState>> replay(std::uint64_t& position);
    void run_queue();
    void step_into(Batch& batch, Item item);
    void add_history(Batch& batch, const std::string& id);
    void add_message(Batch& batch, const Notify& notify);
    net::awaitable<void> commit(std::shared_ptr<Batch> batch);
    void finish(Batch& batch);
    void refuse_all(const Error& error);
    void remember_order(OrderHost order);

    net::io_context& io_;
    Store& store_;
    net::thread_pool& writer_;
    Options options_;
    DriverSinks sinks_;

    std::unique_ptr<FleetState> state_;
    std::uint64_t position_ = 0;
    std::uint64_t epoch_ = 0;
    std::uint64_t messages_ = 0;
    bool is_driving_ = false;
    bool is_committing_ = false;
    std::function<bool()> is_held_;
    std::stop_source over_;
    std::deque<Item> queue_;
    std::unordered_map<std::string, OrderHost> orders_;
};

} // namespace slipway::orchestrator
