#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/result.h"

namespace slipway::orchestrator {

/// Failures of the store that callers tell apart. Others: Errc::usage (an argument beyond a bound
/// of StoreLimits, or text that is no UTF-8), Errc::not_found, Errc::failed (the context has the
/// database's words).
enum class StoreErrc {
    fenced = 1,  ///< Another orchestrator has taken the lease. Nothing was written. Stop driving.
    conflict,    ///< The expected position or revision is not the present one. Nothing written.
    unreachable, ///< The database does not answer. Nothing was written. Try again.
    outcome_unknown, ///< The connection was lost at the commit and the answer cannot be had: read
                     ///< last_position() and the documents again before anything else is done.
    newer_schema,    ///< A newer Slipway wrote this database. Nothing was changed.
};
std::error_code make_error_code(StoreErrc errc);

/// What is refused before it reaches the database.
struct StoreLimits {
    std::size_t body_bytes_max = 8ULL * 1024 * 1024;    ///< Of one record, document or answer.
    std::size_t key_bytes_max = 512;                    ///< Of a key, kind, collection or id.
    std::size_t changes_max = 50'000;                   ///< Entries of one commit.
    std::size_t commit_bytes_max = 64ULL * 1024 * 1024; ///< All bodies of one commit.
    std::size_t page_max = 10'000;                      ///< Rows of one read.
};

/// A line of the log. Positions are 1, 2, 3, ... without holes; `deployment` may be empty (a
/// freeze, an environment). The body is JSON that the store does not look into.
struct LogRecord {
    std::uint64_t position = 0; ///< Given by the store.
    std::int64_t at_unix_ms = 0;
    std::string deployment;
    std::string kind;
    std::string body;
};

/// A versioned document. Its first revision is 1 and each change adds 1; a key that was removed
/// begins at 1 again.
struct Document {
    std::string key;
    std::uint64_t revision = 0;
    std::string body; ///< JSON.
};

/// Puts (`body`) or removes (no body) a document.
struct DocumentChange {
    std::string collection;
    std::string key;
    std::optional<std::string> body;
    /// Compare-and-set: the revision that must be the present one; 0: there must be none. Absent:
    /// whatever is there.
    std::optional<std::uint64_t> expected_revision{};
};

/// What a request with an idempotency key was answered. `request` is a digest of the request, so
/// that a key used twice for different ones is noticed.
struct KeptAnswer {
    std::string scope; ///< Who asked: keys of two callers never meet.
    std::string key;
    std::string request;
    int status = 0;
    std::string body;
    std::int64_t expires_unix_ms = 0;
};

/// A message that waits to be sent to a receiver; see orchestrator/io/notifier.h.
struct OutboxMessage {
    std::uint64_t sequence = 0; ///< Given by the store; grows.
    std::string receiver;
    std::string id; ///< The same on every attempt: receivers dedupe by it.
    std::string body;
    std::int64_t at_unix_ms = 0;
};

/// An event that a host reported. (host, stream, id) is unique: telling it again changes nothing.
struct HostEvent {
    std::uint64_t sequence = 0; ///< Given by the store; grows.
    std::string host;
    std::string stream;   ///< Which run of ids: a host that was set up anew counts from 1 again.
    std::uint64_t id = 0; ///< Of the host; grows.
    std::int64_t at_unix_ms = 0;
    std::string body; ///< JSON.
};

/// The right to drive the fleet. `token` is the fencing token: each new holder's is larger than all
/// before. It is the epoch that agents compare.
struct Lease {
    std::uint64_t token = 0;
    std::string holder;
    std::chrono::milliseconds left{}; ///< By the database's clock, when it was asked.
};
/// A holder renews every 500 ms and stops driving when it could not for `lease_ttl`; a candidate
/// tries every 250 ms: the next one drives at most 3 s after the last renewal.
inline constexpr std::chrono::milliseconds lease_ttl{2'000};

/// All that one transaction writes: everything or nothing, durable when commit() gives a value.
struct Changes {
    /// Position of the last record that the caller knows; needed with `records`.
    std::optional<std::uint64_t> expected_position{};
    std::vector<LogRecord> records{}; ///< `position` is ignored.
    std::vector<DocumentChange> documents{};
    std::vector<KeptAnswer> answers{};
    std::vector<OutboxMessage> messages{}; ///< `sequence` is ignored.
};

/// What commit() gives back.
struct Committed {
    std::uint64_t last_position = 0; ///< Of the log.
};

/// The orchestrator's database: an append-only log, versioned documents, answers by idempotency
/// key, a lease, host events and an outbox.
///
/// Guarantees, on SQLite (WAL, synchronous=FULL) and on PostgreSQL (synchronous_commit=on) alike:
/// - commit() is one durable transaction. After kill -9 or power loss the log is a prefix without
///   holes, and holds all that was acknowledged.
/// - A commit with a fencing token that is not the lease's is refused, also when the process was
///   stopped between its check and its commit: the lease's row is locked until the commit.
/// - A connection lost at the commit is resolved by reading: the caller is told done or not done,
///   and StoreErrc::outcome_unknown only if the database cannot be asked for a second.
///
/// Threads: thread-safe; writes take turns and reads take turns, apart from each other. Blocking:
/// one disk flush per commit and at most about 5 s when the database is gone. Never call it on the
/// io thread. A lost connection is made again by a later call, with backoff (100 ms to 1 s);
/// calls before that fail at once.
class Store {
public:
    virtual ~Store() = default;

    /// Writes `changes`. `token` is that of the caller's lease; without one nothing is fenced and
    /// `changes` must hold no records. Errors: StoreErrc.
    [[nodiscard]] virtual Result<Committed> commit(std::optional<std::uint64_t> token,
                                                   const Changes& changes) = 0;

    /// 0: the log is empty.
    [[nodiscard]] virtual Result<std::uint64_t> last_position() = 0;
    /// At most `limit` records after `after`, in order; of one deployment if given.
    [[nodiscard]] virtual Result<std::vector<LogRecord>>
    read_log(std::uint64_t after, std::size_t limit,
             std::optional<std::string> deployment = std::nullopt) = 0;

    /// Error: Errc::not_found.
    [[nodiscard]] virtual Result<Document> document(const std::string& collection,
                                                    const std::string& key) = 0;
    /// At most `limit` documents with keys above `after`, in bytewise order of keys.
    [[nodiscard]] virtual Result<std::vector<Document>>
    documents(const std::string& collection, const std::string& after, std::size_t limit) = 0;

    /// The answer kept for a key that has not expired at `now_unix_ms`, if any.
    [[nodiscard]] virtual Result<std::optional<KeptAnswer>>
    answer(const std::string& scope, const std::string& key, std::int64_t now_unix_ms) = 0;

    /// Takes the lease if it is free, expired or `holder`'s own; else gives the present holder's
    /// (compare `holder`). `holder` names one run of one process. A holder that comes back after
    /// its lease expired gets a new token.
    [[nodiscard]] virtual Result<Lease> acquire_lease(const std::string& holder,
                                                      std::chrono::milliseconds ttl) = 0;
    /// Extends it. Error: StoreErrc::fenced when it is another's or was given back.
    [[nodiscard]] virtual Result<Lease> renew_lease(std::uint64_t token,
                                                    std::chrono::milliseconds ttl) = 0;
    /// Gives it back, so that another may take it at once. Error: StoreErrc::fenced.
    [[nodiscard]] virtual Result<> release_lease(std::uint64_t token) = 0;

    /// Keeps events; those that are there already are left as they are. `sequence` is ignored.
    [[nodiscard]] virtual Result<> add_events(const std::vector<HostEvent>& events) = 0;
    /// At most `limit` events with a sequence above `after`; of one host if given.
    [[nodiscard]] virtual Result<std::vector<HostEvent>>
    events(std::uint64_t after, std::size_t limit,
           std::optional<std::string> host = std::nullopt) = 0;

    /// Messages for `receiver`, oldest first, with a sequence above `after`.
    [[nodiscard]] virtual Result<std::vector<OutboxMessage>>
    outbox(const std::string& receiver, std::uint64_t after, std::size_t limit) = 0;
    /// Drops the messages for `receiver` up to `sequence`: they were delivered or given up.
    [[nodiscard]] virtual Result<> sent(const std::string& receiver, std::uint64_t sequence) = 0;

    /// Drops expired answers, events older than `events_before_unix_ms`, and the oldest events
    /// beyond `events_max`. Never the log.
    struct Prune {
        std::int64_t now_unix_ms = 0;
        std::int64_t events_before_unix_ms = 0;
        std::uint64_t events_max = 1'000'000;
    };
    [[nodiscard]] virtual Result<> prune(const Prune& prune) = 0;
};

/// Opens "sqlite:/path/to/file" (made if missing, mode 0600) or "postgresql://user@host/database".
/// A fresh database gets its tables; an older schema is migrated in one transaction. A password
/// belongs into a passfile (`?passfile=/etc/slipway/pgpass`); one in the URL works, and stays out
/// of every message. Errors: Errc::usage (another URL), StoreErrc::newer_schema,
/// StoreErrc::unreachable, Errc::failed.
[[nodiscard]] Result<std::unique_ptr<Store>> open_store(const std::string& url,
                                                        StoreLimits limits = {});

/// The URL for messages: a password, wherever it may stand, is replaced by "***".
[[nodiscard]] std::string without_password(std::string_view url);

} // namespace slipway::orchestrator
template <>
struct std::is_error_code_enum<slipway::orchestrator::StoreErrc> : std::true_type {};
