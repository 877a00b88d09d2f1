#include "cli/passphrase.h"

#include <map>
#include <memory>
#include <optional>
#include <string>

#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#include "common/core/errc.h"
#include "common/io/file_ops.h"

namespace slipway::cli {
namespace {

constexpr std::size_t passphrase_bytes_max = 1'024;

/// Up to the end of the line or of the input.
Result<std::string> read_line(int fd, const std::string& what) {
    std::string line;
    char next = 0;
    while (line.size() < passphrase_bytes_max) {
        const auto got = ::read(fd, &next, 1);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return fail_errno("read " + what);
        }
        if (got == 0 || next == '\n') {
            break;
        }
        line += next;
    }
    return line;
}

/// Turns the terminal's echo off while it lives.
class Silence {
public:
    explicit Silence(int terminal) : terminal_(terminal) {
        on_ = ::tcgetattr(terminal_, &before_) == 0;
        auto silent = before_;
        silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        on_ = on_ && ::tcsetattr(terminal_, TCSAFLUSH, &silent) == 0;
    }
    ~Silence() {
        if (on_) {
            ::tcsetattr(terminal_, TCSAFLUSH, &before_);
        }
    }
    Silence(const Silence&) = delete;
    Silence& operator=(const Silence&) = delete;
    [[nodiscard]] bool works() const { return on_; }

private:
    int terminal_;
    termios before_{};
    bool on_ = false;
};

Result<std::string> ask(const std::string& key) {
    const auto terminal = open_file("/dev/tty", O_RDWR);
    if (!terminal) {
        return fail(Errc::failed, "it is encrypted, and there is no terminal to ask for the "
                                  "passphrase: use --passphrase-file or --passphrase-fd");
    }
    const auto prompt = "Passphrase of " + printable(key) + ": ";
    if (auto shown = write_all(terminal->get(), as_bytes(prompt), "/dev/tty"); !shown) {
        return tl::unexpected(shown.error());
    }
    const Silence silence(terminal->get());
    if (!silence.works()) {
        return fail(Errc::failed, "turn the terminal's echo off");
    }
    auto line = read_line(terminal->get(), "/dev/tty");
    (void)write_all(terminal->get(), as_bytes("\n"), "/dev/tty"); // For looks only.
    return line;
}

} // namespace

trust::Passphrase passphrase_from_fd(int fd) {
    auto read = std::make_shared<std::optional<Result<std::string>>>();
    return [fd, read](const std::string&) {
        if (!*read) {
            *read = read_line(fd, "the passphrase from descriptor " + std::to_string(fd));
        }
        return **read;
    };
}

trust::Passphrase passphrase_from_file(std::string path) {
    return [path = std::move(path)](const std::string&) { return trust::read_secret(path); };
}

trust::Passphrase passphrase_from_terminal() {
    auto known = std::make_shared<std::map<std::string, std::string>>();
    return [known](const std::string& key) -> Result<std::string> {
        if (const auto found = known->find(key); found != known->end()) {
            return found->second;
        }
        return ask(key).map([&](std::string line) { return (*known)[key] = std::move(line); });
    };
}

} // namespace slipway::cli
