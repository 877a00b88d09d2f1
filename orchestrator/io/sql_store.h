#pragma once

#include <atomic>
#include <mutex>

#include "orchestrator/io/sql.h"
#include "orchestrator/io/store.h"

namespace slipway::orchestrator {

/// The one implementation of Store, over SOCI: one connection for all that writes, one for all that
/// reads. Statements are the same on both databases but for how each unpacks a JSON array, which is
/// how any number of rows is written by one statement.
///
///     begin; lock the lease's row; compare token and position; write; commit
///
/// Every writing transaction takes that row first, so that writers of all orchestrators take turns.
class SqlStore final : public Store {
public:
    SqlStore(Sql writer, Sql reader, StoreLimits limits);

    [[nodiscard]] Result<Committed> commit(std::optional<std::uint64_t> token,
                                           const Changes& changes) override;
    [[nodiscard]] Result<std::uint64_t> last_position() override;
    [[nodiscard]] Result<std::vector<LogRecord>>
    read_log(std::uint64_t after, std::size_t limit,
             std::optional<std::string> deployment) override;
    [[nodiscard]] Result<Document> document(const std::string& collection,
                                            const std::string& key) override;
    [[nodiscard]] Result<std::vector<Document>>
    documents(const std::string& collection, const std::string& after, std::size_t limit) override;
    [[nodiscard]] Result<std::optional<KeptAnswer>>
    answer(const std::string& scope, const std::string& key, std::int64_t now_unix_ms) override;
    [[nodiscard]] Result<Lease> acquire_lease(const std::string& holder,
                                              std::chrono::milliseconds ttl) override;
    [[nodiscard]] Result<Lease> renew_lease(std::uint64_t token,
                                            std::chrono::milliseconds ttl) override;
    [[nodiscard]] Result<> release_lease(std::uint64_t token) override;
    [[nodiscard]] Result<> add_events(const std::vector<HostEvent>& events) override;
    [[nodiscard]] Result<std::vector<HostEvent>> events(std::uint64_t after, std::size_t limit,
                                                        std::optional<std::string> host) override;
    [[nodiscard]] Result<std::vector<OutboxMessage>>
    outbox(const std::string& receiver, std::uint64_t after, std::size_t limit) override;
    [[nodiscard]] Result<> sent(const std::string& receiver, std::uint64_t sequence) override;
    [[nodiscard]] Result<> prune(const Prune& prune) override;

private:
    /// The lease's row, locked for the rest of the transaction.
    struct LeaseRow {
        std::uint64_t token = 0;
        std::string holder;
        std::int64_t expires_ms = 0;
        std::string clock;
        std::string last_commit;
    };
    /// `changes` as the statements take it: made before the transaction begins, for the row is
    /// locked until it ends.
    struct Batch;

    [[nodiscard]] std::string bulk(const std::string& parameter) const;
    [[nodiscard]] Result<LeaseRow> lock();
    [[nodiscard]] Result<> write_lease(const LeaseRow& row);
    /// `work` in a transaction, with the row locked.
    template <typename Work>
    [[nodiscard]] auto within_lock(Work work) -> std::invoke_result_t<Work, LeaseRow&>;
    [[nodiscard]] Result<Committed> write(const LeaseRow& row, std::optional<std::uint64_t> token,
                                          const Changes& changes, const Batch& batch);
    [[nodiscard]] Result<> write_records(std::uint64_t position, const Batch& batch);
    [[nodiscard]] Result<> write_documents(const Changes& changes, const Batch& batch);
    [[nodiscard]] Result<> write_document(const DocumentChange& change);
    [[nodiscard]] Result<> write_answers(const std::vector<KeptAnswer>& answers);
    [[nodiscard]] Result<std::uint64_t> position_in(Sql& sql);
    /// After a connection that was lost at the commit `id`.
    [[nodiscard]] Result<Committed> resolve(std::optional<std::uint64_t> token,
                                            const Committed& meant, const Changes& changes,
                                            const std::string& id);

    std::mutex write_mutex_; ///< Guards writer_ and commits_.
    Sql writer_;
    std::mutex read_mutex_; ///< Guards reader_.
    Sql reader_;
    StoreLimits limits_;
    std::string run_; ///< Random: tells this process's commits from all others.
    std::uint64_t commits_ = 0;
};

} // namespace slipway::orchestrator
