#include "common/io/journal_socket.h"

#include <cstdlib>
#include <cstring>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace slipway {

std::optional<JournalSocket> JournalSocket::connect(const std::filesystem::path& socket) {
    const auto path = socket.string();
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) {
        return std::nullopt;
    }
    std::memcpy(address.sun_path, path.data(), path.size());
    Fd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!fd ||
        ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        return std::nullopt;
    }
    return JournalSocket(std::move(fd));
}

std::optional<JournalSocket> JournalSocket::if_stderr_is_journal() {
    const auto* const stream = std::getenv("JOURNAL_STREAM");
    struct stat info{};
    if (stream == nullptr || ::fstat(STDERR_FILENO, &info) != 0 ||
        stream != std::to_string(info.st_dev) + ":" + std::to_string(info.st_ino)) {
        return std::nullopt;
    }
    return connect("/run/systemd/journal/socket");
}

bool JournalSocket::send(std::string_view entry) const {
    return ::send(fd_.get(), entry.data(), entry.size(), MSG_NOSIGNAL | MSG_DONTWAIT) ==
           static_cast<ssize_t>(entry.size());
}

} // namespace slipway
