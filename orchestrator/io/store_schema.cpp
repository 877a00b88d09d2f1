#include "orchestrator/io/store_schema.h"

#include <array>

#include "orchestrator/io/store.h"

namespace slipway::orchestrator {
namespace {

/// A type's name in the two dialects, for the parts of a statement that are in braces. Keys are
/// compared bytewise in both.
std::string in_dialect(std::string text, Dialect dialect) {
    struct Word {
        std::string_view name, sqlite, postgresql;
    };
    constexpr std::array<Word, 3> words{{
        {"{text}", "TEXT NOT NULL", "text COLLATE \"C\" NOT NULL"},
        {"{int}", "INTEGER NOT NULL", "bigint NOT NULL"},
        {"{serial}", "INTEGER PRIMARY KEY AUTOINCREMENT", "bigserial PRIMARY KEY"},
    }};
    for (const auto& word : words) {
        const auto with = dialect == Dialect::sqlite ? word.sqlite : word.postgresql;
        for (std::size_t at = 0; (at = text.find(word.name, at)) != std::string::npos;) {
            text.replace(at, word.name.size(), with);
        }
    }
    return text;
}

constexpr std::array version_1{
    "CREATE TABLE lease (id {int} PRIMARY KEY, token {int}, holder {text}, expires {int},"
    " clock {text}, last_commit {text})",
    "INSERT INTO lease VALUES (1, 0, '', 0, '', '')",
    "CREATE TABLE log (position {int} PRIMARY KEY, at {int}, deployment {text}, kind {text},"
    " body {text}, commit_id {text})",
    "CREATE INDEX log_deployment ON log (deployment, position)",
    "CREATE TABLE documents (collection {text}, key {text}, revision {int}, body {text},"
    " PRIMARY KEY (collection, key))",
    "CREATE TABLE answers (scope {text}, key {text}, request {text}, status {int}, body {text},"
    " expires {int}, PRIMARY KEY (scope, key))",
    "CREATE INDEX answers_expires ON answers (expires)",
    "CREATE TABLE host_events (sequence {serial}, host {text}, stream {text}, id {int}, at {int},"
    " body {text}, UNIQUE (host, stream, id))",
    "CREATE INDEX host_events_host ON host_events (host, sequence)",
    "CREATE INDEX host_events_at ON host_events (at)",
    "CREATE TABLE outbox (sequence {serial}, receiver {text}, id {text}, at {int}, body {text})",
    "CREATE INDEX outbox_receiver ON outbox (receiver, sequence)",
};

Result<> make_tables(Sql& sql) {
    for (const auto* statement : version_1) {
        if (auto made = sql.run(in_dialect(statement, sql.dialect())); !made) {
            return tl::unexpected(made.error());
        }
    }
    auto written = sql.run("INSERT INTO meta (name, value) VALUES ('schema', :a)",
                           {std::to_string(store_schema_version)});
    if (!written) {
        return tl::unexpected(written.error());
    }
    return {};
}

/// Within a transaction that no other migration shares.
Result<> migrate(Sql& sql) {
    if (sql.dialect() == Dialect::postgresql) {
        // Any number will do, as long as it is the same in every version.
        if (auto locked = sql.run("SELECT pg_advisory_xact_lock(7595437)"); !locked) {
            return tl::unexpected(locked.error());
        }
    }
    auto made = sql.run(in_dialect("CREATE TABLE IF NOT EXISTS meta (name {text} PRIMARY KEY,"
                                   " value {text})",
                                   sql.dialect()));
    if (!made) {
        return tl::unexpected(made.error());
    }
    auto rows = sql.run("SELECT value FROM meta WHERE name = 'schema'", {}, 1);
    if (!rows) {
        return tl::unexpected(rows.error());
    }
    if (rows->empty()) {
        return make_tables(sql);
    }
    const auto found = number_of(rows->front().front());
    if (found > store_schema_version) {
        return fail(StoreErrc::newer_schema,
                    "the database has schema " + std::to_string(found) + ", this program knows " +
                        std::to_string(store_schema_version) +
                        ": run a newer slipway-orchestrator, or restore the backup from before"
                        " the upgrade");
    }
    return {};
}

} // namespace

Result<> prepare_schema(Sql& sql) {
    if (auto begun = sql.begin(); !begun) {
        return begun;
    }
    if (auto migrated = migrate(sql); !migrated) {
        sql.roll_back();
        return migrated;
    }
    auto committed = sql.commit();
    if (!committed) {
        sql.roll_back();
    }
    return committed;
}

} // namespace slipway::orchestrator
