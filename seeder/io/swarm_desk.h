#pragma once

#include <map>
#include <string>

#include "common/http/exchange.h"
#include "seeder/core/assigner.h"
#include "seeder/core/tracker.h"

namespace slipway::seeder {

/// Answers agents' calls (common/api/swarm.h) and holds them until something changes for their
/// host. Hosts that call here are told to the HTTP tracker as well, so that clients of other makes
/// find them.
///
/// Used on the io thread only. Must outlive the coroutines of its calls.
class SwarmDesk {
public:
    SwarmDesk(Assigner& assigner, Tracker& tracker) : assigner_(assigner), tracker_(tracker) {}
    SwarmDesk(const SwarmDesk&) = delete;
    SwarmDesk& operator=(const SwarmDesk&) = delete;

    net::awaitable<void> answer(http::Exchange& exchange);

private:
    net::awaitable<api::SwarmAnswer> wait(const http::Exchange& exchange, api::SwarmCall call,
                                          std::string ip);
    void list(const api::SwarmCall& call, const net::ip::address& address);
    void wake();

    Assigner& assigner_;
    Tracker& tracker_;
    std::multimap<std::string, net::steady_timer*> held_; ///< By key of the host.
};

} // namespace slipway::seeder
