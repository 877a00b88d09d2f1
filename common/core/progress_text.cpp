#include "common/core/progress_text.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace slipway {
namespace {

template <typename... Args>
std::string format(const char* pattern, Args... args) {
    std::array<char, 160> text{};
    const int length = std::snprintf(text.data(), text.size(), pattern, args...);
    return {text.data(),
            std::min<std::size_t>(static_cast<std::size_t>(std::max(length, 0)), text.size() - 1)};
}

double bytes_per_s(const PhaseProgress& phase) {
    const auto ms = static_cast<double>(phase.elapsed.count());
    return ms > 0 ? static_cast<double>(phase.done_bytes) * 1000.0 / ms : 0.0;
}

std::string rate(const PhaseProgress& phase) {
    return human_bytes(static_cast<std::uint64_t>(bytes_per_s(phase))) + "/s";
}

// What was announced can be less than what turns out to be moved; never show more than all.
double share_done(const PhaseProgress& phase) {
    return std::min(1.0,
                    static_cast<double>(phase.done_bytes) / static_cast<double>(phase.total_bytes));
}

std::string amounts(const PhaseProgress& phase) {
    if (phase.total_bytes == 0) {
        return phase.done_bytes == 0 ? "" : human_bytes(phase.done_bytes) + "  " + rate(phase);
    }
    std::string text = format("%3.0f%%  ", share_done(phase) * 100) +
                       human_bytes(phase.done_bytes) + " of " + human_bytes(phase.total_bytes) +
                       "  " + rate(phase);
    const double speed = bytes_per_s(phase);
    if (speed > 0 && phase.done_bytes < phase.total_bytes) {
        const double left_ms =
            static_cast<double>(phase.total_bytes - phase.done_bytes) * 1000.0 / speed;
        text += "  " +
                human_duration(std::chrono::milliseconds(static_cast<std::int64_t>(left_ms))) +
                " left";
    }
    return text;
}

} // namespace

std::string human_bytes(std::uint64_t bytes) {
    constexpr std::array units{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    auto value = static_cast<double>(bytes);
    std::size_t unit = 0;
    while (value >= 1023.95 && unit + 1 < units.size()) {
        value /= 1024;
        ++unit;
    }
    return unit == 0 ? format("%.0f B", value) : format("%.1f %s", value, units.at(unit));
}

std::string human_duration(std::chrono::milliseconds duration) {
    const auto ms = duration.count();
    const auto seconds = ms / 1000;
    if (seconds < 60) {
        return format("%.1f s", static_cast<double>(ms) / 1000.0);
    }
    if (seconds < 3600) {
        return format("%d:%02d", static_cast<int>(seconds / 60), static_cast<int>(seconds % 60));
    }
    return format("%ld:%02d:%02d", static_cast<long>(seconds / 3600),
                  static_cast<int>(seconds / 60 % 60), static_cast<int>(seconds % 60));
}

std::string progress_bar(const PhaseProgress& phase, unsigned width) {
    std::string text = format("%-9s", phase.name.substr(0, 60).c_str());
    if (phase.total_bytes != 0) {
        const auto filled = static_cast<unsigned>(share_done(phase) * width);
        text += "[" + std::string(filled, '=') + (filled < width ? ">" : "") +
                std::string(filled < width ? width - filled - 1 : 0, ' ') + "] ";
    }
    return text + amounts(phase);
}

std::string progress_line(const PhaseProgress& phase, bool last) {
    const auto what = amounts(phase);
    std::string text = phase.name + (what.empty() ? "" : ": " + what);
    if (last) {
        text += (what.empty() ? ": done in " : "  in ") + human_duration(phase.elapsed);
    }
    return text;
}

} // namespace slipway
