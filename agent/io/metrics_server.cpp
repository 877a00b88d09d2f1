#include "agent/io/metrics_server.h"

#include <array>
#include <netdb.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/io/unix_address.h"
#include "common/core/errc.h"
#include "common/io/log.h"

namespace slipway::agent {
namespace {

constexpr std::size_t request_bytes_max = std::size_t{8} * 1024;
constexpr timeval caller_timeout{2, 0};
constexpr int backlog = 16;

Result<Fd> listen_on_unix(const std::filesystem::path& path) {
    const auto name = path.string();
    const auto address = unix_address(path);
    if (!address) {
        return fail(std::make_error_code(std::errc::filename_too_long), "listen on " + name);
    }
    Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    ::unlink(name.c_str());
    if (!fd || ::bind(fd.get(), generic(*address), sizeof *address) != 0 ||
        ::chmod(name.c_str(), 0660) != 0 || ::listen(fd.get(), backlog) != 0) {
        return fail_errno("listen on " + name);
    }
    return fd;
}

Result<Fd> listen_on_tcp(const std::string& text) {
    const auto colon = text.rfind(':');
    auto ip = text.substr(0, colon);
    if (ip.starts_with('[') && ip.ends_with(']')) {
        ip = ip.substr(1, ip.size() - 2);
    }
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
    addrinfo* found = nullptr;
    if (colon == std::string::npos || ip.empty() ||
        ::getaddrinfo(ip.c_str(), text.c_str() + colon + 1, &hints, &found) != 0) {
        return fail(Errc::usage, "metrics address '" + text + "' is no IP:PORT");
    }
    Fd fd(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int on = 1;
    const bool listens = fd &&
                         ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
                         ::bind(fd.get(), found->ai_addr, found->ai_addrlen) == 0 &&
                         ::listen(fd.get(), backlog) == 0;
    const int error = errno;
    ::freeaddrinfo(found);
    if (!listens) {
        return fail(std::error_code(error, std::generic_category()), "listen on " + text);
    }
    return fd;
}

// A port of 0 is one that the system chose.
void tell_port(const Fd& listening) {
    sockaddr_storage address{};
    socklen_t bytes = sizeof address;
    std::array<char, NI_MAXSERV> port{};
    if (::getsockname(listening.get(), reinterpret_cast<sockaddr*>(&address), &bytes) == 0 &&
        ::getnameinfo(reinterpret_cast<sockaddr*>(&address), bytes, nullptr, 0, port.data(),
                      port.size(), NI_NUMERICSERV) == 0) {
        log_event(LogLevel::info, "metrics.listening", {{"port", port.data()}});
    }
}

// To the end of its head; what it asks for makes no difference.
bool read_request(int caller) {
    std::string head;
    std::array<char, 2048> buffer{};
    while (head.size() < request_bytes_max) {
        const auto got = ::recv(caller, buffer.data(), buffer.size(), 0);
        if (got <= 0) {
            return false;
        }
        head.append(buffer.data(), static_cast<std::size_t>(got));
        if (head.find("\r\n\r\n") != std::string::npos) {
            return true;
        }
    }
    return false;
}

void send_all(int caller, std::string_view text) {
    while (!text.empty()) {
        const auto sent = ::send(caller, text.data(), text.size(), MSG_NOSIGNAL);
        if (sent <= 0) {
            return;
        }
        text.remove_prefix(static_cast<std::size_t>(sent));
    }
}

} // namespace

Result<std::unique_ptr<MetricsServer>> MetricsServer::start(const std::filesystem::path& path,
                                                            const std::string& tcp) {
    std::vector<Fd> sockets;
    auto local = listen_on_unix(path);
    if (!local) {
        return tl::unexpected(std::move(local.error()));
    }
    sockets.push_back(std::move(*local));
    if (!tcp.empty()) {
        auto remote = listen_on_tcp(tcp);
        if (!remote) {
            return tl::unexpected(std::move(remote.error()));
        }
        tell_port(*remote);
        sockets.push_back(std::move(*remote));
    }
    return std::unique_ptr<MetricsServer>(new MetricsServer(std::move(sockets)));
}

MetricsServer::MetricsServer(std::vector<Fd> sockets)
    : sockets_(std::move(sockets)), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      thread_([this](const std::stop_token& stop) { run(stop); }) {}

void MetricsServer::publish(std::string text) {
    const std::lock_guard lock(mutex_);
    text_ = std::move(text);
}

void MetricsServer::run(const std::stop_token& stop) {
    const std::stop_callback on_stop(stop, [this] { (void)::eventfd_write(wake_.get(), 1); });
    std::vector<pollfd> waited{{wake_.get(), POLLIN, 0}};
    for (const auto& socket : sockets_) {
        waited.push_back({socket.get(), POLLIN, 0});
    }
    while (!stop.stop_requested()) {
        (void)::poll(waited.data(), waited.size(), -1);
        for (std::size_t i = 1; i < waited.size(); ++i) {
            if (waited[i].revents == 0) {
                continue;
            }
            const Fd caller(::accept4(waited[i].fd, nullptr, nullptr, SOCK_CLOEXEC));
            if (caller) {
                answer(caller.get());
            }
        }
    }
}

void MetricsServer::answer(int caller) {
    (void)::setsockopt(caller, SOL_SOCKET, SO_RCVTIMEO, &caller_timeout, sizeof caller_timeout);
    (void)::setsockopt(caller, SOL_SOCKET, SO_SNDTIMEO, &caller_timeout, sizeof caller_timeout);
    if (!read_request(caller)) {
        return;
    }
    std::string text;
    {
        const std::lock_guard lock(mutex_);
        text = text_;
    }
    send_all(caller, "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; "
                     "charset=utf-8\r\nConnection: close\r\nContent-Length: " +
                         std::to_string(text.size()) + "\r\n\r\n" + text);
}

} // namespace slipway::agent
