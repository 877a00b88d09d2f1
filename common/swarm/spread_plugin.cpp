#include "common/swarm/spread_plugin.h"

#include <random>
#include <set>
#include <string_view>

#include <libtorrent/bdecode.hpp>
#include <libtorrent/entry.hpp>
#include <libtorrent/extensions.hpp>
#include <libtorrent/peer_connection_handle.hpp>
#include <libtorrent/torrent_handle.hpp>

#include "common/core/bytes.h"
#include "common/swarm/spread.h"

namespace slipway::swarm {

class Ticking {
public:
    explicit Ticking(std::shared_ptr<SpreadTicks> ticks);
    virtual ~Ticking();
    Ticking(const Ticking&) = delete;
    Ticking& operator=(const Ticking&) = delete;
    virtual void look() = 0;

private:
    std::shared_ptr<SpreadTicks> ticks_;
};

struct SpreadTicks {
    std::set<Ticking*> all;
    void look() const {
        const auto now = all; // A look may close a connection.
        for (auto* const one : now) {
            if (all.contains(one)) {
                one->look();
            }
        }
    }
};

Ticking::Ticking(std::shared_ptr<SpreadTicks> ticks) : ticks_(std::move(ticks)) {
    ticks_->all.insert(this);
}
Ticking::~Ticking() {
    ticks_->all.erase(this);
}

namespace {

using Clock = std::chrono::steady_clock;

// Of BEP 10: the number by which this end knows the message. libtorrent's own are below 10.
constexpr int wants_id = 77;
constexpr const char* wants_name = "sl_wants";
constexpr const char* withdraw_name = "lt_donthave"; // BEP 54.
constexpr char message_have = 4;
constexpr char message_extended = 20;

bool has_fingerprint(const lt::peer_connection_handle& peer, std::string_view fingerprint) {
    const std::string_view id(peer.pid().data(), lt::peer_id::size());
    return id.starts_with(fingerprint);
}

void append_u32(std::string& out, std::size_t value) {
    for (const unsigned shift : {24U, 16U, 8U, 0U}) {
        out += static_cast<char>(value >> shift & 0xffU);
    }
}

void send(const lt::peer_connection_handle& peer, const std::string& message) {
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast): the handle's method is not const.
    lt::peer_connection_handle(peer).send_buffer(message.data(), static_cast<int>(message.size()));
}

// Both ends count bits as BEP 3's bitfield does: the highest bit of the first byte is piece 0.
std::string bitfield_of(const std::vector<bool>& pieces) {
    std::string bits((pieces.size() + 7) / 8, '\0');
    for (std::size_t piece = 0; piece < pieces.size(); ++piece) {
        if (pieces[piece]) {
            bits[piece / 8] =
                static_cast<char>(static_cast<unsigned char>(bits[piece / 8]) | 0x80U >> piece % 8);
        }
    }
    return bits;
}

std::vector<bool> pieces_of(lt::span<const char> bits, std::size_t count) {
    std::vector<bool> pieces(count);
    for (std::size_t piece = 0; piece < count; ++piece) {
        const auto byte = static_cast<unsigned char>(bits[static_cast<std::ptrdiff_t>(piece / 8)]);
        pieces[piece] = (byte & 0x80U >> (piece % 8)) != 0;
    }
    return pieces;
}

// How the other end wants to be told a message of BEP 10; 0: it does not know it.
char message_id(const lt::bdecode_node& handshake, const char* name) {
    const auto messages = handshake.dict_find_dict("m");
    const auto id = messages ? messages.dict_find_int_value(name, 0) : 0;
    return id > 0 && id <= 0xff ? static_cast<char>(id) : '\0';
}

// Shared by the connections of a source's torrent; on libtorrent's thread only.
struct SourceState {
    SourceState(std::size_t count, std::uint64_t seed) : pieces(count), spread(count, seed) {}
    std::size_t pieces;
    Spread spread;
    Spread::Peer next = 1;
};

class SourcePeer final : public lt::peer_plugin, private Ticking {
public:
    SourcePeer(std::shared_ptr<SourceState> state, std::shared_ptr<SpreadTicks> ticks,
               lt::peer_connection_handle connection)
        : Ticking(std::move(ticks)), state_(std::move(state)), connection_(std::move(connection)),
          id_(state_->next++) {}
    ~SourcePeer() override { state_->spread.leave(id_); }

    bool on_handshake(lt::span<const char> /*reserved*/) override {
        return has_fingerprint(connection_, agent_fingerprint);
    }
    bool on_extension_handshake(const lt::bdecode_node& handshake) override {
        withdraw_id_ = message_id(handshake, withdraw_name);
        return true;
    }
    void add_handshake(lt::entry& handshake) override { handshake["m"][wants_name] = wants_id; }

