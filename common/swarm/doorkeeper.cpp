#include "common/swarm/doorkeeper.h"

#include <filesystem>

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <libtorrent/aux_/socket_type.hpp>
#include <libtorrent/error_code.hpp>
#include <libtorrent/extensions.hpp>
#include <libtorrent/peer_connection.hpp>
#include <libtorrent/peer_connection_handle.hpp>
#include <libtorrent/torrent.hpp>
#include <libtorrent/torrent_handle.hpp>

#include "common/io/log.h"
#include "common/swarm/half_open.h"
#include "common/swarm/tls_wire.h"

namespace slipway::swarm {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds look_interval{500};
constexpr std::chrono::seconds log_interval{60};
// The kernel drops a connection on which nothing came by then.
constexpr int defer_accept_s = 5;

std::string name_of(const lt::tcp::endpoint& endpoint) {
    return endpoint.address().to_string() + ":" + std::to_string(endpoint.port());
}

std::string text_of(const sockaddr_storage& address) {
    char text[INET6_ADDRSTRLEN] = {};
    if (address.ss_family == AF_INET) {
        const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
        inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
        return std::string(text) + ":" + std::to_string(ntohs(v4.sin_port));
    }
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
    return std::string(text) + ":" + std::to_string(ntohs(v6.sin6_port));
}

std::uint16_t port_of(const sockaddr_storage& address) {
    return address.ss_family == AF_INET
               ? ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port)
               : ntohs(reinterpret_cast<const sockaddr_in6&>(address).sin6_port);
}

// True if it is a TCP socket of this port, whatever its state.
bool is_at_port(int number, std::uint16_t port) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    return ::getsockname(number, reinterpret_cast<sockaddr*>(&address), &size) == 0 &&
           (address.ss_family == AF_INET || address.ss_family == AF_INET6) &&
           port_of(address) == port;
}

bool is_listening(int number) {
    int value = 0;
    socklen_t size = sizeof value;
    return ::getsockopt(number, SOL_SOCKET, SO_ACCEPTCONN, &value, &size) == 0 && value != 0;
}

std::vector<int> sockets_at_port(std::uint16_t port) {
    std::vector<int> found;
    std::error_code ec;
    for (auto it = std::filesystem::directory_iterator("/proc/self/fd", ec);
         !ec && it != std::filesystem::directory_iterator(); it.increment(ec)) {
        const auto number = std::atoi(it->path().filename().c_str());
        if (is_at_port(number, port)) {
            found.push_back(number);
        }
    }
    return found;
}

class Doorkeeper final : public lt::plugin {
public:
    explicit Doorkeeper(std::shared_ptr<Door> door) : door_(std::move(door)) {}

    lt::feature_flags_t implemented_features() override { return tick_feature; }

    void on_tick() override {
        const auto now = Clock::now();
        if (door_->port == 0 || now - looked_ < look_interval) {
            return;
        }
        looked_ = now;
        std::vector<AcceptedSocket> waiting;
        for (const int number : sockets_at_port(door_->port)) {
            take_in(number, waiting);
        }
        // libtorrent closes sockets on this thread only, so a number is still the same socket.
        for (const auto& socket : half_open_.overdue(waiting, now)) {
            ::shutdown(socket.number, SHUT_RDWR);
            ++closed_;
        }
        tell(now);
    }

private:
    void take_in(int number, std::vector<AcceptedSocket>& waiting) {
        if (is_listening(number)) {
            if (number != listening_) {
                listening_ = number;
                ::setsockopt(number, IPPROTO_TCP, TCP_DEFER_ACCEPT, &defer_accept_s,
                             sizeof defer_accept_s);
            }
            return;
        }
        sockaddr_storage address{};
        socklen_t size = sizeof address;
        if (::getpeername(number, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
            return;
        }
        AcceptedSocket socket{number, text_of(address)};
        if (!door_->peers.contains(socket.peer)) {
            waiting.push_back(std::move(socket));
        }
    }

    void tell(Clock::time_point now) {
        if (closed_ > 0 && now - told_ >= log_interval) {
            log_event(LogLevel::warning, "swarm.handshakes_abandoned",
                      {{"closed", std::to_string(closed_)},
                       {"port", std::to_string(door_->port)},
                       {"after_s", std::to_string(HalfOpen::patience.count())}});
            closed_ = 0;
            told_ = now;
        }
    }

    std::shared_ptr<Door> door_;
    HalfOpen half_open_;
    Clock::time_point looked_;
    Clock::time_point told_;
    std::size_t closed_ = 0;
    int listening_ = -1;
};

struct SslOf {
    template <typename T>
    SSL* operator()(lt::ssl_stream<T>& stream) const {
        return stream.handle();
    }
    template <typename T>
    SSL* operator()(T& /*plain*/) const {
        return nullptr;
    }
};

struct DescriptorOf {
    int operator()(lt::ssl_stream<lt::tcp::socket>& stream) const {
        return stream.is_open() ? stream.next_layer().native_handle() : -1;
    }
    template <typename T>
    int operator()(T& /*of another kind*/) const {
        return -1;
    }
};

int descriptor_of(const lt::peer_connection_handle& handle) {
    const auto connection = handle.native_handle();
    return connection ? boost::apply_visitor(DescriptorOf{}, connection->get_socket()) : -1;
}

class GatedPeer final : public lt::peer_plugin {
public:
    GatedPeer(lt::peer_connection_handle connection, std::shared_ptr<const Gate> gate,
              std::shared_ptr<Door> door, std::shared_ptr<std::atomic<int>> peers)
        : connection_(std::move(connection)), gate_(std::move(gate)), door_(std::move(door)),
          peers_(std::move(peers)), name_(name_of(connection_.remote())),
          place_(door_->peers.insert(name_)) {}
    ~GatedPeer() override {
        door_->peers.erase(place_);
        *peers_ -= attached_ ? 1 : 0;
    }
    GatedPeer(const GatedPeer&) = delete;
    GatedPeer& operator=(const GatedPeer&) = delete;

