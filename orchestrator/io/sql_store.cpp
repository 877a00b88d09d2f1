#include "orchestrator/io/sql_store.h"

#include <random>
#include <thread>

#include <nlohmann/json.hpp>

#include "common/core/errc.h"
#include "orchestrator/io/lease_clock.h"
#include "orchestrator/io/store_check.h"
#include "orchestrator/io/store_schema.h"

namespace slipway::orchestrator {
namespace {

using Json = nlohmann::json;

std::int64_t bound(std::uint64_t value) {
    return static_cast<std::int64_t>(value);
}

std::string run_id() {
    std::random_device random;
    return std::to_string((std::uint64_t{random()} << 32U) | random());
}

/// Not a moment before `ttl` has passed: the time is rounded down to whole milliseconds.
std::int64_t expiry_of(const LeaseTime& now, std::chrono::milliseconds ttl) {
    return now.ms + ttl.count() + 1;
}

Result<> nothing(const Result<std::vector<SqlRow>>& rows) {
    if (!rows) {
        return tl::unexpected(rows.error());
    }
    return {};
}

} // namespace

struct SqlStore::Batch {
    std::string id; ///< Of the commit.
    std::string records;
    std::string documents; ///< Those without an expected revision that put.
    std::string messages;
};

SqlStore::SqlStore(Sql writer, Sql reader, StoreLimits limits)
    : writer_(std::move(writer)), reader_(std::move(reader)), limits_(limits), run_(run_id()) {}

/// A JSON array as a table of `value` and `ordinal` (1, 2, ...); `value ->> 0` reads an element's
/// first field in both dialects.
std::string SqlStore::bulk(const std::string& parameter) const {
    return writer_.dialect() == Dialect::sqlite
               ? "(SELECT value, key + 1 AS ordinal FROM json_each(" + parameter + ")) AS given"
               : "json_array_elements(CAST(" + parameter +
                     " AS json)) WITH ORDINALITY AS given(value, ordinal)";
}

Result<SqlStore::LeaseRow> SqlStore::lock() {
    const char* text = writer_.dialect() == Dialect::sqlite
                           ? "SELECT token, holder, expires, clock, last_commit FROM lease"
                           : "SELECT token, holder, expires, clock, last_commit FROM lease"
                             " WHERE id = 1 FOR UPDATE";
    auto rows = writer_.run(text, {}, 5);
    if (!rows) {
        return tl::unexpected(rows.error());
    }
    if (rows->size() != 1) {
        return fail(Errc::failed, "the database's lease table has no row: restore a backup");
    }
    const auto& row = rows->front();
    return LeaseRow{number_of(row[0]), row[1], signed_of(row[2]), row[3], row[4]};
}

template <typename Work>
auto SqlStore::within_lock(Work work) -> std::invoke_result_t<Work, LeaseRow&> {
    if (auto begun = writer_.begin(); !begun) {
        return tl::unexpected(begun.error());
    }
    auto row = lock();
    if (!row) {
        writer_.roll_back();
        return tl::unexpected(row.error());
    }
    auto done = work(*row);
    if (!done) {
        writer_.roll_back();
        return done;
    }
    if (auto committed = writer_.commit(); !committed) {
        const auto lost = committed.error().code == StoreErrc::unreachable;
        writer_.roll_back();
        return fail(lost ? StoreErrc::outcome_unknown : committed.error().code,
                    committed.error().context);
    }
    return done;
}

Result<std::uint64_t> SqlStore::position_in(Sql& sql) {
    auto rows = sql.run("SELECT COALESCE(MAX(position), 0) FROM log", {}, 1);
    if (!rows) {
        return tl::unexpected(rows.error());
    }
    return number_of(rows->front().front());
}

Result<Committed> SqlStore::commit(std::optional<std::uint64_t> token, const Changes& changes) {
    if (auto checked = check_changes(changes, limits_); !checked) {
        return tl::unexpected(checked.error());
    }
    if (!changes.records.empty() && !(token && changes.expected_position)) {
        return fail(Errc::usage, "records need a lease's token and an expected position");
    }
    Json records = Json::array();
    for (const auto& record : changes.records) {
        records.push_back({record.at_unix_ms, record.deployment, record.kind, record.body});
    }
    Json documents = Json::array();
    for (const auto& change : changes.documents) {
        if (change.body && !change.expected_revision) {
            documents.push_back({change.collection, change.key, *change.body});
        }
    }
    Json messages = Json::array();
    for (const auto& message : changes.messages) {
        messages.push_back({message.receiver, message.id, message.at_unix_ms, message.body});
    }
    Batch batch{{},
                records.empty() ? "" : records.dump(),
                documents.empty() ? "" : documents.dump(),
                messages.empty() ? "" : messages.dump()};
    const std::lock_guard lock(write_mutex_);
    batch.id = run_ + "-" + std::to_string(++commits_);
    Committed meant;
    auto done = within_lock([&](LeaseRow& row) {
        auto written = write(row, token, changes, batch);
        if (written) {
            meant = *written;
        }
        return written;
    });
    if (!done && done.error().code == StoreErrc::outcome_unknown) {
        return resolve(token, meant, changes, batch.id);
    }
    return done;
}

Result<Committed> SqlStore::write(const LeaseRow& row, std::optional<std::uint64_t> token,
                                  const Changes& changes, const Batch& batch) {
    if (token && *token != row.token) {
        return fail(StoreErrc::fenced, "token " + std::to_string(*token) + ": '" + row.holder +
                                           "' has token " + std::to_string(row.token));
    }
    auto position = position_in(writer_);
    if (!position) {
        return tl::unexpected(position.error());
    }
    if (changes.expected_position && *changes.expected_position != *position) {
        return fail(StoreErrc::conflict, "the log is at position " + std::to_string(*position) +
                                             ", expected " +
                                             std::to_string(*changes.expected_position));
    }
    auto written =
        write_records(*position, batch)
            .and_then([&] { return write_documents(changes, batch); })
            .and_then([&] { return write_answers(changes.answers); })
            .and_then([&]() -> Result<> {
                if (batch.messages.empty()) {
                    return {};
                }
                return nothing(writer_.run(
                    "INSERT INTO outbox (receiver, id, at, body) SELECT value ->> 0, value ->> 1,"
                    " CAST(value ->> 2 AS bigint), value ->> 3 FROM " +
                        bulk(":a") + " ORDER BY ordinal",
                    {batch.messages}));
            })
            .and_then([&] {
                return nothing(
                    writer_.run("UPDATE lease SET last_commit = :a WHERE id = 1", {batch.id}));
            });
    if (!written) {
        return tl::unexpected(written.error());
    }
    return Committed{*position + changes.records.size()};
}

Result<> SqlStore::write_records(std::uint64_t position, const Batch& batch) {
    if (batch.records.empty()) {
        return {};
    }
    return nothing(writer_.run("INSERT INTO log (position, at, deployment, kind, body, commit_id)"
                               " SELECT CAST(:a AS bigint) + ordinal, CAST(value ->> 0 AS bigint),"
                               " value ->> 1, value ->> 2, value ->> 3, CAST(:b AS text) FROM " +
                                   bulk(":c"),
                               {bound(position), batch.id, batch.records}));
}

Result<> SqlStore::write_documents(const Changes& changes, const Batch& batch) {
    for (const auto& change : changes.documents) {
        if (change.body && !change.expected_revision) {
            continue; // With all others of its kind, below.
        }
        if (auto written = write_document(change); !written) {
            return written;
        }
    }
    if (batch.documents.empty()) {
        return {};
    }
    return nothing(writer_.run("INSERT INTO documents (collection, key, revision, body)"
                               " SELECT value ->> 0, value ->> 1, 1, value ->> 2 FROM " +
                                   bulk(":a") +
                                   " WHERE true ON CONFLICT (collection, key) DO UPDATE"
                                   " SET revision = documents.revision + 1, body = excluded.body",
                               {batch.documents}));
}

Result<> SqlStore::write_document(const DocumentChange& change) {
    const std::string& collection = change.collection;
    const std::string& key = change.key;
    Result<std::vector<SqlRow>> rows;
    if (!change.body && !change.expected_revision) {
        return nothing(writer_.run("DELETE FROM documents WHERE collection = :a AND key = :b",
                                   {collection, key}));
    }
    if (!change.body) {
        rows = writer_.run("DELETE FROM documents WHERE collection = :a AND key = :b"
                           " AND revision = :c RETURNING revision",
                           {collection, key, bound(*change.expected_revision)}, 1);
    } else if (*change.expected_revision == 0) {
        rows = writer_.run("INSERT INTO documents (collection, key, revision, body)"
                           " VALUES (:a, :b, 1, :c) ON CONFLICT DO NOTHING RETURNING revision",
                           {collection, key, *change.body}, 1);
    } else {
        rows = writer_.run("UPDATE documents SET revision = revision + 1, body = :a"
                           " WHERE collection = :b AND key = :c AND revision = :d"
                           " RETURNING revision",
                           {*change.body, collection, key, bound(*change.expected_revision)}, 1);
    }
    if (rows && rows->empty()) {
        return fail(StoreErrc::conflict, collection + " '" + key + "' is not at revision " +
                                             std::to_string(*change.expected_revision));
    }
    return nothing(rows);
}

Result<> SqlStore::write_answers(const std::vector<KeptAnswer>& answers) {
    // An answer that has expired gives way, by the database's clock.
    const std::string now =
        writer_.dialect() == Dialect::sqlite
            ? "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
            : "CAST(floor(extract(epoch FROM clock_timestamp()) * 1000) AS bigint)";
    for (const auto& answer : answers) {
        auto rows =
            writer_.run("INSERT INTO answers (scope, key, request, status, body, expires)"
                        " VALUES (:a, :b, :c, :d, :e, :f) ON CONFLICT (scope, key) DO UPDATE"
                        " SET request = excluded.request, status = excluded.status,"
                        " body = excluded.body, expires = excluded.expires"
                        " WHERE answers.expires <= " +
                            now + " RETURNING status",
                        {answer.scope, answer.key, answer.request, std::int64_t{answer.status},
                         answer.body, answer.expires_unix_ms},
                        1);
        if (rows && rows->empty()) {
            return fail(StoreErrc::conflict, "idempotency key '" + answer.key +
                                                 "' was answered already: read that answer");
        }
        if (!rows) {
            return tl::unexpected(rows.error());
        }
    }
    return {};
}

Result<Committed> SqlStore::resolve(std::optional<std::uint64_t> token, const Committed& meant,
                                    const Changes& changes, const std::string& id) {
    constexpr int attempts = 15; // With the waits between them, a little over a second.
    for (int attempt = 0; attempt < attempts; ++attempt) {
        // A commit that is still under way on the server holds the row: this waits for its end.
        bool done = false;
        bool known = false;
        auto asked = within_lock([&](LeaseRow& row) -> Result<> {
            done = row.last_commit == id;
            known = done || (token && *token == row.token);
            if (known || changes.records.empty()) {
                return {};
            }
            auto rows = writer_.run("SELECT commit_id FROM log WHERE position = :a",
                                    {bound(meant.last_position)}, 1);
            if (!rows) {
                return tl::unexpected(rows.error());
            }
            done = !rows->empty() && rows->front().front() == id;
            known = true;
            return {};
        });
        if (asked && done) {
            return meant;
        }
        if (asked && known) {
            return fail(StoreErrc::unreachable,
                        "the connection was lost at the commit; nothing was written");
        }
        if (asked) {
            break;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds{80});
    }
    return fail(StoreErrc::outcome_unknown, "the connection was lost at the commit, and who"
                                            " committed last cannot be read");
}

Result<> SqlStore::write_lease(const LeaseRow& row) {
    return nothing(writer_.run("UPDATE lease SET token = :a, holder = :b, expires = :c, clock = :d"
                               " WHERE id = 1",
                               {bound(row.token), row.holder, row.expires_ms, row.clock}));
}

Result<Lease> SqlStore::acquire_lease(const std::string& holder, std::chrono::milliseconds ttl) {
    if (auto checked = check_key(holder, "holder", limits_); !checked || holder.empty()) {
        return fail(Errc::usage, "the holder of a lease needs a name");
    }
    const std::lock_guard lock(write_mutex_);
    return within_lock([&](LeaseRow& row) -> Result<Lease> {
        auto now = lease_time(writer_);
        if (!now) {
            return tl::unexpected(now.error());
        }
        const bool valid =
            !row.holder.empty() && row.clock == now->clock && now->ms < row.expires_ms;
        if (valid && row.holder != holder) {
            return Lease{row.token, row.holder,
                         std::chrono::milliseconds{row.expires_ms - now->ms}};
        }
        if (!valid) {
            // Not below the time: a database restored from a backup still gives tokens that are
            // larger than those that the fleet has seen.
            row.token = std::max(row.token + 1, static_cast<std::uint64_t>(now->unix_ms));
        }
        row.holder = holder;
        row.clock = now->clock;
        row.expires_ms = expiry_of(*now, ttl);
        if (auto written = write_lease(row); !written) {
            return tl::unexpected(written.error());
        }
        return Lease{row.token, holder, ttl};
    });
}

Result<Lease> SqlStore::renew_lease(std::uint64_t token, std::chrono::milliseconds ttl) {
    const std::lock_guard lock(write_mutex_);
    return within_lock([&](LeaseRow& row) -> Result<Lease> {
        if (row.token != token || row.holder.empty()) {
            return fail(StoreErrc::fenced, "renew the lease with token " + std::to_string(token) +
                                               ": the present one is " + std::to_string(row.token) +
                                               " of '" + row.holder + "'");
        }
        auto now = lease_time(writer_);
        if (!now) {
            return tl::unexpected(now.error());
        }
        row.clock = now->clock;
        row.expires_ms = expiry_of(*now, ttl);
        if (auto written = write_lease(row); !written) {
            return tl::unexpected(written.error());
        }
        return Lease{row.token, row.holder, ttl};
    });
}

Result<> SqlStore::release_lease(std::uint64_t token) {
    const std::lock_guard lock(write_mutex_);
    return within_lock([&](LeaseRow& row) -> Result<> {
        if (row.token != token) {
            return fail(StoreErrc::fenced, "release the lease with token " + std::to_string(token));
        }
        row.holder.clear();
        row.expires_ms = 0;
        return write_lease(row);
    });
}

Result<> SqlStore::add_events(const std::vector<HostEvent>& events) {
    if (auto checked = check_events(events, limits_); !checked || events.empty()) {
        return checked;
    }
    Json rows = Json::array();
    for (const auto& event : events) {
        rows.push_back({event.host, event.stream, event.id, event.at_unix_ms, event.body});
    }
    const auto text = rows.dump();
    const std::lock_guard lock(write_mutex_);
    return within_lock([&](LeaseRow&) {
        return nothing(writer_.run("INSERT INTO host_events (host, stream, id, at, body)"
                                   " SELECT value ->> 0, value ->> 1, CAST(value ->> 2 AS bigint),"
                                   " CAST(value ->> 3 AS bigint), value ->> 4 FROM " +
                                       bulk(":a") +
                                       " WHERE true ORDER BY ordinal ON CONFLICT DO NOTHING",
                                   {text}));
    });
}

Result<> SqlStore::sent(const std::string& receiver, std::uint64_t sequence) {
    const std::lock_guard lock(write_mutex_);
    return within_lock([&](LeaseRow&) {
        return nothing(writer_.run("DELETE FROM outbox WHERE receiver = :a AND sequence <= :b",
                                   {receiver, bound(sequence)}));
    });
}

Result<> SqlStore::prune(const Prune& prune) {
    const std::lock_guard lock(write_mutex_);
    return within_lock([&](LeaseRow&) {
        return nothing(writer_.run("DELETE FROM answers WHERE expires <= :a", {prune.now_unix_ms}))
            .and_then([&] {
                return nothing(writer_.run("DELETE FROM host_events WHERE at < :a",
                                           {prune.events_before_unix_ms}));
            })
            .and_then([&] {
                return nothing(writer_.run("DELETE FROM host_events WHERE sequence <="
                                           " (SELECT sequence FROM host_events"
                                           " ORDER BY sequence DESC LIMIT 1 OFFSET :a)",
                                           {bound(prune.events_max)}));
            });
    });
}

Result<std::unique_ptr<Store>> open_store(const std::string& url, StoreLimits limits) {
    auto writer = Sql::make(url);
    if (!writer) {
        return tl::unexpected(writer.error());
    }
    auto reader = Sql::make(url);
    if (!reader) {
        return tl::unexpected(reader.error());
    }
    if (auto prepared = prepare_schema(*writer); !prepared) {
        return tl::unexpected(prepared.error());
    }
    return std::make_unique<SqlStore>(std::move(*writer), std::move(*reader), limits);
}

} // namespace slipway::orchestrator
