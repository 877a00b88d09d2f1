#include "common/swarm/hash_guard.h"

#include <libtorrent/aux_/socket_type.hpp>
#include <libtorrent/bdecode.hpp>
#include <libtorrent/error_code.hpp>
#include <libtorrent/extensions.hpp>
#include <libtorrent/peer_connection.hpp>
#include <libtorrent/peer_connection_handle.hpp>
#include <libtorrent/peer_request.hpp>
#include <libtorrent/torrent_peer.hpp>
#include <libtorrent/version.hpp>

// The guard reaches into torrent_peer, whose layout is private to a release. Releases from 2.0.14
// on do not need it.
static_assert(LIBTORRENT_VERSION_NUM >= 20008 && LIBTORRENT_VERSION_NUM < 20014,
              "read hash_guard.h, then decide whether this libtorrent still needs the guard");

namespace slipway::swarm {
namespace {

std::string name_of(const lt::tcp::endpoint& endpoint) {
    std::string address = endpoint.address().to_string();
    if (endpoint.address().is_v6()) {
        address = "[" + address + "]";
    }
    return address + ":" + std::to_string(endpoint.port());
}

class GuardedPeer final : public lt::peer_plugin {
public:
    GuardedPeer(std::shared_ptr<Ledger> ledger,
                std::shared_ptr<std::atomic<std::uint64_t>> uploaded_bytes,
                lt::peer_connection_handle connection)
        : ledger_(std::move(ledger)), uploaded_bytes_(std::move(uploaded_bytes)),
          connection_(std::move(connection)), name_(name_of(connection_.remote())) {
        note("no answer to the connection attempt");
    }

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
            name_ = name_of({connection_.remote().address(), static_cast<std::uint16_t>(port)});
        }
        if (ledger_->is_banned(name_, address())) {
            connection_.disconnect(lt::errors::peer_banned, lt::operation_t::bittorrent);
        }
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

    bool on_piece(const lt::peer_request& block, lt::span<const char> /*data*/) override {
        ledger_->block_received(static_cast<std::size_t>(static_cast<int>(block.piece)),
                                static_cast<std::uint64_t>(block.length));
        return false;
    }

    void sent_payload(int bytes) override { *uploaded_bytes_ += static_cast<std::uint64_t>(bytes); }

private:
    void note(const std::string& event) { ledger_->note("peer " + name_, event); }
    [[nodiscard]] std::string address() const { return connection_.remote().address().to_string(); }
    [[nodiscard]] lt::torrent_peer* peer_entry() const {
        const auto connection = connection_.native_handle();
        return connection ? connection->peer_info_struct() : nullptr;
    }

    std::shared_ptr<Ledger> ledger_;
    std::shared_ptr<std::atomic<std::uint64_t>> uploaded_bytes_;
    lt::peer_connection_handle connection_;
    std::string name_; ///< Address and the port that it listens on, as far as is known.
    bool guarded_ = false;
};

class HashGuard final : public lt::torrent_plugin {
public:
    HashGuard(std::shared_ptr<Ledger> ledger,
              std::shared_ptr<std::atomic<std::uint64_t>> uploaded_bytes)
        : ledger_(std::move(ledger)), uploaded_bytes_(std::move(uploaded_bytes)) {}

    std::shared_ptr<lt::peer_plugin>
    new_connection(const lt::peer_connection_handle& connection) override {
        return std::make_shared<GuardedPeer>(ledger_, uploaded_bytes_, connection);
    }
    void on_piece_pass(lt::piece_index_t piece) override {
        ledger_->piece_passed(static_cast<std::size_t>(static_cast<int>(piece)));
    }
    void on_piece_failed(lt::piece_index_t piece) override {
        ledger_->piece_failed(static_cast<std::size_t>(static_cast<int>(piece)));
    }

private:
    std::shared_ptr<Ledger> ledger_;
    std::shared_ptr<std::atomic<std::uint64_t>> uploaded_bytes_;
};

} // namespace

std::shared_ptr<lt::torrent_plugin>
make_hash_guard(std::shared_ptr<Ledger> ledger,
                std::shared_ptr<std::atomic<std::uint64_t>> uploaded_bytes) {
    return std::make_shared<HashGuard>(std::move(ledger), std::move(uploaded_bytes));
}

} // namespace slipway::swarm
