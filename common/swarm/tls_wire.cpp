#include "common/swarm/tls_wire.h"

#include <algorithm>
#include <array>
#include <memory>

#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include "common/core/bytes.h"

namespace slipway::swarm {
namespace {

constexpr std::size_t read_ahead_bytes = std::size_t{128} * 1024;
// Asio copies up to 8 KiB of small buffers together into one record, and a block of 16 KiB comes
// with its header: so a record of just this length has a second half.
constexpr std::size_t half_block_bytes = 8192;

struct Wire {
    std::function<int()> socket;
    SSL* connection;
    Bytes held; ///< The first half of a block, encrypted.
    /// Until Asio has sent something of which we do not know when it is done.
    bool direct = true;
};

Wire& wire_of(BIO* bio) {
    return *static_cast<Wire*>(BIO_get_data(bio));
}

// Sends what the socket takes at once; the rest goes to Asio's pair, in which there is room for it:
// Asio empties it before it lets the next record be made.
void send_or_queue(BIO* bio, ByteSpan first, ByteSpan second) {
    const auto& wire = wire_of(bio);
    auto* const pair = BIO_next(bio);
    std::size_t sent = 0;
    if (const int socket = wire.socket(); wire.direct && socket >= 0 && BIO_wpending(pair) == 0) {
        std::array<iovec, 2> parts = {
            iovec{const_cast<std::uint8_t*>(first.data()), first.size()},
            iovec{const_cast<std::uint8_t*>(second.data()), second.size()}};
        msghdr message{};
        message.msg_iov = parts.data();
        message.msg_iovlen = parts.size();
        sent = static_cast<std::size_t>(
            std::max<ssize_t>(0, ::sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL)));
    }
    for (const auto part : {first, second}) {
        const auto done = std::min(sent, part.size());
        sent -= done;
        if (done < part.size()) {
            BIO_write(pair, part.data() + done, static_cast<int>(part.size() - done));
        }
    }
}

// TLS 1.3 (RFC 8446, 5.2): header, content, its type, tag; all of our suites have a tag of 16.
constexpr std::size_t record_bytes(std::size_t content) {
    constexpr std::size_t header = 5;
    constexpr std::size_t type_and_tag = 17;
    return header + content + type_and_tag;
}

int write_wire(BIO* bio, const char* data, int size) {
    auto& wire = wire_of(bio);
    BIO_clear_retry_flags(bio);
    const auto record = as_bytes({data, static_cast<std::size_t>(size)});
    // The answer to a handshake message is sent by Asio's read, beside its write.
    wire.direct = wire.direct && SSL_in_init(wire.connection) == 0;
    if (wire.direct && wire.held.empty() && record.size() == record_bytes(half_block_bytes)) {
        wire.held.assign(record.begin(), record.end());
        return size;
    }
    send_or_queue(bio, wire.held, record);
    wire.held.clear();
    return size;
}

int read_wire(BIO* bio, char* data, int size) {
    BIO_clear_retry_flags(bio);
    if (const int got = BIO_read(BIO_next(bio), data, size); got > 0) {
        return got;
    }
    const int socket = wire_of(bio).socket();
    const auto got =
        socket < 0 ? -1 : ::recv(socket, data, static_cast<std::size_t>(size), MSG_DONTWAIT);
    if (got > 0) {
        return static_cast<int>(got);
    }
    BIO_set_retry_read(bio); // Ends and errors of the socket are Asio's to find and to tell.
    return -1;
}

long control_wire(BIO* bio, int command, long number, void* pointer) {
    return BIO_ctrl(BIO_next(bio), command, number, pointer);
}

int destroy_wire(BIO* bio) {
    delete static_cast<Wire*>(BIO_get_data(bio));
    BIO_set_data(bio, nullptr);
    return 1;
}

int wire_type() {
    static const int type = BIO_get_new_index() | BIO_TYPE_FILTER;
    return type;
}

const BIO_METHOD* wire_method() {
    static const std::unique_ptr<BIO_METHOD, void (*)(BIO_METHOD*)> method = [] {
        std::unique_ptr<BIO_METHOD, void (*)(BIO_METHOD*)> made(
            BIO_meth_new(wire_type(), "slipway wire"), BIO_meth_free);
        BIO_meth_set_write(made.get(), write_wire);
        BIO_meth_set_read(made.get(), read_wire);
        BIO_meth_set_ctrl(made.get(), control_wire);
        BIO_meth_set_destroy(made.get(), destroy_wire);
        return made;
    }();
    return method.get();
}

} // namespace

void shorten_way(SSL* connection, std::function<int()> socket) {
    auto* const pair = SSL_get_rbio(connection);
    if (pair == nullptr || pair != SSL_get_wbio(connection) ||
        BIO_method_type(pair) != BIO_TYPE_BIO || SSL_version(connection) != TLS1_3_VERSION) {
        return;
    }
    auto* const bio = BIO_new(wire_method());
    if (bio == nullptr) {
        return;
    }
    BIO_set_data(bio, new Wire{std::move(socket), connection, {}});
    BIO_set_init(bio, 1);
    BIO_up_ref(pair); // SSL_set_bio(3) gives up its own.
    BIO_push(bio, pair);
    SSL_set_bio(connection, bio, bio);
    SSL_set_read_ahead(connection, 1);
    SSL_set_default_read_buffer_len(connection, read_ahead_bytes);
    SSL_free_buffers(connection); // Made anew at the new length; refused while there is data.
}

void flush_way(SSL* connection) {
    auto* const bio = SSL_get_wbio(connection);
    if (bio == nullptr || BIO_method_type(bio) != wire_type()) {
        return;
    }
    // Nothing is on its way through Asio while there is a held half.
    auto& held = wire_of(bio).held;
    const int socket = wire_of(bio).socket();
    if (!held.empty() && socket >= 0) {
        const auto sent = ::send(socket, held.data(), held.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        held.erase(held.begin(), held.begin() + std::max<ssize_t>(0, sent));
    }
}

} // namespace slipway::swarm
