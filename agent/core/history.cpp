#include "agent/core/history.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "common/core/errc.h"
#include "common/trust/canonical_json.h"

namespace slipway::agent {
namespace {

using nlohmann::json;
using Stack = std::vector<Activation>;

// No release twice in a row, none beyond the limit: the oldest go.
Stack tidy(Stack stack) {
    const auto repeated = std::ranges::unique(stack, {}, &Activation::release);
    stack.erase(repeated.begin(), repeated.end());
    if (stack.size() > activations_max) {
        stack.erase(stack.begin(), stack.end() - activations_max);
    }
    return stack;
}

Stack without_lost(Stack stack, const std::function<bool(const ReleaseId&)>& is_whole) {
    if (stack.empty()) {
        return stack;
    }
    const auto lost = std::remove_if(stack.begin(), stack.end() - 1,
                                     [&](const Activation& one) { return !is_whole(one.release); });
    stack.erase(lost, stack.end() - 1);
    return tidy(std::move(stack));
}

json to_json(const Stack& stack) {
    json list = json::array();
    for (const auto& [release, at] : stack) {
        list.push_back({{"release", release.text}, {"at", at}});
    }
    return list;
}

Result<Stack> stack_from(const json& list, std::string_view what) {
    const auto malformed = [&] {
        return fail(Errc::verification_failed, std::string(what) + ": not a list of activations");
    };
    if (!list.is_array() || list.size() > activations_max) {
        return malformed();
    }
    Stack stack;
    for (const auto& item : list) {
        const auto release = item.is_object() ? item.find("release") : item.end();
        const auto at = item.is_object() ? item.find("at") : item.end();
        if (!item.is_object() || release == item.end() || at == item.end() ||
            !release->is_string() || !at->is_string()) {
            return malformed();
        }
        auto id = ReleaseId::parse(release->get_ref<const std::string&>());
        if (!id) {
            return malformed();
        }
        stack.push_back({std::move(*id), at->get<std::string>()});
    }
    return stack;
}

} // namespace

std::optional<ReleaseId> History::current() const {
    return activations.empty() ? std::nullopt : std::optional(activations.back().release);
}

std::optional<ReleaseId> History::previous() const {
    return activations.size() < 2 ? std::nullopt
                                  : std::optional(activations[activations.size() - 2].release);
}

Stack after_install(const History& history, const ReleaseId& release, std::string at) {
    auto stack = history.activations;
    stack.push_back({release, std::move(at)});
    return tidy(std::move(stack));
}

Result<Stack> after_rollback(const History& history, const std::optional<ReleaseId>& to,
                             std::string at) {
    auto stack = history.activations;
    if (stack.size() < 2) {
        return fail(Errc::not_found, "there is no previous release to roll back to");
    }
    const auto current = stack.back().release;
    do {
        stack.pop_back();
    } while (!stack.empty() && (to ? stack.back().release != *to : false));
    if (stack.empty()) {
        return fail(Errc::not_found,
                    "release " + to->text + " was not current before " + current.text);
    }
    stack.back().at = std::move(at);
    return stack;
}

History reconcile(const History& history, const std::optional<ReleaseId>& current,
                  const std::function<bool(const ReleaseId&)>& is_whole, const std::string& now) {
    if (!current) {
        return {};
    }
    const auto leads_to_current = [&](const Stack& stack) {
        return !stack.empty() && stack.back().release == *current;
    };
    if (history.intent && leads_to_current(*history.intent)) {
        return {without_lost(*history.intent, is_whole), std::nullopt};
    }
    if (leads_to_current(history.activations)) {
        return {without_lost(history.activations, is_whole), std::nullopt};
    }
    auto stack = history.activations;
    const auto earlier = std::find_if(stack.rbegin(), stack.rend(), [&](const Activation& one) {
        return one.release == *current;
    });
    if (earlier != stack.rend()) { // A way back, of which the record was lost.
        stack.erase(earlier.base(), stack.end());
        stack.back().at = now;
    } else {
        stack.push_back({*current, now});
    }
    return {without_lost(tidy(std::move(stack)), is_whole), std::nullopt};
}

std::string encode_history(const History& history) {
    json value = {{"version", 1}, {"activations", to_json(history.activations)}};
    if (history.intent) {
        value["intent"] = to_json(*history.intent);
    }
    return value.dump(1) + "\n";
}

Result<History> decode_history(ByteSpan text, std::string_view what) {
    return parse_json(text, history_bytes_max, what)
        .and_then([&](const json& value) -> Result<History> {
            if (!value.is_object() || value.value("version", json()) != 1 ||
                !value.contains("activations")) {
                return fail(Errc::verification_failed, std::string(what) + ": not a history");
            }
            return stack_from(value["activations"], what)
                .and_then([&](Stack stack) -> Result<History> {
                    History history{std::move(stack), std::nullopt};
                    if (!value.contains("intent")) {
                        return history;
                    }
                    return stack_from(value["intent"], what).map([&](Stack intent) {
                        history.intent = std::move(intent);
                        return std::move(history);
                    });
                });
        });
}

} // namespace slipway::agent
