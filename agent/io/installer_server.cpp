#include "agent/io/installer_server.h"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <list>
#include <optional>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

#include "agent/io/installer_socket.h"
#include "common/core/errc.h"

namespace slipway::agent {
namespace {

class Connection {
public:
    Connection(InstallerOperations& operations, Fd socket)
        : operations_(operations), socket_(std::move(socket)),
          finished_(::eventfd(0, EFD_CLOEXEC)) {}

    void serve() {
        while (open_) {
            if (const auto request = next_request()) {
                answer(*request);
            }
        }
    }

private:
    // Nothing: the connection is over, or the request was answered with its fault.
    std::optional<InstallerRequest> next_request() {
        auto message = receive_message(socket_.get());
        if (!message || !*message) {
            open_ = false;
            return std::nullopt;
        }
        auto request = decode_request(**message);
        if (!request) {
            say(failure(0, request.error()));
            return std::nullopt;
        }
        return std::move(*request);
    }

    void say(const InstallerReply& reply) {
        if (!send_message(socket_.get(), encode_reply(reply))) {
            open_ = false;
        }
    }

    void answer(const InstallerRequest& request) {
        std::stop_source stop;
        InstallerReply reply;
        {
            const std::jthread worker([&] {
                reply = operations_.perform(
                    request, std::chrono::system_clock::now(),
                    [&](std::string_view phase, std::uint64_t total_bytes) {
                        InstallerReply progress;
                        progress.id = request.id;
                        progress.kind = ReplyKind::progress;
                        progress.phase = phase;
                        progress.total_bytes = total_bytes;
                        (void)send_message(socket_.get(), encode_reply(progress));
                    },
                    stop.get_token());
                ::eventfd_write(finished_.get(), 1);
            });
            listen_until_finished(stop);
        }
        if (open_) {
            say(reply);
        }
    }

    void listen_until_finished(std::stop_source& stop) {
        for (;;) {
            pollfd waits[] = {{finished_.get(), POLLIN, 0}, // NOLINT(*-avoid-c-arrays)
                              {open_ ? socket_.get() : -1, POLLIN, 0}};
            if (::poll(std::data(waits), std::size(waits), -1) < 0) {
                continue; // Interrupted.
            }
            if (waits[0].revents != 0) {
                eventfd_t count = 0;
                ::eventfd_read(finished_.get(), &count);
                return;
            }
            const auto request = next_request();
            if (!open_ || (request && request->op == InstallerOp::cancel)) {
                stop.request_stop();
            } else if (request) {
                say(failure(request->id, {Errc::busy, "this connection has an operation running; "
                                                      "wait for its end or cancel it"}));
            }
        }
    }

    InstallerOperations& operations_;
    Fd socket_;
    Fd finished_;
    std::atomic<bool> open_ = true;
};

struct Slot {
    std::atomic<bool> over = false;
    std::jthread thread;
};

} // namespace

InstallerServer::InstallerServer(InstallerOperations& operations, uid_t agent)
    : operations_(operations), agent_(agent) {}

Result<> InstallerServer::run(const Fd& listening) {
    std::list<Slot> slots;
    for (;;) {
        Fd socket(::accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (!socket) {
            if (errno == EINTR || errno == ECONNABORTED) {
                continue;
            }
            return fail_errno("accept a connection");
        }
        const auto user = peer_user(socket.get());
        if (!user || (*user != 0 && *user != agent_)) {
            (void)send_message(socket.get(),
                               encode_reply(failure(0, {Errc::forbidden, "this user"})));
            continue;
        }
        slots.remove_if([](const Slot& slot) { return slot.over.load(); });
        if (slots.size() >= connections_max) {
            (void)send_message(socket.get(),
                               encode_reply(failure(0, {Errc::busy, "too many connections"})));
            continue;
        }
        auto& slot = slots.emplace_back();
        slot.thread = std::jthread([this, &slot, held = std::move(socket)]() mutable {
            Connection(operations_, std::move(held)).serve();
            slot.over = true;
        });
    }
}

} // namespace slipway::agent
