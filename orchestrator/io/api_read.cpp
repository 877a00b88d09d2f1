// Reads: from the state in the driver's queue, and from the store what is past.
#include <algorithm>

#include <nlohmann/json.hpp>

#include "common/core/errc.h"
#include "common/core/numbers.h"
#include "common/io/blocking.h"
#include "orchestrator/core/api_views.h"
#include "orchestrator/io/api.h"

namespace slipway::orchestrator {
namespace {

using nlohmann::json;

constexpr std::size_t history_page = 100;
constexpr std::size_t history_looked_at_max = 2'000;

std::string parameter(const Query& query, std::string_view name) {
    const auto found = query.find(name);
    return found == query.end() ? std::string() : found->second;
}

json page_view(json items, const std::string& next) {
    return {{"items", std::move(items)}, {"next", next.empty() ? json() : json(next)}};
}

/// Walks through a map's entries behind `page.after` and takes those that `view` gives something
/// for.
template <typename Map, typename KeyText, typename View>
json page_of_map(const Map& map, const Page& page, KeyText key_text, View view) {
    auto items = json::array();
    std::string last;
    for (const auto& [key, value] : map) {
        const std::string text = key_text(key);
        if (!page.after.empty() && text <= page.after) {
            continue;
        }
        if (items.size() >= page.limit) {
            return page_view(std::move(items), last);
        }
        json item = view(key, value);
        if (!item.is_null()) {
            items.push_back(std::move(item));
            last = text;
        }
    }
    return page_view(std::move(items), "");
}

const Seen::HostSeenNow* seen_of(const FleetState& state, const std::string& host) {
    const auto found = state.seen.hosts.find(host);
    return found == state.seen.hosts.end() ? nullptr : &found->second;
}

Result<json> list_hosts(const FleetState& state, const Query& query, const Page& page) {
    const auto labels = parse_labels(parameter(query, "labels"));
    if (!labels) {
        return tl::unexpected(labels.error());
    }
    const auto wanted = parameter(query, "state");
    const auto service = parameter(query, "service");
    return page_of_map(
        state.log.hosts, page, [](const std::string& name) { return name; },
        [&](const std::string& name, const Host& host) -> json {
            if (!has_labels(host.labels, *labels) ||
                (!service.empty() && !host.belongs.contains(service))) {
                return nullptr;
            }
            auto view = host_view(name, host, seen_of(state, name));
            return wanted.empty() || view["state"] == wanted ? std::move(view) : json();
        });
}

bool is_wanted(const Deployment& deployment, const Query& query) {
    const auto state = parameter(query, "state");
    const auto fits = [&](std::string_view name, const std::string& value) {
        const auto wanted = parameter(query, name);
        return wanted.empty() || wanted == value;
    };
    return fits("service", deployment.key.service) &&
           fits("environment", deployment.key.environment) &&
           (state.empty() || state == to_string(deployment.phase) ||
            (state == "active" && !is_over(deployment.phase)));
}

Result<json> list_deployments(const FleetState& state, const Query& query, const Page& page) {
    return page_of_map(
        state.log.deployments, page, [](const std::string& id) { return id; },
        [&](const std::string& /*id*/, const Deployment& deployment) {
            return is_wanted(deployment, query) ? deployment_summary(deployment) : json();
        });
}

Result<json> list_services(const FleetState& state, const Page& page) {
    return page_of_map(
        state.log.environments, page, [](const EnvironmentKey& key) { return key.text(); },
        [&](const EnvironmentKey& key, const Environment& environment) {
            return environment_view(state, key, environment);
        });
}

Result<json> list_freezes(const FleetState& state) {
    return page_of_map(
        state.log.freezes, Page{.after = "", .limit = page_limit_max},
        [](const std::string& scope) { return scope; },
        [](const std::string& /*scope*/, const Freeze& freeze) { return freeze_view(freeze); });
}

json audit_view(const LogRecord& record) {
    return {{"position", record.position},
            {"at_unix_ms", record.at_unix_ms},
            {"deployment", record.deployment},
            {"kind", record.kind},
            {"body", json::parse(record.body, nullptr, false)}};
}

Result<json> read_audit(Store& store, const Query& query, const Page& page) {
    const auto after = page.after.empty() ? std::optional<std::uint64_t>(0)
                                          : parse_number<std::uint64_t>(page.after);
    if (!after) {
        return fail(Errc::usage, "after is a position in the log");
    }
    const auto deployment = parameter(query, "deployment");
    const auto records =
        store.read_log(*after, page.limit,
                       deployment.empty() ? std::nullopt : std::optional<std::string>(deployment));
    if (!records) {
        return tl::unexpected(records.error());
    }
    auto items = json::array();
    for (const auto& record : *records) {
        items.push_back(audit_view(record));
    }
    const auto next =
        records->size() == page.limit ? std::to_string(records->back().position) : std::string();
    return page_view(std::move(items), next);
}

bool has_host(Store& store, const std::string& key, const std::string& host) {
    const auto document = store.document(history_hosts_collection, key);
    const auto hosts = document ? json::parse(document->body, nullptr, false) : json();
    return hosts.is_array() && std::ranges::any_of(hosts, [&](const json& entry) {
               return entry.value("host", std::string()) == host;
           });
}

/// What a list shows of a deployment's view.
json summary_of(json view) {
    for (const auto* detail :
         {"batch", "batches", "offline", "plan", "staged", "steps", "strategy", "waits_for"}) {
        view.erase(detail);
    }
    return view;
}

/// Deployments that are over, newest first.
Result<json> read_history(Store& store, const Query& query, const Page& page) {
    auto items = json::array();
    auto after = page.after;
    for (std::size_t looked_at = 0; looked_at < history_looked_at_max;) {
        const auto documents = store.documents(history_collection, after, history_page);
        if (!documents) {
            return tl::unexpected(documents.error());
        }
        for (const auto& document : *documents) {
            ++looked_at;
            after = document.key;
            auto view = json::parse(document.body, nullptr, false);
            const auto fits = [&](const char* name) {
                const auto wanted = parameter(query, name);
                return wanted.empty() || wanted == view.value(name, std::string());
            };
            const auto host = parameter(query, "host");
            if (view.is_object() && fits("service") && fits("environment") &&
                (host.empty() || has_host(store, document.key, host))) {
                items.push_back(summary_of(std::move(view)));
            }
            if (items.size() == page.limit) {
                return page_view(std::move(items), after);
            }
        }
        if (documents->size() < history_page) {
            return page_view(std::move(items), "");
        }
    }
    return page_view(std::move(items), after);
}

Answer as_answer(Result<json> view) {
    return view ? json_answer(view->dump(-1, ' ', false, json::error_handler_t::replace))
                : answer_of(view.error());
}

} // namespace

net::awaitable<Answer> Api::look(std::function<Result<json>(const FleetState&)> look) {
    auto view = std::make_shared<Result<json>>();
    Driver::Item item;
    item.look = [view, look = std::move(look)](const Result<std::string>& /*answer*/,
                                               const FleetState& state) {
        *view = look(state);
        return std::optional<KeptAnswer>();
    };
    const auto done = co_await parts_.driver.perform(std::move(item));
    if (!done) {
        co_return answer_of(done.error());
    }
    co_return as_answer(std::move(*view));
}

Answer Api::describe_api() const {
    auto routes_view = json::array();
    for (const auto& route : routes()) {
        routes_view.push_back({{"method", std::string(route.method)},
                               {"path", std::string(route.pattern)},
                               {"access", std::string(to_string(route.access))}});
    }
    const json view = {{"version", 1},
                       {"program", "slipway-orchestrator " SLIPWAY_VERSION},
                       {"name", parts_.name},
                       {"drives", parts_.driver.is_driving()},
                       {"holder", parts_.leadership.holder()},
                       {"epoch", parts_.driver.epoch()},
                       {"position", parts_.driver.position()},
                       {"routes", std::move(routes_view)}};
    return json_answer(view.dump());
}

Answer Api::ready() const {
    const bool drives = parts_.driver.is_driving();
    const json view = {{"ready", drives}, {"holder", parts_.leadership.holder()}};
    return json_answer(view.dump(), drives ? 200 : 503);
}

net::awaitable<Answer> Api::list(Asked asked) {
    const auto page = page_of(asked.query);
    if (!page) {
        co_return answer_of(page.error());
    }
    auto shown = [asked, page = *page](const FleetState& state) -> Result<json> {
        switch (asked.route.operation) {
        case Operation::list_hosts:
            return list_hosts(state, asked.query, page);
        case Operation::list_deployments:
            return list_deployments(state, asked.query, page);
        case Operation::list_services:
            return list_services(state, page);
        default:
            return list_freezes(state);
        }
    };
    co_return co_await look(std::move(shown));
}

net::awaitable<Answer> Api::show_host(Asked asked) {
    auto shown = [name = asked.route.parameters.at(0)](const FleetState& state) -> Result<json> {
        const auto host = state.log.hosts.find(name);
        if (host == state.log.hosts.end()) {
            return fail(Errc::not_found, "there is no host '" + name + "'");
        }
        return host_view(name, host->second, seen_of(state, name));
    };
    co_return co_await look(std::move(shown));
}

net::awaitable<Answer> Api::show_deployment(Asked asked) {
    const auto id = asked.route.parameters.at(0);
    auto shown = [id, now = parts_.now_unix_ms()](const FleetState& state) -> Result<json> {
        const auto deployment = state.log.deployments.find(id);
        if (deployment == state.log.deployments.end()) {
            return fail(Errc::not_found, "there is no deployment '" + id + "'");
        }
        return deployment_view(state, deployment->second, now);
    };
    auto present = co_await look(std::move(shown));
    const auto number = deployment_number(id);
    if (present.status != 404 || !number) {
        co_return present;
    }
    auto read = [this, key = history_key(*number)] {
        return parts_.store.document(history_collection, key);
    };
    const auto past = co_await run_blocking(parts_.readers, std::move(read));
    if (past) {
        co_return json_answer(past->body);
    }
    co_return past.error().code == Errc::not_found ? present : answer_of(past.error());
}

net::awaitable<Answer> Api::deployment_hosts(Asked asked) {
    const auto page = page_of(asked.query);
    if (!page) {
        co_return answer_of(page.error());
    }
    const auto id = asked.route.parameters.at(0);
    auto shown = [id, page = *page](const FleetState& state) -> Result<json> {
        const auto deployment = state.log.deployments.find(id);
        if (deployment == state.log.deployments.end()) {
            return fail(Errc::not_found, "there is no deployment '" + id + "'");
        }
        return page_of_map(
            deployment->second.hosts, page, [](const std::string& name) { return name; },
            [](const std::string& name, const HostProgress& progress) {
                return deployment_host_view(name, progress);
            });
    };
    auto present = co_await look(std::move(shown));
    const auto number = deployment_number(id);
    if (present.status != 404 || !number) {
        co_return present;
    }
    auto read = [this, key = history_key(*number)] {
        return parts_.store.document(history_hosts_collection, key);
    };
    const auto past = co_await run_blocking(parts_.readers, std::move(read));
    if (!past) {
        co_return past.error().code == Errc::not_found ? present : answer_of(past.error());
    }
    std::map<std::string, json> hosts;
    for (auto& entry : json::parse(past->body)) {
        hosts.emplace(entry.at("host").get<std::string>(), std::move(entry));
    }
    co_return as_answer(page_of_map(
        hosts, *page, [](const std::string& name) { return name; },
        [](const std::string& /*name*/, const json& entry) { return entry; }));
}

net::awaitable<Answer> Api::evidence(Asked asked) {
    const auto page = page_of(asked.query);
    if (!page) {
        co_return answer_of(page.error());
    }
    auto read = [this, page = *page, id = asked.route.parameters.at(0)]() -> Result<json> {
        auto records = read_audit(parts_.store, {{"deployment", id}}, page);
        if (!records) {
            return records;
        }
        auto items = json::array();
        for (auto& record : records->at("items")) {
            const auto kind = record.at("kind").get<std::string>();
            if (kind == "gate_answered" || kind == "batch_passed" || kind == "rollback_began" ||
                kind == "deployment_ended") {
                items.push_back(std::move(record));
            }
        }
        return json{{"items", std::move(items)}, {"next", records->at("next")}};
    };
    co_return as_answer(co_await run_blocking(parts_.readers, std::move(read)));
}

net::awaitable<Answer> Api::history(Asked asked) {
    const auto page = page_of(asked.query);
    if (!page) {
        co_return answer_of(page.error());
    }
    auto read = [this, asked, page = *page] {
        return read_history(parts_.store, asked.query, page);
    };
    auto past = co_await run_blocking(parts_.readers, std::move(read));
    if (!past || !page->after.empty() || !parameter(asked.query, "host").empty()) {
        co_return as_answer(std::move(past));
    }
    // Those that go on come first.
    auto shown = [asked, past = *past,
                  limit = page->limit](const FleetState& state) -> Result<json> {
        auto items = json::array();
        for (auto entry = state.log.deployments.rbegin(); entry != state.log.deployments.rend();
             ++entry) {
            if (!is_over(entry->second.phase) && is_wanted(entry->second, asked.query)) {
                items.push_back(deployment_summary(entry->second));
            }
        }
        const auto active = items.size();
        const auto& over = past.at("items");
        items.insert(items.end(), over.begin(), over.end());
        if (items.size() <= limit) {
            return json{{"items", std::move(items)}, {"next", past.at("next")}};
        }
        items.erase(items.begin() + static_cast<std::ptrdiff_t>(limit), items.end());
        const auto last = deployment_number(items.back().value("id", std::string()));
        // Those that are over begin anew where those that go on filled the page.
        return page_view(std::move(items), limit <= active || !last ? "0" : history_key(*last));
    };
    co_return co_await look(std::move(shown));
}

net::awaitable<Answer> Api::audit(Asked asked) {
    const auto page = page_of(asked.query);
    if (!page) {
        co_return answer_of(page.error());
    }
    auto read = [this, asked, page = *page] { return read_audit(parts_.store, asked.query, page); };
    co_return as_answer(co_await run_blocking(parts_.readers, std::move(read)));
}

} // namespace slipway::orchestrator
