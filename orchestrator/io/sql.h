#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/core/result.h"

namespace slipway::orchestrator {

/// Which database is spoken to.
enum class Dialect { sqlite, postgresql };

/// A value bound to a parameter.
using SqlValue = std::variant<std::int64_t, std::string>;
/// A row, each column as text; no column is null.
using SqlRow = std::vector<std::string>;

/// One connection to a database (SOCI), made when it is first needed and again, with backoff, when
/// it was lost. Statements are prepared once per connection and kept; values are only ever bound.
/// Not thread-safe.
class Sql {
public:
    /// `url` as for open_store(). Nothing is connected yet.
    [[nodiscard]] static Result<Sql> make(const std::string& url);
    ~Sql();
    Sql(Sql&&) noexcept;
    Sql& operator=(Sql&&) noexcept;

    [[nodiscard]] Dialect dialect() const;

    /// Runs a statement with `:a`, `:b`, ... bound, in order, to `values`, and gives all rows of
    /// `columns` columns. Errors: StoreErrc::unreachable (the connection is gone; a transaction in
    /// it is too), Errc::busy (SQLite: locked for 5 s), Errc::failed.
    [[nodiscard]] Result<std::vector<SqlRow>>
    run(const std::string& text, const std::vector<SqlValue>& values = {}, int columns = 0);

    /// Begins a transaction that may write: SQLite takes its write lock at once.
    [[nodiscard]] Result<> begin();
    /// Error: as for run(); after StoreErrc::unreachable the outcome is unknown.
    [[nodiscard]] Result<> commit();
    /// Ends a transaction without effect; a connection where that fails is dropped.
    void roll_back();

    struct State; ///< Complete in the .cpp only.

private:
    explicit Sql(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

[[nodiscard]] inline std::uint64_t number_of(const std::string& column) {
    return std::stoull(column);
}
[[nodiscard]] inline std::int64_t signed_of(const std::string& column) {
    return std::stoll(column);
}

} // namespace slipway::orchestrator
