#include "agent/io/daemon_sockets.h"

#include <array>
#include <cstring>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/io/unix_address.h"
#include "common/core/errc.h"

namespace slipway::agent {
namespace fs = std::filesystem;

Result<FileWatch> FileWatch::start(const fs::path& file) {
    FileWatch watch;
    const auto full = fs::absolute(file);
    watch.name_ = full.filename();
    watch.fd_ = Fd(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    if (!watch.fd_ || ::inotify_add_watch(watch.fd_.get(), full.parent_path().c_str(),
                                          IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE) < 0) {
        return fail_errno("watch " + full.parent_path().string());
    }
    return watch;
}

bool FileWatch::take() {
    bool changed = false;
    alignas(inotify_event) std::array<char, std::size_t{16} * 1024> buffer{};
    ssize_t length = 0;
    while ((length = ::read(fd_.get(), buffer.data(), buffer.size())) > 0) {
        for (std::size_t at = 0; at < static_cast<std::size_t>(length);) {
            inotify_event event{};
            std::memcpy(&event, buffer.data() + at, sizeof event);
            const auto* const name = buffer.data() + at + sizeof event;
            changed |= (event.mask & IN_Q_OVERFLOW) != 0 || (event.len > 0 && name_ == name);
            at += sizeof event + event.len;
        }
    }
    return changed;
}

Result<StatusSocket> StatusSocket::listen(const fs::path& path) {
    StatusSocket made;
    const auto name = path.string();
    const auto address = unix_address(path);
    if (!address) {
        return fail(std::make_error_code(std::errc::filename_too_long), "listen on " + name);
    }
    made.fd_ = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    ::unlink(name.c_str());
    if (!made.fd_ || ::bind(made.fd_.get(), generic(*address), sizeof *address) != 0 ||
        ::chmod(name.c_str(), 0660) != 0 || ::listen(made.fd_.get(), 16) != 0) {
        return fail_errno("listen on " + name);
    }
    return made;
}

void StatusSocket::answer(const std::string& text) const {
    const Fd caller(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (caller) {
        const int bytes = static_cast<int>(text.size());
        (void)::setsockopt(caller.get(), SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
        (void)::send(caller.get(), text.data(), text.size(), MSG_NOSIGNAL);
    }
}

Result<std::string> ask_daemon(const fs::path& socket) {
    constexpr std::size_t answer_bytes_max = std::size_t{8} * 1024 * 1024;
    constexpr timeval patience{5, 0};
    const auto what = "ask the daemon at " + socket.string();
    const auto address = unix_address(socket);
    if (!address) {
        return fail(std::make_error_code(std::errc::filename_too_long), what);
    }
    const Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!fd || ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0 ||
        ::connect(fd.get(), generic(*address), sizeof *address) != 0) {
        return fail_errno(what);
    }
    std::string answer;
    std::array<char, std::size_t{16} * 1024> buffer{};
    ssize_t got = 0;
    while ((got = ::recv(fd.get(), buffer.data(), buffer.size(), 0)) > 0) {
        answer.append(buffer.data(), static_cast<std::size_t>(got));
        if (answer.size() > answer_bytes_max) {
            return fail(Errc::failed, what + ": its answer is too long");
        }
    }
    if (got < 0 || answer.empty()) {
        return fail(Errc::failed, what + ": no answer");
    }
    return answer;
}

} // namespace slipway::agent
