#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include <catch2/catch.hpp>
#include <unistd.h>

#include "common/core/errc.h"
#include "orchestrator/io/store.h"
#include "tests/fakes/postgres_server.h"

namespace slipway::orchestrator {

/// A new, empty database in a file.
class Sqlite {
public:
    Sqlite() {
        std::string name = std::filesystem::temp_directory_path() / "slipway-store-XXXXXX";
        REQUIRE(mkdtemp(name.data()) != nullptr);
        home_ = name;
    }
    ~Sqlite() { std::filesystem::remove_all(home_); }
    Sqlite(const Sqlite&) = delete;
    Sqlite& operator=(const Sqlite&) = delete;
    [[nodiscard]] std::string url() const { return "sqlite:" + (home_ / "db").string(); }

private:
    std::filesystem::path home_;
};

/// A new, empty database of a server that all tests of this process share.
class Postgresql {
public:
    static fakes::PostgresServer& server() {
        static fakes::PostgresServer one;
        return one;
    }
    [[nodiscard]] std::string url() const { return url_; }

private:
    std::string url_ = server().new_database();
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
template <typename T>
std::error_code code_of(const Result<T>& result) {
    return result ? std::error_code{} : result.error().code;
}

} // namespace slipway::orchestrator