    bool on_extended(int length, int message, lt::span<const char> body) override {
        if (message != wants_id) {
            return false;
        }
        if (body.size() < length) {
            return true; // The rest comes with a later call.
        }
        if (static_cast<std::size_t>(length) == (state_->pieces + 7) / 8) {
            state_->spread.wants(id_, pieces_of(body, state_->pieces), Clock::now());
            show();
        }
        return true;
    }
    bool on_have(lt::piece_index_t piece) override {
        state_->spread.has(id_, static_cast<std::size_t>(static_cast<int>(piece)), Clock::now());
        show();
        return false;
    }
    bool on_interested() override {
        show();
        return false;
    }
    void sent_unchoke() override { show(); }
    void on_disconnect(const lt::error_code& /*why*/) override { state_->spread.leave(id_); }

private:
    void look() override { show(); }
    void show() {
        const auto pieces = state_->spread.show(id_, connection_.is_choked(), Clock::now());
        std::string message;
        for (const auto piece : state_->spread.take_withdrawn(id_)) {
            if (withdraw_id_ != 0) {
                append_u32(message, 6);
                message += message_extended;
                message += withdraw_id_;
                append_u32(message, piece);
            }
        }
        for (const auto piece : pieces) {
            append_u32(message, 5);
            message += message_have;
            append_u32(message, piece);
        }
        if (!message.empty()) {
            send(connection_, message);
        }
    }

    std::shared_ptr<SourceState> state_;
    lt::peer_connection_handle connection_;
    Spread::Peer id_;
    char withdraw_id_ = 0;
};

class SpreadingSource final : public lt::torrent_plugin {
public:
    SpreadingSource(std::size_t pieces, std::shared_ptr<SpreadTicks> ticks)
        : state_(std::make_shared<SourceState>(pieces, std::random_device{}())),
          ticks_(std::move(ticks)) {}
    std::shared_ptr<lt::peer_plugin>
    new_connection(const lt::peer_connection_handle& connection) override {
        return std::make_shared<SourcePeer>(state_, ticks_, connection);
    }

private:
    std::shared_ptr<SourceState> state_;
    std::shared_ptr<SpreadTicks> ticks_;
};

class ReceivingPeer final : public lt::peer_plugin, private Ticking {
public:
    ReceivingPeer(std::shared_ptr<Ledger> ledger, std::shared_ptr<SpreadTicks> ticks,
                  lt::peer_connection_handle connection)
        : Ticking(std::move(ticks)), ledger_(std::move(ledger)),
          connection_(std::move(connection)) {}

    bool on_handshake(lt::span<const char> /*reserved*/) override {
        return has_fingerprint(connection_, source_fingerprint);
    }
    bool on_extension_handshake(const lt::bdecode_node& handshake) override {
        their_id_ = message_id(handshake, wants_name);
        if (their_id_ != 0) {
            tell_wants();
        }
        return true;
    }
    // The source speaks of what it could send, and not yet of what it means to send to this host.
    bool on_have_all() override { return their_id_ != 0; }
    bool on_bitfield(const lt::bitfield& /*pieces*/) override { return their_id_ != 0; }

private:
    void look() override {
        if (their_id_ != 0 && told_ != ledger_->wants_generation()) {
            tell_wants();
        }
    }
    void tell_wants() {
        told_ = ledger_->wants_generation();
        const auto bits = bitfield_of(ledger_->lacking());
        std::string message;
        append_u32(message, bits.size() + 2);
        message += message_extended;
        message += their_id_;
        send(connection_, message + bits);
    }

    std::shared_ptr<Ledger> ledger_;
    lt::peer_connection_handle connection_;
    char their_id_ = 0;
    std::uint64_t told_ = 0;
};

class SpreadReceiver final : public lt::torrent_plugin {
public:
    SpreadReceiver(std::shared_ptr<Ledger> ledger, std::shared_ptr<SpreadTicks> ticks)
        : ledger_(std::move(ledger)), ticks_(std::move(ticks)) {}
    std::shared_ptr<lt::peer_plugin>
    new_connection(const lt::peer_connection_handle& connection) override {
        return std::make_shared<ReceivingPeer>(ledger_, ticks_, connection);
    }

private:
    std::shared_ptr<Ledger> ledger_;
    std::shared_ptr<SpreadTicks> ticks_;
};

class SpreadTicker final : public lt::plugin {
public:
    explicit SpreadTicker(std::shared_ptr<SpreadTicks> ticks) : ticks_(std::move(ticks)) {}
    lt::feature_flags_t implemented_features() override { return tick_feature; }
    void on_tick() override { ticks_->look(); }

private:
    std::shared_ptr<SpreadTicks> ticks_;
};

} // namespace

std::shared_ptr<SpreadTicks> make_spread_ticks() {
    return std::make_shared<SpreadTicks>();
}

std::shared_ptr<lt::plugin> make_spread_ticker(std::shared_ptr<SpreadTicks> ticks) {
    return std::make_shared<SpreadTicker>(std::move(ticks));
}

void look_soon(lt::torrent_handle torrent, std::shared_ptr<SpreadTicks> ticks) {
    // The one thing that libtorrent lets others run on its thread: the maker of an extension.
    torrent.add_extension([ticks = std::move(ticks)](const lt::torrent_handle&, lt::client_data_t) {
        ticks->look();
        return std::shared_ptr<lt::torrent_plugin>();
    });
}

std::shared_ptr<lt::torrent_plugin> make_spreading_source(std::size_t pieces,
                                                          std::shared_ptr<SpreadTicks> ticks) {
    return std::make_shared<SpreadingSource>(pieces, std::move(ticks));
}

std::shared_ptr<lt::torrent_plugin> make_spread_receiver(std::shared_ptr<Ledger> ledger,
                                                         std::shared_ptr<SpreadTicks> ticks) {
    return std::make_shared<SpreadReceiver>(std::move(ledger), std::move(ticks));
}

} // namespace slipway::swarm
