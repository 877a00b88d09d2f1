#include "common/swarm/hash_guard.h"

#include <map>
#include <random>
#include <set>

#include <libtorrent/aux_/socket_type.hpp>
#include <libtorrent/bdecode.hpp>
#include <libtorrent/error_code.hpp>
#include <libtorrent/extensions.hpp>
#include <libtorrent/peer_connection.hpp>
#include <libtorrent/peer_connection_handle.hpp>
#include <libtorrent/peer_request.hpp>
#include <libtorrent/torrent_peer.hpp>
#include <libtorrent/version.hpp>

#include "common/swarm/blame.h"

// The guard reaches into torrent_peer, whose layout is private to a release. Releases from 2.0.14
// on do not need it.
static_assert(LIBTORRENT_VERSION_NUM >= 20008 && LIBTORRENT_VERSION_NUM < 20014,
              "read hash_guard.h, then decide whether this libtorrent still needs the guard");

namespace slipway::swarm {
namespace {

using Clock = std::chrono::steady_clock;
// Twice the second in which a peer is looked at.
constexpr std::chrono::seconds stalled_after{2};

std::string name_of(const lt::tcp::endpoint& endpoint) {
    std::string address = endpoint.address().to_string();
    if (endpoint.address().is_v6()) {
        address = "[" + address + "]";
    }
    return address + ":" + std::to_string(endpoint.port());
}

// "10.0.0.1:6881" -> "10.0.0.1", "[fc00::1]:6881" -> "fc00::1".
std::string address_in(const std::string& name) {
    const auto address = name.substr(0, name.rfind(':'));
    return address.starts_with('[') ? address.substr(1, address.size() - 2) : address;
}

std::uint64_t random_key() {
    std::random_device random;
    return std::uint64_t{random()} << 32U | random();
}

class GuardedPeer;

// Shared by a torrent's connections; used on libtorrent's thread only.
struct Evidence {
    Blame blame;
    Quarantine quarantine;
    std::map<std::string, std::set<GuardedPeer*>> senders; ///< Live connections by name.
    std::uint64_t key = random_key();
};

class GuardedPeer final : public lt::peer_plugin {
public:
    GuardedPeer(std::shared_ptr<Ledger> ledger,
                std::shared_ptr<std::atomic<std::uint64_t>> uploaded_bytes,
                std::shared_ptr<Evidence> evidence, lt::peer_connection_handle connection)
        : evidence_(std::move(evidence)), ledger_(std::move(ledger)),
          uploaded_bytes_(std::move(uploaded_bytes)), connection_(std::move(connection)),
          name_(name_of(connection_.remote())) {
        evidence_->senders[name_].insert(this);
        note("no answer to the connection attempt");
    }
    ~GuardedPeer() override { rename({}); }
    GuardedPeer(const GuardedPeer&) = delete;
    GuardedPeer& operator=(const GuardedPeer&) = delete;

    bool on_handshake(lt::span<const char> /*reserved*/) override {
        auto* const entry = peer_entry();
        if (entry == nullptr || !entry->protocol_v2) {
            // No v2 peer; or not the layout that this was compiled for, and then nothing is safe.
            connection_.disconnect(lt::errors::invalid_info_hash, lt::operation_t::bittorrent);
            return true;
        }
        entry->protocol_v2 = false;
        guarded_ = true;
        note("connected, but it sent nothing that is wanted");
        return true;
    }

    // A peer that called us has a port of no meaning until it says where it listens. A banned one
    // comes back this way.
    bool on_extension_handshake(const lt::bdecode_node& message) override {
        const auto port = message.dict_find_int_value("p");
        if (!connection_.is_outgoing() && port > 0 && port <= 0xffff) {
            rename(name_of({connection_.remote().address(), static_cast<std::uint16_t>(port)}));
        }
        leave_if_refused();
        return true;
    }

    void on_disconnect(const lt::error_code& error) override {
        note(error.message());
        if (error == lt::errors::too_many_corrupt_pieces) {
            ledger_->ban_peer(name_, address());
        }
        const auto connection = connection_.native_handle();
        auto* const entry = peer_entry();
        // The mark belongs to the peer, not to the connection: a later handshake needs it to name
        // the v2 info-hash.
        if (guarded_ && entry != nullptr && entry->connection == connection.get()) {
            entry->protocol_v2 = true;
        }
    }

    bool on_piece(const lt::peer_request& block, lt::span<const char> data) override {
        if (leave_if_refused()) {
            return false; // libtorrent looks whether the connection is closing, and drops the
                          // block.
        }
        last_block_ = Clock::now();
        asked_ -= asked_ > 0 ? 1 : 0;
        const auto piece = static_cast<std::size_t>(static_cast<int>(block.piece));
        ledger_->block_received(piece, static_cast<std::uint64_t>(block.length));
        const auto bytes = as_bytes({data.data(), static_cast<std::size_t>(data.size())});
        evidence_->blame.block(piece, static_cast<std::uint64_t>(block.start), name_,
                               block_checksum(bytes, evidence_->key));
        return false;
    }

