#include "orchestrator/io/api.h"

#include <nlohmann/json.hpp>

#include "common/core/errc.h"
#include "common/core/numbers.h"
#include "common/io/blocking.h"

namespace slipway::orchestrator {
namespace {

constexpr std::size_t watched_at_once = 256;
constexpr std::chrono::seconds heartbeat{10};

} // namespace

net::awaitable<Answer> Api::answer(Asked asked) {
    switch (asked.route.operation) {
    case Operation::api:
        co_return describe_api();
    case Operation::health:
        co_return json_answer(R"({"status": "ok"})");
    case Operation::ready:
        co_return ready();
    case Operation::metrics:
        co_return Answer{200, parts_.metrics.text(), Metrics::content_type};
    case Operation::sync_agent:
        co_return co_await parts_.agents.sync(std::move(asked));
    case Operation::list_hosts:
    case Operation::list_services:
    case Operation::list_deployments:
    case Operation::list_freezes:
        co_return co_await list(std::move(asked));
    case Operation::show_host:
        co_return co_await show_host(std::move(asked));
    case Operation::forget_host:
        co_return co_await forget_host(std::move(asked));
    case Operation::put_environment:
        co_return co_await put_environment(std::move(asked));
    case Operation::create_deployment:
        co_return co_await create_deployment(std::move(asked));
    case Operation::plan_deployment:
        co_return co_await plan_deployment(std::move(asked));
    case Operation::show_deployment:
        co_return co_await show_deployment(std::move(asked));
    case Operation::deployment_hosts:
        co_return co_await deployment_hosts(std::move(asked));
    case Operation::deployment_evidence:
        co_return co_await evidence(std::move(asked));
    case Operation::pause:
    case Operation::resume:
    case Operation::promote:
    case Operation::abort:
    case Operation::approve:
        co_return co_await act_on_deployment(std::move(asked));
    case Operation::rollback:
        co_return co_await roll_back(std::move(asked));
    case Operation::freeze:
    case Operation::unfreeze:
        co_return co_await change_freeze(std::move(asked));
    case Operation::history:
        co_return co_await history(std::move(asked));
    case Operation::audit:
        co_return co_await audit(std::move(asked));
    case Operation::watch:
        break;
    }
    co_return answer_of({Errc::failed, "this is answered elsewhere"});
}

// NOLINTNEXTLINE(cppcoreguidelines-avoid-reference-coroutine-parameters): the caller waits for it.
net::awaitable<void> Api::watch(http::Exchange& exchange, Asked asked) {
    const auto given = asked.query.find("after");
    std::string from(exchange.header("last-event-id"));
    if (given != asked.query.end()) {
        from = given->second;
    }
    const auto wanted = asked.query.find("deployment");
    const auto position =
        from.empty() ? std::optional(parts_.feed.last()) : parse_number<std::uint64_t>(from);
    if (!position || !parts_.driver.is_driving()) {
        auto refused = position ? answer_of({Errc::unreachable, "this orchestrator does not drive"})
                                : answer_of({Errc::usage, "after is a position in the log"});
        http::Head head{.status = refused.status, .type = std::move(refused.type)};
        co_return co_await exchange.send(std::move(head), std::move(refused.body));
    }
    http::Head head{.type = "text/event-stream", .fields = {{"Cache-Control", "no-store"}}};
    auto sent = co_await exchange.begin(std::move(head));
    for (auto seen = *position; sent && !exchange.stopping() && parts_.driver.is_driving();) {
        std::vector<FeedItem> items;
        if (parts_.feed.covers(seen)) {
            items = parts_.feed.after(seen, watched_at_once);
        } else {
            auto read = [this, seen] { return parts_.store.read_log(seen, watched_at_once); };
            const auto records = co_await run_blocking(parts_.readers, std::move(read));
            if (!records) {
                break;
            }
            for (const auto& record : *records) {
                items.push_back(feed_item(record));
            }
        }
        std::string text;
        for (const auto& item : items) {
            seen = item.position;
            if (wanted == asked.query.end() || item.deployment == wanted->second) {
                text += *item.text;
            }
        }
        if (items.empty()) {
            co_await parts_.feed.wait_beyond(seen, heartbeat, std::stop_token());
            // A comment: the peer knows that the connection stands, and we that the peer does.
            text = parts_.feed.last() > seen ? "" : ": \n\n";
        }
        sent = co_await exchange.write(as_bytes(text));
    }
}

} // namespace slipway::orchestrator