    bool on_handshake(lt::span<const char> /*reserved*/) override {
        attached_ = true;
        ++*peers_;
        if (auto* const connection = ssl()) {
            shorten_way(connection, [handle = connection_] { return descriptor_of(handle); });
        } else { // libtorrent has checked that, too.
            connection_.disconnect(lt::errors::requires_ssl_connection,
                                   lt::operation_t::bittorrent);
        }
        return true;
    }

    void tick() override {
        if (auto* const connection = attached_ ? ssl() : nullptr) {
            flush_way(connection);
        }
        if (!attached_ || checked_ == gate_->tls->generation()) {
            return;
        }
        checked_ = gate_->tls->generation();
        auto* const connection = ssl();
        const auto why =
            connection == nullptr ? "it is not encrypted" : refusal(connection, *gate_);
        if (why) {
            log_event(LogLevel::warning, "swarm.peer_refused", {{"peer", name_}, {"why", *why}});
            connection_.disconnect(lt::errors::invalid_ssl_cert, lt::operation_t::bittorrent);
        }
    }

private:
    [[nodiscard]] SSL* ssl() const {
        const auto connection = connection_.native_handle();
        return connection ? boost::apply_visitor(SslOf{}, connection->get_socket()) : nullptr;
    }

    lt::peer_connection_handle connection_;
    std::shared_ptr<const Gate> gate_;
    std::shared_ptr<Door> door_;
    std::shared_ptr<std::atomic<int>> peers_;
    std::string name_;
    std::multiset<std::string>::iterator place_;
    std::uint64_t checked_ = 0;
    bool attached_ = false;
};

class Gatekeeper final : public lt::torrent_plugin {
public:
    Gatekeeper(const Gate& gate, std::shared_ptr<Door> door,
               std::shared_ptr<std::atomic<int>> peers)
        : gate_(std::make_shared<const Gate>(gate)), door_(std::move(door)),
          peers_(std::move(peers)) {}

    std::shared_ptr<lt::peer_plugin>
    new_connection(const lt::peer_connection_handle& connection) override {
        return std::make_shared<GatedPeer>(connection, gate_, door_, peers_);
    }

private:
    std::shared_ptr<const Gate> gate_;
    std::shared_ptr<Door> door_;
    std::shared_ptr<std::atomic<int>> peers_;
};

} // namespace

std::shared_ptr<lt::plugin> make_doorkeeper(std::shared_ptr<Door> door) {
    return std::make_shared<Doorkeeper>(std::move(door));
}

std::shared_ptr<lt::torrent_plugin> make_gatekeeper(const lt::torrent_handle& torrent,
                                                    const Gate& gate, std::shared_ptr<Door> door,
                                                    std::shared_ptr<std::atomic<int>> peers,
                                                    Result<>& installed) {
    const auto native = torrent.native_handle();
    auto* const context = native ? native->ssl_ctx() : nullptr;
    installed = install_gate(context == nullptr ? nullptr : context->native_handle(), gate);
    return std::make_shared<Gatekeeper>(gate, std::move(door), std::move(peers));
}

} // namespace slipway::swarm