    void tick() override {
        if (leave_if_refused() || asked_ == 0 || connection_.has_peer_choked()) {
            return;
        }
        if (Clock::now() - last_block_ >= stalled_after) {
            ledger_->note_stalled(name_);
        }
    }
    void sent_request(const lt::peer_request& /*block*/) override {
        if (asked_++ == 0) {
            last_block_ = Clock::now();
        }
    }
    bool on_reject(const lt::peer_request& /*block*/) override {
        asked_ -= asked_ > 0 ? 1 : 0;
        return false;
    }
    bool on_choke() override {
        asked_ = 0;
        return false;
    }

    // A piece of several senders says nothing about one of them, but libtorrent takes two points of
    // trust from each and bans who lost seven: a good peer beside a bad one, too.
    void keep_trust() {
        constexpr int points_for_a_failure = 2;
        if (auto* const entry = peer_entry(); entry != nullptr) {
            entry->trust_points = points_for_a_failure;
        }
    }

    void sent_payload(int bytes) override { *uploaded_bytes_ += static_cast<std::uint64_t>(bytes); }

private:
    bool leave_if_refused() {
        const bool banned = ledger_->is_banned(name_, address());
        if (banned || evidence_->quarantine.holds(name_, Clock::now())) {
            connection_.disconnect(banned ? lt::errors::peer_banned : lt::errors::torrent_paused,
                                   lt::operation_t::bittorrent);
            return true;
        }
        return false;
    }
    void rename(std::string name) {
        evidence_->senders[name_].erase(this);
        if (evidence_->senders[name_].empty()) {
            evidence_->senders.erase(name_);
        }
        name_ = std::move(name);
        if (!name_.empty()) {
            evidence_->senders[name_].insert(this);
        }
    }
    void note(const std::string& event) { ledger_->note("peer " + name_, event); }
    [[nodiscard]] std::string address() const { return connection_.remote().address().to_string(); }
    [[nodiscard]] lt::torrent_peer* peer_entry() const {
        const auto connection = connection_.native_handle();
        return connection ? connection->peer_info_struct() : nullptr;
    }

    std::shared_ptr<Evidence> evidence_;
    std::shared_ptr<Ledger> ledger_;
    std::shared_ptr<std::atomic<std::uint64_t>> uploaded_bytes_;
    lt::peer_connection_handle connection_;
    std::string name_; ///< Address and the port that it listens on, as far as is known.
    bool guarded_ = false;
    int asked_ = 0; ///< Blocks that it owes.
    Clock::time_point last_block_;
};

class HashGuard final : public lt::torrent_plugin {
public:
    HashGuard(std::shared_ptr<Ledger> ledger,
              std::shared_ptr<std::atomic<std::uint64_t>> uploaded_bytes)
        : ledger_(std::move(ledger)), uploaded_bytes_(std::move(uploaded_bytes)) {}

    std::shared_ptr<lt::peer_plugin>
    new_connection(const lt::peer_connection_handle& connection) override {
        return std::make_shared<GuardedPeer>(ledger_, uploaded_bytes_, evidence_, connection);
    }
    void on_piece_pass(lt::piece_index_t index) override {
        const auto piece = static_cast<std::size_t>(static_cast<int>(index));
        for (const auto& peer : evidence_->blame.passed(piece)) {
            ledger_->ban_peer(peer, address_in(peer));
        }
        evidence_->quarantine.passed(piece);
        ledger_->piece_passed(piece);
    }
    void on_piece_failed(lt::piece_index_t index) override {
        const auto piece = static_cast<std::size_t>(static_cast<int>(index));
        const auto senders = evidence_->blame.failed(piece);
        evidence_->quarantine.failed(piece, senders, Clock::now());
        if (senders.size() > 1) {
            for (const auto& name : senders) {
                keep_trust_of(name);
            }
        }
        ledger_->piece_failed(piece);
    }

private:
    void keep_trust_of(const std::string& name) {
        if (const auto found = evidence_->senders.find(name); found != evidence_->senders.end()) {
            for (auto* const connection : found->second) {
                connection->keep_trust();
            }
        }
    }

    std::shared_ptr<Ledger> ledger_;
    std::shared_ptr<std::atomic<std::uint64_t>> uploaded_bytes_;
    std::shared_ptr<Evidence> evidence_ = std::make_shared<Evidence>();
};

} // namespace

std::shared_ptr<lt::torrent_plugin>
make_hash_guard(std::shared_ptr<Ledger> ledger,
                std::shared_ptr<std::atomic<std::uint64_t>> uploaded_bytes) {
    return std::make_shared<HashGuard>(std::move(ledger), std::move(uploaded_bytes));
}

} // namespace slipway::swarm
