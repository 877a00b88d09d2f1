#pragma once

#include <filesystem>
#include <string>

#include <catch2/catch.hpp>
#include <unistd.h>

#include "common/core/errc.h"
#include "common/core/result.h"

namespace slipway::orchestrator {

/// The URL of a new, empty database in a directory of its own.
class SqliteDatabase {
public:
    SqliteDatabase() {
        std::string name = std::filesystem::temp_directory_path() / "slipway-store-XXXXXX";
        REQUIRE(mkdtemp(name.data()) != nullptr);
        home_ = name;
    }
    ~SqliteDatabase() { std::filesystem::remove_all(home_); }
    SqliteDatabase(const SqliteDatabase&) = delete;
    SqliteDatabase& operator=(const SqliteDatabase&) = delete;
    [[nodiscard]] std::string url() const { return "sqlite:" + (home_ / "db").string(); }

private:
    std::filesystem::path home_;
};

template <typename T>
T must(Result<T> result) {
    INFO((result ? "" : describe(result.error())));
    REQUIRE(result);
    return std::move(*result);
}
inline void must(Result<> result) {
    INFO((result ? "" : describe(result.error())));
    REQUIRE(result);
}

} // namespace slipway::orchestrator
