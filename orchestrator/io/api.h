#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "common/io/asio.h"
#include "orchestrator/core/orchestrator_config.h"
#include "orchestrator/io/agent_desk.h"
#include "orchestrator/io/api_server.h"
#include "orchestrator/io/driver.h"
#include "orchestrator/io/event_feed.h"
#include "orchestrator/io/leadership.h"
#include "orchestrator/io/orchestrator_metrics.h"
#include "orchestrator/io/release_catalog.h"

namespace slipway::orchestrator {

/// What the API's answers are made from. All of it outlives the server.
struct ApiParts {
    Store& store;
    Driver& driver;
    Leadership& leadership;
    EventFeed& feed;
    AgentDesk& agents;
    OrchestratorMetrics& metrics;
    ReleaseCatalog& catalog; ///< Used on `catalog_thread` only.
    net::thread_pool& catalog_thread;
    net::thread_pool& readers; ///< For what is read from the store.
    std::function<std::int64_t()> now_unix_ms;
    std::string name;                                   ///< Of this orchestrator.
    std::map<std::string, PrometheusConfig> prometheus; ///< What strategies may name.
};

/// Answers the API's requests: reads from the driver's state in its queue, writes through the
/// machine, lists of the past from the store.
///
/// A write with an Idempotency-Key is answered once: its answer is committed with what it did, and
/// given again for 24 hours to the same caller with the same request.
///
/// Threads: the io thread.
class Api {
public:
    explicit Api(ApiParts parts) : parts_(std::move(parts)) {}

    net::awaitable<Answer> answer(Asked asked);
    net::awaitable<void> watch(http::Exchange& exchange, Asked asked);

private:
    /// What a request found out about the state, right after its event was stepped.
    using Look =
        std::function<Result<nlohmann::json>(const std::string& answer, const FleetState& state)>;

    // Reads.
    net::awaitable<Answer> look(std::function<Result<nlohmann::json>(const FleetState&)> look);
    [[nodiscard]] Answer describe_api() const;
    [[nodiscard]] Answer ready() const;
    net::awaitable<Answer> list(Asked asked);
    net::awaitable<Answer> show_host(Asked asked);
    net::awaitable<Answer> show_deployment(Asked asked);
    net::awaitable<Answer> deployment_hosts(Asked asked);
    net::awaitable<Answer> evidence(Asked asked);
    net::awaitable<Answer> history(Asked asked);
    net::awaitable<Answer> audit(Asked asked);

    // Writes.
    net::awaitable<Answer> change(Asked asked, Event event, Look look, int status);
    net::awaitable<Answer> change_once(Asked asked, Event event, Look look, int status);
    net::awaitable<Answer> act_on_deployment(Asked asked);
    net::awaitable<Answer> roll_back(Asked asked);
    net::awaitable<Answer> change_freeze(Asked asked);
    net::awaitable<Answer> put_environment(Asked asked);
    net::awaitable<Answer> forget_host(Asked asked);

    // Deployments to come.
    net::awaitable<Result<Deploy>> deploy_of(Asked asked);
    net::awaitable<Answer> create_deployment(Asked asked);
    net::awaitable<Answer> plan_deployment(Asked asked);
    net::awaitable<nlohmann::json> bytes_to_move(std::map<std::string, std::size_t> from,
                                                 ArtifactId to);

    ApiParts parts_;
    std::set<std::pair<std::string, std::string>> in_progress_; ///< Callers and their keys.
};

} // namespace slipway::orchestrator
