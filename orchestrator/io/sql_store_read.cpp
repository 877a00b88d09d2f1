#include <algorithm>

#include "common/core/errc.h"
#include "orchestrator/io/sql_store.h"

namespace slipway::orchestrator {
namespace {

std::int64_t bound(std::uint64_t value) {
    return static_cast<std::int64_t>(value);
}

template <typename Row>
Result<std::vector<Row>> all(const Result<std::vector<SqlRow>>& rows,
                             Row (*row_of)(const SqlRow&)) {
    if (!rows) {
        return tl::unexpected(rows.error());
    }
    std::vector<Row> out;
    out.reserve(rows->size());
    for (const auto& row : *rows) {
        out.push_back(row_of(row));
    }
    return out;
}

LogRecord record_of(const SqlRow& row) {
    return {number_of(row[0]), signed_of(row[1]), row[2], row[3], row[4]};
}

Document document_of(const SqlRow& row) {
    return {row[0], number_of(row[1]), row[2]};
}

HostEvent event_of(const SqlRow& row) {
    return {number_of(row[0]), row[1], row[2], number_of(row[3]), signed_of(row[4]), row[5]};
}

OutboxMessage message_of(const SqlRow& row) {
    return {number_of(row[0]), row[1], row[2], row[3], signed_of(row[4])};
}

} // namespace

Result<std::uint64_t> SqlStore::last_position() {
    const std::lock_guard lock(read_mutex_);
    return position_in(reader_);
}

Result<std::vector<LogRecord>> SqlStore::read_log(std::uint64_t after, std::size_t limit,
                                                  std::optional<std::string> deployment) {
    const auto count = bound(std::min(limit, limits_.page_max));
    const std::lock_guard lock(read_mutex_);
    if (deployment) {
        return all(reader_.run("SELECT position, at, deployment, kind, body FROM log"
                               " WHERE deployment = :a AND position > :b ORDER BY position"
                               " LIMIT :c",
                               {*deployment, bound(after), count}, 5),
                   record_of);
    }
    return all(reader_.run("SELECT position, at, deployment, kind, body FROM log"
                           " WHERE position > :a ORDER BY position LIMIT :b",
                           {bound(after), count}, 5),
               record_of);
}

Result<Document> SqlStore::document(const std::string& collection, const std::string& key) {
    const std::lock_guard lock(read_mutex_);
    auto rows = reader_.run("SELECT key, revision, body FROM documents WHERE collection = :a"
                            " AND key = :b",
                            {collection, key}, 3);
    if (!rows) {
        return tl::unexpected(rows.error());
    }
    if (rows->empty()) {
        return fail(Errc::not_found, collection + " '" + key + "'");
    }
    return document_of(rows->front());
}

Result<std::vector<Document>> SqlStore::documents(const std::string& collection,
                                                  const std::string& after, std::size_t limit) {
    const std::lock_guard lock(read_mutex_);
    return all(reader_.run("SELECT key, revision, body FROM documents WHERE collection = :a"
                           " AND key > :b ORDER BY key LIMIT :c",
                           {collection, after, bound(std::min(limit, limits_.page_max))}, 3),
               document_of);
}

Result<std::optional<KeptAnswer>> SqlStore::answer(const std::string& scope, const std::string& key,
                                                   std::int64_t now_unix_ms) {
    const std::lock_guard lock(read_mutex_);
    auto rows = reader_.run("SELECT request, status, body, expires FROM answers WHERE scope = :a"
                            " AND key = :b AND expires > :c",
                            {scope, key, now_unix_ms}, 4);
    if (!rows) {
        return tl::unexpected(rows.error());
    }
    if (rows->empty()) {
        return std::nullopt;
    }
    const auto& row = rows->front();
    return KeptAnswer{
        scope, key, row[0], static_cast<int>(signed_of(row[1])), row[2], signed_of(row[3])};
}

Result<std::vector<HostEvent>> SqlStore::events(std::uint64_t after, std::size_t limit,
                                                std::optional<std::string> host) {
    const auto count = bound(std::min(limit, limits_.page_max));
    const std::lock_guard lock(read_mutex_);
    if (host) {
        return all(reader_.run("SELECT sequence, host, stream, id, at, body FROM host_events"
                               " WHERE host = :a AND sequence > :b ORDER BY sequence LIMIT :c",
                               {*host, bound(after), count}, 6),
                   event_of);
    }
    return all(reader_.run("SELECT sequence, host, stream, id, at, body FROM host_events"
                           " WHERE sequence > :a ORDER BY sequence LIMIT :b",
                           {bound(after), count}, 6),
               event_of);
}

Result<std::vector<OutboxMessage>> SqlStore::outbox(const std::string& receiver,
                                                    std::uint64_t after, std::size_t limit) {
    const std::lock_guard lock(read_mutex_);
    return all(reader_.run("SELECT sequence, receiver, id, body, at FROM outbox"
                           " WHERE receiver = :a AND sequence > :b ORDER BY sequence LIMIT :c",
                           {receiver, bound(after), bound(std::min(limit, limits_.page_max))}, 5),
               message_of);
}

} // namespace slipway::orchestrator
