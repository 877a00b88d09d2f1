#include "agent/io/installer_socket.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/core/installer_protocol.h"
#include "agent/io/unix_address.h"
#include "common/core/errc.h"

namespace slipway::agent {
namespace {

constexpr int waiting_max = 8;
constexpr int first_passed_fd = 3; // sd_listen_fds(3): SD_LISTEN_FDS_START.

Result<sockaddr_un> address_of(const std::filesystem::path& path) {
    const auto address = unix_address(path);
    return address ? Result<sockaddr_un>(*address)
                   : fail(Errc::usage, "socket " + path.string() + ": the path is too long");
}

Result<Fd> new_socket() {
    Fd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    return fd ? Result<Fd>(std::move(fd)) : fail_errno("make a socket");
}

bool is_right_kind(int fd) {
    int type = 0;
    int listening = 0;
    socklen_t length = sizeof type;
    sockaddr_un address{};
    socklen_t address_length = sizeof address;
    return ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_SEQPACKET &&
           ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) == 0 &&
           listening == 1 &&
           // NOLINTNEXTLINE(*-reinterpret-cast)
           ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &address_length) == 0 &&
           address.sun_family == AF_UNIX;
}

} // namespace

Result<Fd> listen_at(const std::filesystem::path& path, std::optional<uid_t> owner) {
    const auto address = address_of(path);
    auto fd = new_socket();
    if (!address || !fd) {
        return tl::unexpected(address ? fd.error() : address.error());
    }
    struct stat info{};
    if (::lstat(path.c_str(), &info) == 0 && S_ISSOCK(info.st_mode)) {
        ::unlink(path.c_str());
    }
    const auto mask = ::umask(0177);
    const int bound = ::bind(fd->get(), generic(*address), sizeof *address);
    ::umask(mask);
    if (bound != 0 || (owner && ::chown(path.c_str(), *owner, static_cast<gid_t>(-1)) != 0) ||
        ::listen(fd->get(), waiting_max) != 0) {
        return fail_errno("listen at " + path.string());
    }
    return fd;
}

Result<std::optional<Fd>> passed_socket(const char* listen_pid, const char* listen_fds) {
    if (listen_pid == nullptr || listen_fds == nullptr ||
        std::to_string(::getpid()) != listen_pid) {
        return std::nullopt;
    }
    if (std::string_view(listen_fds) != "1" || !is_right_kind(first_passed_fd)) {
        return fail(Errc::usage, "the service manager must pass one listening socket of type "
                                 "SOCK_SEQPACKET (ListenSequentialPacket=)");
    }
    return std::optional(Fd(first_passed_fd));
}

Result<Fd> connect_to(const std::filesystem::path& path) {
    const auto address = address_of(path);
    auto fd = new_socket();
    if (!address || !fd) {
        return tl::unexpected(address ? fd.error() : address.error());
    }
    if (::connect(fd->get(), generic(*address), sizeof *address) != 0) {
        return fail(Errc::unreachable,
                    "slipway-installer at " + path.string() + ": " + std::strerror(errno));
    }
    return fd;
}

Result<uid_t> peer_user(int socket) {
    ucred peer{};
    socklen_t length = sizeof peer;
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) {
        return fail_errno("ask who connected");
    }
    return peer.uid;
}

Result<> send_message(int socket, std::string_view text) {
    ssize_t sent = 0;
    do {
        sent = ::send(socket, text.data(), text.size(), MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? Result<>(fail(Errc::unreachable,
                                    std::string("send a message: ") + std::strerror(errno)))
                    : Result<>{};
}

Result<std::optional<Bytes>> receive_message(int socket) {
    Bytes message(installer_message_bytes_max);
    ssize_t length = 0;
    do {
        length = ::recv(socket, message.data(), message.size(), MSG_TRUNC);
    } while (length < 0 && errno == EINTR);
    if (length < 0) {
        return fail(Errc::unreachable, std::string("receive a message: ") + std::strerror(errno));
    }
    if (length == 0) {
        return std::nullopt;
    }
    if (static_cast<std::size_t>(length) > message.size()) {
        return fail(Errc::verification_failed, "a message of " + std::to_string(length) +
                                                   " bytes; the limit is " +
                                                   std::to_string(message.size()));
    }
    message.resize(static_cast<std::size_t>(length));
    return std::optional(std::move(message));
}

} // namespace slipway::agent
