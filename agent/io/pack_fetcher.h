#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "agent/core/seeder_info.h"
#include "agent/core/transfer_limits.h"
#include "agent/io/host_layout.h"
#include "agent/io/pack_files.h"
#include "agent/io/pack_source.h"
#include "agent/io/swarm_caller.h"
#include "common/repository/reader.h"
#include "common/swarm/pack_session.h"
#include "common/swarm/tls_watch.h"

namespace slipway::agent {

/// A place that was named with --seeder.
struct Seeder {
    std::string address;
    std::string directory;          ///< Of a repository on this host, or empty.
    std::optional<SeederInfo> info; ///< None: a plain web server, or not asked yet.
};

struct FetcherOptions {
    std::string listen; ///< "IP:PORT" for peers; empty: loopback if all seeders are, else any.
    std::chrono::milliseconds patience{30'000}; ///< Without any progress.
    std::shared_ptr<HttpTls> tls; ///< For https seeders; none: the system's authorities.
    std::string zone;             ///< What the seeder is told of where this host is; empty: it
    std::string region;           ///< knows by the address, or it makes no difference.
    std::shared_ptr<swarm::TlsWatch> swarm_tls; ///< With it swarms are SSL torrents.
};

/// Gets parts of packs from seeders and peers into ROOT/packs: over BitTorrent where a seeder
/// speaks it, from its web server where not, by copying where the repository is a directory of this
/// host. What is there already and right is not fetched again. Every piece is verified against the
/// pack's address, which is signed. Not thread-safe.
class PackFetcher final : public PackSource {
public:
    /// All must outlive the fetcher.
    PackFetcher(const HostLayout& host, const std::vector<std::string>& seeders,
                FetcherOptions options, Progress& progress);
    ~PackFetcher() override;
    PackFetcher(const PackFetcher&) = delete;
    PackFetcher& operator=(const PackFetcher&) = delete;

    /// Metainfo and stock of each pack: what fetch() would get, in whole pieces, pack by pack.
    /// Errors: no seeder has right metainfo; each one's reason is told.
    [[nodiscard]] Result<std::vector<std::vector<Range>>>
    missing(const std::vector<PackRequest>& requests, std::stop_token stop) override;

    /// Gets what missing() gave for `requests`; the blocks are reserved first. The seeders are
    /// tried together; a bad one is told of by a note and left out.
    [[nodiscard]] Result<> fetch(const std::vector<PackRequest>& requests,
                                 std::stop_token stop) override;

    /// Shares what was fetched or found until `duration` is over or a stop is requested.
    [[nodiscard]] Result<> share(std::chrono::seconds duration, std::stop_token stop);

    /// For who fetches for long, one installation after the other: what is on the disk is looked at
    /// anew, and seeders are asked anew who they are.
    void begin_anew();
    /// Shares what is right of `on_disk`, ranges of the pack that an earlier process left; fetches
    /// nothing of it. Needs the pack's metainfo on the disk and a seeder on the network.
    [[nodiscard]] Result<> share_stock(const PackId& id, const std::vector<Range>& on_disk,
                                       std::stop_token stop);
    /// Leaves the pack's swarms, so that its file may be removed.
    [[nodiscard]] Result<> forget(const PackId& id);
    /// Limits of the session, also of one that is yet to be started. May be called while another
    /// thread does anything else.
    void set_rates(const Rates& rates);
    [[nodiscard]] Result<> follow_authorities();
    [[nodiscard]] std::vector<swarm::SwarmStatus> swarms() const;
    [[nodiscard]] std::uint64_t uploaded_bytes() const;

    [[nodiscard]] const FetchTotals& totals() const { return totals_; }

private:
    struct Known {
        PackFile file;
        std::vector<Range> wanted; ///< All that was ever asked for; merged.
    };
    struct Shared {
        std::uint64_t inode = 0;
        std::vector<Range> ranges;
    };
    [[nodiscard]] Result<> leave_if_gone(const PackId& id, const std::vector<Range>& missing);
    void note_shared(const PackFile& file, const std::vector<Range>& ranges);
    [[nodiscard]] Result<Known*> know(const PackId& id, std::stop_token stop);
    [[nodiscard]] Result<PackFile> load_metainfo(const PackId& id);
    void ask_seeders(std::stop_token stop);
    [[nodiscard]] Result<> start_session();
    [[nodiscard]] const Seeder* assigning() const;
    void call_seeder();
    [[nodiscard]] swarm::FetchRequest request_for(const Known& known,
                                                  const std::vector<Range>& wanted) const;
    [[nodiscard]] Result<> copy_from_directories(PackFile& pack, std::vector<Range>& missing,
                                                 std::stop_token stop);
    [[nodiscard]] Result<> fetch_over_network(const std::vector<swarm::FetchRequest>& requests,
                                              std::stop_token stop);
    [[nodiscard]] bool has_network() const;

    const HostLayout& host_;
    FetcherOptions options_;
    Progress& progress_;
    std::vector<Seeder> seeders_;
    bool asked_ = false;
    std::map<PackId, Known> known_;
    std::unique_ptr<swarm::PackSession> session_;
    std::unique_ptr<SwarmCaller> caller_; ///< Uses the session's swarms.
    FetchTotals totals_;
    std::map<PackId, Shared> shared_; ///< What the session holds to be on the disk.
    std::mutex rates_mutex_;          ///< Of the start of the session, and of:
    Rates rates_;
};

} // namespace slipway::agent
