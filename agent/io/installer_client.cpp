#include "agent/io/installer_client.h"

#include "agent/io/installer_socket.h"
#include "common/core/errc.h"

namespace slipway::agent {

Result<InstallerClient> InstallerClient::connect(const std::filesystem::path& socket) {
    auto fd = connect_to(socket);
    if (!fd) {
        return tl::unexpected(std::move(fd.error()));
    }
    InstallerClient client(std::move(*fd));
    return client.ask({}).and_then([&](const InstallerReply& reply) -> Result<InstallerClient> {
        if (reply.kind == ReplyKind::failed) {
            return tl::unexpected(error_of(reply));
        }
        return std::move(client);
    });
}

Result<InstallerReply> InstallerClient::ask(InstallerRequest request,
                                            const OnProgress& on_progress) {
    request.id = next_id_++;
    if (auto sent = send_message(socket_.get(), encode_request(request)); !sent) {
        return tl::unexpected(std::move(sent.error()));
    }
    for (;;) {
        const auto message = receive_message(socket_.get());
        if (!message || !*message) {
            return message ? fail(Errc::unreachable, "slipway-installer went away")
                           : tl::unexpected(message.error());
        }
        auto reply = decode_reply(**message);
        if (!reply) {
            return reply;
        }
        if (reply->kind != ReplyKind::progress) {
            return reply;
        }
        if (on_progress) {
            on_progress(*reply);
        }
    }
}

Result<> InstallerClient::cancel() {
    InstallerRequest request;
    request.op = InstallerOp::cancel;
    return send_message(socket_.get(), encode_request(request));
}

} // namespace slipway::agent
