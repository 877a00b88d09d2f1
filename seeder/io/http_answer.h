#pragma once

// How the seeder answers one request; included by http_answer.cpp, http_push.cpp and
// http_server.cpp only.

#include "common/core/identity.h"
#include "common/http/exchange.h"
#include "common/io/file_ops.h"
#include "seeder/io/http_shared.h"

namespace slipway::seeder {

struct OpenedFile {
    Fd fd;
    std::uint64_t bytes = 0;
};

/// Answers one request of a connection.
class Answer {
public:
    Answer(http::Exchange& exchange, HttpServer::Shared& shared)
        : exchange_(exchange), request_(exchange.request()), shared_(shared) {}
    net::awaitable<void> run();

private:
    net::awaitable<void> answer_push();
    net::awaitable<void> receive_part(PushObject object);
    net::awaitable<void> finish_push(PushObject object);
    net::awaitable<void> commit();
    /// Reads what is left of a request's body into `file`, or into `small` if there is no file.
    net::awaitable<Result<>> read_body(const Fd* file, std::uint64_t offset, Bytes* small);
    net::awaitable<void> send_error(Error error);
    /// Whether the peer may do it; on a plain connection everyone may read and announce.
    [[nodiscard]] Result<> check_allowed(Action action) const;
    net::awaitable<void> send_text(int status, std::string type, std::string text);
    net::awaitable<void> send_file(std::string path);
    net::awaitable<void> send_bytes_of(OpenedFile file, FileRange range);
    std::string announce(std::string_view query);
    [[nodiscard]] std::string describe_seeder() const;

    http::Exchange& exchange_;
    const http::Request& request_;
    HttpServer::Shared& shared_;
};

} // namespace slipway::seeder
