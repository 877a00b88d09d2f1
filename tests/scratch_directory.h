#pragma once

#include <filesystem>
#include <fstream>
#include <string_view>

#include <catch2/catch.hpp>

#include "tests/fakes/temporary_directory.h"

namespace slipway::tests {

/// A temporary directory whose files are written as `scratch / "name"`.
class ScratchDirectory : public fakes::TemporaryDirectory {
public:
    [[nodiscard]] std::filesystem::path operator/(std::string_view name) const {
        return path() / name;
    }
};

inline void write_file(const std::filesystem::path& path, std::string_view content) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream out(path, std::ios::binary | std::ios::trunc);
    out.write(content.data(), static_cast<std::streamsize>(content.size()));
    REQUIRE(out.good());
}

} // namespace slipway::tests
