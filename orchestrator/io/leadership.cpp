#include "orchestrator/io/leadership.h"

#include "common/core/errc.h"
#include "common/io/blocking.h"
#include "common/io/log.h"

namespace slipway::orchestrator {

net::awaitable<std::optional<Lease>> Leadership::campaign(std::stop_token stop) {
    std::string said;
    while (!stop.stop_requested()) {
        const auto asked = Clock::now();
        auto ask = [this] { return store_.acquire_lease(options_.holder, options_.ttl); };
        const auto lease = co_await run_blocking(thread_, std::move(ask));
        if (lease && lease->holder == options_.holder) {
            until_ = asked + options_.ttl;
            holder_ = lease->holder;
            co_return *lease;
        }
        // Told once for each reason, not four times a second.
        const auto why = lease ? lease->holder + " drives" : describe(lease.error());
        if (why != said) {
            log_event(lease ? LogLevel::info : LogLevel::warning, "lease.waiting", {{"why", why}});
            said = why;
        }
        holder_ = lease ? lease->holder : std::string();
        co_await sleep_for(options_.try_each, stop);
    }
    co_return std::nullopt;
}

net::awaitable<void> Leadership::keep(std::uint64_t token, std::stop_token stop) {
    while (!stop.stop_requested()) {
        co_await sleep_for(options_.renew_each, stop);
        if (stop.stop_requested()) {
            break;
        }
        const auto asked = Clock::now();
        auto ask = [this, token] { return store_.renew_lease(token, options_.ttl); };
        const auto renewed = co_await run_blocking(thread_, std::move(ask));
        if (renewed) {
            until_ = asked + options_.ttl;
            continue;
        }
        const bool is_over = renewed.error().code == StoreErrc::fenced || !is_held(Clock::now());
        log_event(LogLevel::warning, is_over ? "lease.lost" : "lease.not_renewed",
                  {{"why", describe(renewed.error())}});
        if (is_over) {
            until_ = {};
            co_return;
        }
    }
    until_ = {};
    auto give_back = [this, token] { return store_.release_lease(token); };
    const auto released = co_await run_blocking(thread_, std::move(give_back));
    if (!released) {
        log_event(LogLevel::warning, "lease.not_released", {{"why", describe(released.error())}});
    }
}

} // namespace slipway::orchestrator
