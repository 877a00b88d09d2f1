#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <libtorrent/session.hpp>
#include <libtorrent/torrent_handle.hpp>

#include "common/swarm/assignments.h"
#include "common/swarm/doorkeeper.h"
#include "common/swarm/ledger.h"
#include "common/swarm/pack_session.h"
#include "common/swarm/spread_plugin.h"

namespace slipway::swarm {

/// A pack has one swarm for each authority; the plain one has none (all zeros).
struct SwarmId {
    PackId pack;
    Sha256Digest authority;
    auto operator<=>(const SwarmId&) const = default;
};

struct Torrent {
    lt::torrent_handle handle;
    Sha256Digest info_hash;
    std::shared_ptr<const lt::torrent_info> info;
    std::shared_ptr<Ledger> ledger;
    std::filesystem::path file;
    std::vector<Sha256Digest> layer;
    std::optional<Error> disk_error; ///< libtorrent could not read or write the file.
    std::shared_ptr<std::atomic<int>> peers = std::make_shared<std::atomic<int>>(0);
};

/// A pack to add: its verified piece layer, and where its bytes are.
struct TorrentSource {
    PackId pack;
    std::vector<Sha256Digest> layer;
    std::filesystem::path file;
    std::vector<std::string> trackers;
    std::vector<PeerAddress> peers;
};

/// The packs of one libtorrent session, and the door through which libtorrent's exceptions, alerts
/// and error codes do not pass. libtorrent's own thread does the work; one other thread at a time
/// may call.
class Torrents {
public:
    [[nodiscard]] static Result<std::unique_ptr<Torrents>> start(const SessionOptions& options);
    ~Torrents();
    Torrents(const Torrents&) = delete;
    Torrents& operator=(const Torrents&) = delete;

    /// The authority whose swarms are fetched from.
    [[nodiscard]] Sha256Digest own_authority() const;
    /// The pack's swarm of that authority; null if it is not shared. Valid until it is removed.
    [[nodiscard]] Torrent* find(const PackId& pack);
    /// Shares the pieces of `ledger.have()` and fetches those that are wanted. The swarm must not
    /// be there already.
    [[nodiscard]] Result<Torrent*> add(const TorrentSource& source, const Sha256Digest& authority,
                                       std::shared_ptr<Ledger> ledger);
    /// Shares a whole pack in the swarms of all authorities, those to come included.
    [[nodiscard]] Result<> seed(TorrentSource source);
    /// Leaves all swarms of the pack. Returns when libtorrent has let go of the file.
    [[nodiscard]] Result<> remove(const PackId& pack);
    [[nodiscard]] Result<> follow_authorities();
    [[nodiscard]] std::vector<SwarmStatus> swarms() const;
    /// Makes libtorrent fetch what the ledger wants, and no more.
    void follow_ledger(Torrent& torrent);
    void add_sources(Torrent& torrent, const std::vector<std::string>& trackers,
                     const std::vector<PeerAddress>& peers);
    void announce(Torrent& torrent);
    /// Returns when what passed is in the file for every reader.
    [[nodiscard]] Result<> flush(const std::vector<Torrent*>& torrents);
    /// May be called while another thread does anything else.
    void set_rates(std::uint64_t upload_bytes_per_s_max, std::uint64_t download_bytes_per_s_max);
    /// Takes in what libtorrent reported.
    void pump();

    [[nodiscard]] std::shared_ptr<Signal> signal() const { return signal_; }
    [[nodiscard]] std::shared_ptr<Assignments> assignments() const { return assignments_; }
    [[nodiscard]] std::uint16_t port() const { return port_; }
    [[nodiscard]] std::uint64_t uploaded_bytes() const { return *uploaded_bytes_; }

private:
    Torrents() = default;
    [[nodiscard]] Result<> listen(const SessionOptions& options);
    void take(lt::alert& alert);
    [[nodiscard]] Torrent* torrent_of(const lt::torrent_handle& handle);
    [[nodiscard]] Torrent* find(const SwarmId& swarm);
    [[nodiscard]] std::vector<Sha256Digest> authorities() const;
    [[nodiscard]] Result<> start(Torrent& torrent, const TorrentSource& source,
                                 const Sha256Digest& authority);
    [[nodiscard]] Result<> join(const TorrentSource& source);
    [[nodiscard]] Result<> leave(const SwarmId& swarm);

    std::shared_ptr<Signal> signal_ = std::make_shared<Signal>();
    std::shared_ptr<std::atomic<std::uint64_t>> uploaded_bytes_ =
        std::make_shared<std::atomic<std::uint64_t>>(0);
    std::unique_ptr<lt::session> session_;
    std::shared_ptr<const SwarmTls> tls_; ///< Null: plain swarms.
    std::shared_ptr<Assignments> assignments_ = std::make_shared<Assignments>();
    std::shared_ptr<SpreadTicks> ticks_ = make_spread_ticks();
    std::shared_ptr<Door> door_ = std::make_shared<Door>();
    std::map<SwarmId, Torrent> torrents_;
    std::map<lt::torrent_handle, SwarmId> swarms_;
    std::map<PackId, TorrentSource> seeds_;
    std::set<lt::torrent_handle> removed_; ///< Removals that libtorrent finished.
    std::set<lt::torrent_handle> flushed_;
    std::optional<std::string> listen_error_;
    std::uint16_t port_ = 0;
    bool source_ = false; ///< As SessionOptions say.
};

/// Tracker URL or peer as libtorrent takes it. Error: Errc::usage.
[[nodiscard]] Result<lt::tcp::endpoint> endpoint_of(const PeerAddress& peer);

} // namespace slipway::swarm
