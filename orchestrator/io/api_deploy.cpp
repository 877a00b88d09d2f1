// Deployments to come: what a name stands for, what would be done, and the order to do it.
#include <nlohmann/json.hpp>

#include "common/core/errc.h"
#include "common/io/blocking.h"
#include "orchestrator/core/api_views.h"
#include "orchestrator/core/gate_sources.h"
#include "orchestrator/io/api.h"
#include "orchestrator/io/api_bodies.h"

namespace slipway::orchestrator {
namespace {

using nlohmann::json;

Result<Deploy> parse_deploy(const Asked& asked) {
    auto body = JsonBody::parse(asked.body);
    if (!body) {
        return tl::unexpected(body.error());
    }
    Deploy deploy;
    deploy.key = {body->text("service"), body->text("environment")};
    const auto artifact = body->text("artifact");
    deploy.check_plan = body->text_or("check_plan", "");
    deploy.retry = body->flag("retry");
    deploy.why = body->text_or("why", "");
    deploy.by = asked.who.text();
    auto strategy = strategy_of(*body);
    if (auto ended = body->end(); !ended) {
        return tl::unexpected(ended.error());
    }
    const auto id = ArtifactId::parse(artifact);
    if (!strategy || !id) {
        return tl::unexpected(id ? strategy.error() : id.error());
    }
    deploy.artifact = *id;
    deploy.strategy = std::move(*strategy);
    return deploy;
}

/// What the hosts of a plan run now, and how many of them each.
struct World {
    json plan;
    std::map<std::string, std::size_t> running;
    ArtifactId to;
};

bool has_release(const ServiceReport& report, const Release& release) {
    return report.running && is_release(release, report.running->artifact, report.running->digest);
}

Result<World> world_of(const FleetState& state, const Deploy& deploy) {
    auto plan = plan_of(state, deploy);
    if (!plan) {
        return tl::unexpected(plan.error());
    }
    World world;
    world.to = plan->to.artifact;
    for (const auto& batch : plan->batches) {
        for (const auto& host : batch.hosts) {
            const auto seen = state.seen.hosts.find(host);
            const ServiceReport* report = nullptr;
            if (seen != state.seen.hosts.end()) {
                const auto& services = seen->second.report.services;
                const auto found = services.find(plan->key.service);
                report = found == services.end() ? nullptr : &found->second;
            }
            if (report == nullptr || !has_release(*report, plan->to)) {
                ++world.running[report != nullptr && report->running ? report->running->artifact
                                                                     : std::string()];
            }
        }
    }
    const auto* freeze = freeze_of(state, plan->key);
    world.plan = plan_view(*plan, !plan->batches.empty(),
                           freeze == nullptr ? "" : "frozen by " + freeze->scope);
    return world;
}

} // namespace

Result<std::optional<Strategy>> strategy_of(JsonBody& body) {
    const auto name = body.text_or("strategy", "");
    const auto text = body.any("strategy_text");
    if (text.is_string() && text.get_ref<const std::string&>().size() <= strategy_bytes_max &&
        name.empty()) {
        return parse_strategy(text.get<std::string>(), "strategy_text").map([](Strategy strategy) {
            return std::optional(std::move(strategy));
        });
    }
    if (!text.is_null()) {
        return fail(Errc::usage, "strategy_text is a text of 64 KiB at most, without a strategy");
    }
    if (name.empty()) {
        return std::optional<Strategy>();
    }
    return named_strategy(name).map(
        [](Strategy strategy) { return std::optional(std::move(strategy)); });
}

net::awaitable<Result<Deploy>> Api::deploy_of(Asked asked) {
    auto deploy = parse_deploy(asked);
    if (!deploy) {
        co_return deploy;
    }
    if (deploy->strategy) {
        if (const auto checked = check_servers(*deploy->strategy, parts_.prometheus); !checked) {
            co_return tl::unexpected(checked.error());
        }
    }
    auto find = [this, id = deploy->artifact] { return parts_.catalog.find(id); };
    const auto release = co_await run_blocking(parts_.catalog_thread, std::move(find));
    if (!release) {
        co_return tl::unexpected(release.error());
    }
    deploy->digest = release->digest;
    co_return deploy;
}

net::awaitable<Answer> Api::create_deployment(Asked asked) {
    auto deploy = co_await deploy_of(asked);
    if (!deploy) {
        co_return answer_of(deploy.error());
    }
    Look look = [](const std::string& id, const FleetState& state) -> Result<json> {
        const auto made = state.log.deployments.find(id);
        return made == state.log.deployments.end()
                   ? json{{"id", id}, {"why", "it is what the environment has already"}}
                   : deployment_summary(made->second);
    };
    co_return co_await change(std::move(asked), std::move(*deploy), std::move(look), 201);
}

net::awaitable<json> Api::bytes_to_move(std::map<std::string, std::size_t> from, ArtifactId to) {
    auto count = [this, from = std::move(from), to = std::move(to)]() -> json {
        std::uint64_t all = 0;
        std::uint64_t largest = 0;
        for (const auto& [artifact, hosts] : from) {
            const auto bytes = parts_.catalog.bytes_between(artifact, to);
            if (!bytes) {
                return nullptr; // The plan holds without it.
            }
            all += *bytes * hosts;
            largest = std::max(largest, *bytes);
        }
        return {{"all_hosts", all}, {"largest_host", largest}};
    };
    co_return co_await run_blocking(parts_.catalog_thread, std::move(count));
}

net::awaitable<Answer> Api::plan_deployment(Asked asked) {
    auto deploy = co_await deploy_of(asked);
    if (!deploy) {
        co_return answer_of(deploy.error());
    }
    auto world = std::make_shared<Result<World>>();
    Driver::Item item;
    item.look = [world, deploy = *deploy](const Result<std::string>& /*answer*/,
                                          const FleetState& state) {
        *world = world_of(state, deploy);
        return std::optional<KeptAnswer>();
    };
    const auto looked = co_await parts_.driver.perform(std::move(item));
    if (!looked || !*world) {
        co_return answer_of(looked ? world->error() : looked.error());
    }
    auto& plan = (*world)->plan;
    plan["bytes"] = co_await bytes_to_move((*world)->running, (*world)->to);
    co_return json_answer(plan.dump());
}

} // namespace slipway::orchestrator
