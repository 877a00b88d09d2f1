#pragma once

#include <string>

#include "orchestrator/io/store.h"
#include "tests/fakes/postgres_server.h"
#include "tests/orchestrator/sqlite_database.h"

namespace slipway::orchestrator {

using Sqlite = SqliteDatabase;

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
std::error_code code_of(const Result<T>& result) {
    return result ? std::error_code{} : result.error().code;
}

} // namespace slipway::orchestrator
