#pragma once

#include <chrono>
#include <optional>
#include <stop_token>
#include <string>

#include "common/io/asio.h"
#include "orchestrator/io/store.h"

namespace slipway::orchestrator {

/// Takes the lease of a store and keeps it: who holds it drives the fleet.
///
///     campaign() -> keep() -> lost -> campaign() ...
///
/// A term ends when the lease is another's, or when it could not be renewed for its time to live,
/// counted from before the last renewal was asked for. So of two orchestrators at most one believes
/// that it drives; what it writes is fenced by the store besides, and what it sends by the agents.
///
/// Threads: the io thread; the store is asked on a thread of its own, so that a renewal does not
/// wait behind reads.
class Leadership {
public:
    using Clock = std::chrono::steady_clock;
    struct Options {
        std::string holder;                       ///< Names this run of this process.
        std::chrono::milliseconds ttl{lease_ttl}; ///< Of the lease.
        std::chrono::milliseconds renew_each{500};
        std::chrono::milliseconds try_each{250};
    };
    /// `store` must outlive it.
    Leadership(Store& store, Options options) : store_(store), options_(std::move(options)) {}

    /// Waits until the lease is had; none: stopped. A failing store is asked again.
    net::awaitable<std::optional<Lease>> campaign(std::stop_token stop);
    /// Renews until the term ends, or until `stop`: then the lease is given back.
    net::awaitable<void> keep(std::uint64_t token, std::stop_token stop);

    /// Whether this process may act on the lease.
    [[nodiscard]] bool is_held(Clock::time_point now) const { return now < until_; }
    /// Who held it when it was last asked for; empty: not known.
    [[nodiscard]] const std::string& holder() const { return holder_; }
    [[nodiscard]] const std::string& self() const { return options_.holder; }

private:
    Store& store_;
    Options options_;
    net::thread_pool thread_{1};
    Clock::time_point until_{};
    std::string holder_;
};

} // namespace slipway::orchestrator
