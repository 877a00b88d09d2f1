#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "common/core/result.h"
#include "common/format/pack.h"
#include "common/swarm/swarm_tls.h"

namespace slipway::swarm {

class Assignments;

struct SessionOptions {
    std::string listen = "127.0.0.1:0";         ///< "IP:PORT"; port 0 takes a free one.
    std::uint64_t upload_bytes_per_s_max = 0;   ///< 0: no limit.
    std::uint64_t download_bytes_per_s_max = 0; ///< 0: no limit.
    int connections_max = 400;
    int upload_slots = 8; ///< Connections that are served at a time; a peer has one a pack.
    /// A source shows each agent other pieces (spread.h); what it seeds is whole. Else an agent.
    bool source = false;
    /// With it every swarm is an SSL torrent, and plain peers are not even listened for. Null:
    /// plain swarms, for loopback and trusted networks.
    std::shared_ptr<const SwarmTls> tls;
};

/// One swarm of a session.
struct SwarmStatus {
    PackId pack;
    Sha256Digest info_hash;
    std::string authority; ///< SHA-256 of its certificate in hexadecimal; empty: a plain swarm.
    int peers = 0;         ///< Connected.
};

struct PeerAddress {
    std::string ip;
    std::uint16_t port = 0;
};

/// Byte range of a pack.
struct ByteRange {
    std::uint64_t offset = 0;
    std::uint64_t bytes = 0;
};

struct FetchRequest {
    PackId pack;
    Bytes metainfo; ///< Verified by verify_metainfo().
    std::filesystem::path
        file; ///< Created sparse at full length; pieces already there are kept if they verify.
    std::vector<ByteRange> wanted;     ///< Only pieces that touch these are fetched.
    std::vector<std::string> trackers; ///< "http://host:port/announce"
    std::vector<PeerAddress> peers;
    bool assigned = false;              ///< Peers come through PackSession::assignments(), too.
    std::vector<std::string> web_seeds; ///< URLs of the pack itself (BEP 19).
    /// With trackers or peers at hand, web seeds are used only after this time without progress.
    std::chrono::milliseconds web_seed_delay{3'000};
};

struct FetchReport {
    std::uint64_t wanted_bytes = 0;   ///< Of the pieces that were missing.
    std::uint64_t received_bytes = 0; ///< Payload received, redundant and failed included.
    std::uint64_t failed_bytes = 0;   ///< Of pieces that did not verify.
    std::vector<std::string> banned;  ///< Peers and web seeds that sent bad data: "1.2.3.4:6881".
};

/// One libtorrent session that fetches and shares packs. libtorrent runs its own thread; calls here
/// block the caller and may come from one thread at a time.
class PackSession {
public:
    [[nodiscard]] static Result<std::unique_ptr<PackSession>> start(const SessionOptions& options);
    ~PackSession(); ///< Announces `stopped` and closes within about a second.

    /// Shares a pack whose file the caller knows to be whole and right; nothing is hashed again.
    [[nodiscard]] Result<> seed(const PackId& pack, ByteSpan metainfo,
                                const std::filesystem::path& file,
                                const std::vector<std::string>& trackers);
    [[nodiscard]] Result<> remove(const PackId& pack);

    /// After SwarmTls::replace(): joins the swarms of authorities that are new for every pack that
    /// is seeded, and leaves those of authorities that are gone.
    [[nodiscard]] Result<> follow_authorities();
    /// Under which info-hashes a pack is shared: one for each authority.
    [[nodiscard]] std::vector<Sha256Digest> info_hashes(const PackId& pack) const;
    /// How much each swarm is in use: when that of an old authority has no peers, it is drained.
    [[nodiscard]] std::vector<SwarmStatus> swarms() const;

    /// Fetches all requests at once and keeps sharing what it has. Every piece is verified against
    /// the pieces root; a peer that sends bad data is named in the report and not asked again.
    /// `progress` is called with payload bytes that arrived since the last call.
    /// Errors: Errc::unreachable after `patience` without any progress, saying for each source why;
    /// Errc::verification_failed when only bad data is to be had; Errc::cancelled.
    [[nodiscard]] Result<FetchReport> fetch(const std::vector<FetchRequest>& requests,
                                            std::chrono::milliseconds patience,
                                            const std::function<void(std::uint64_t)>& progress,
                                            std::stop_token stop);

    /// Changes the limits of the options. May be called while another thread fetches.
    void set_rates(std::uint64_t upload_bytes_per_s_max, std::uint64_t download_bytes_per_s_max);

    /// By which another thread tells a tracker how its swarms stand, and brings peers to them.
    [[nodiscard]] std::shared_ptr<Assignments> assignments() const;
    /// The port that was bound.
    [[nodiscard]] std::uint16_t port() const;
    /// Payload bytes sent to peers since start.
    [[nodiscard]] std::uint64_t uploaded_bytes() const;

private:
    PackSession();
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace slipway::swarm
