#include "orchestrator/core/strategy.h"

#include <algorithm>

#include "common/core/errc.h"
#include "common/core/numbers.h"

namespace slipway::orchestrator {
namespace {

using namespace std::chrono_literals;
constexpr std::uint64_t whole = 10'000; // Hundredths of a percent.

} // namespace

std::size_t Amount::at_least_one_of(std::size_t total) const {
    const auto part = percent ? (total * value + whole - 1) / whole : std::size_t{value};
    return std::clamp<std::size_t>(part, 1, std::max<std::size_t>(total, 1));
}

std::size_t Amount::at_most_of(std::size_t total) const {
    return std::min(total, percent ? total * value / whole : std::size_t{value});
}

std::size_t Amount::budget_of(std::size_t total) const {
    return std::max<std::size_t>(at_most_of(total), 1);
}

std::string Amount::text() const {
    if (!percent) {
        return std::to_string(value);
    }
    auto text = std::to_string(value / 100);
    if (const auto rest = value % 100; rest != 0) {
        text += '.' + std::to_string(rest / 10) + (rest % 10 != 0 ? std::to_string(rest % 10) : "");
    }
    return text + '%';
}

Result<Amount> Amount::parse(std::string_view text) {
    const auto refused = fail(Errc::usage, "'" + printable(text.substr(0, 40)) +
                                               "' is no amount: write 3, or 10%, or 0.5%");
    const bool percent = text.ends_with('%');
    if (percent) {
        text.remove_suffix(1);
    }
    const auto point = text.find('.');
    const auto number = parse_number<std::uint32_t>(text.substr(0, point));
    if (!number || *number > 1'000'000 || (point != std::string_view::npos && !percent)) {
        return refused;
    }
    if (!percent) {
        return Amount{*number, false};
    }
    std::uint32_t hundredths = 0;
    if (point != std::string_view::npos) {
        const auto digits = text.substr(point + 1);
        const auto rest = parse_number<std::uint32_t>(digits);
        if (!rest || digits.size() > 2) {
            return refused;
        }
        hundredths = digits.size() == 1 ? *rest * 10 : *rest;
    }
    const auto value = *number * 100 + hundredths;
    return *number <= 100 && value <= whole ? Result<Amount>(Amount{value, true}) : refused;
}

std::string_view to_string(StrategyKind kind) {
    switch (kind) {
    case StrategyKind::rolling:
        return "rolling";
    case StrategyKind::canary:
        return "canary";
    case StrategyKind::blue_green:
        return "blue-green";
    }
    return "unknown";
}

std::string_view to_string(GateKind kind) {
    switch (kind) {
    case GateKind::metric:
        return "metric";
    case GateKind::compare:
        return "compare";
    case GateKind::webhook:
        return "webhook";
    case GateKind::approval:
        return "approval";
    }
    return "unknown";
}

bool GateSpec::applies_to(std::uint32_t step) const {
    return steps.empty() || std::ranges::find(steps, step) != steps.end();
}

Milliseconds Strategy::bake_of(std::uint32_t step) const {
    if (bake.empty()) {
        return Milliseconds{0};
    }
    return bake[std::min<std::size_t>(std::max(step, 1U) - 1, bake.size() - 1)];
}

Strategy default_strategy(StrategyKind kind) {
    Strategy strategy;
    strategy.kind = kind;
    switch (kind) {
    case StrategyKind::canary:
        strategy.steps = {hosts(1), percent(1), percent(10), percent(50), percent(100)};
        strategy.bake = {10min};
        break;
    case StrategyKind::rolling:
        strategy.steps = {percent(10)};
        strategy.bake = {30s};
        break;
    case StrategyKind::blue_green:
        strategy.steps = {percent(100)};
        strategy.bake = {10min};
        strategy.max_unavailable = percent(100);
        strategy.max_unavailable_per_domain = percent(100);
        break;
    }
    return strategy;
}

Result<Strategy> named_strategy(std::string_view name) {
    for (const auto kind :
         {StrategyKind::rolling, StrategyKind::canary, StrategyKind::blue_green}) {
        if (to_string(kind) == name) {
            return default_strategy(kind);
        }
    }
    return fail(Errc::usage, "there is no strategy '" + printable(name.substr(0, 60)) +
                                 "': rolling, canary, blue-green, or a file of your own");
}

} // namespace slipway::orchestrator
