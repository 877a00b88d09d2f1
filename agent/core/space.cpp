#include "agent/core/space.h"

#include <array>
#include <cstdio>

namespace slipway::agent {

Space with_overhead(const Space& need) {
    return {need.bytes + need.bytes / 256 + std::uint64_t{1024} * 1024, need.inodes + 64};
}

Result<> check_space(const Space& need, const Space& free, const std::string& where) {
    const auto full = std::make_error_code(std::errc::no_space_on_device);
    if (need.bytes > free.bytes) {
        return fail(full, where + ": needs " + human_bytes(need.bytes) + ", has " +
                              human_bytes(free.bytes) + " available; nothing was changed");
    }
    if (need.inodes > free.inodes) {
        return fail(full, where + ": needs " + std::to_string(need.inodes) + " inodes, has " +
                              std::to_string(free.inodes) + " available; nothing was changed");
    }
    return {};
}

std::string human_bytes(std::uint64_t bytes) {
    constexpr std::array units{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 1024) {
        return std::to_string(bytes) + " bytes";
    }
    auto value = static_cast<double>(bytes) / 1024;
    std::size_t unit = 0;
    while (value >= 1024 && unit + 1 < units.size()) {
        value /= 1024;
        ++unit;
    }
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), value < 10 ? "%.2f %s" : "%.0f %s", value,
                  units.at(unit));
    return text.data();
}

} // namespace slipway::agent
