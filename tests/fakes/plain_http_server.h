#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace slipway::fakes {

struct HttpRequest {
    std::string target;
    std::map<std::string, std::string> headers; ///< Names in lower case.
};

/// What the server writes, as it stands: a test decides every byte.
struct HttpAnswer {
    std::string bytes;
    bool close = false; ///< Hang up after it.
};

/// An HTTP/1.1 server on a free loopback port that asks `answer` for each request, on a thread a
/// connection.
class PlainHttpServer {
public:
    using Answer = std::function<HttpAnswer(const HttpRequest&)>;
    explicit PlainHttpServer(Answer answer);
    ~PlainHttpServer();
    PlainHttpServer(const PlainHttpServer&) = delete;
    PlainHttpServer& operator=(const PlainHttpServer&) = delete;

    [[nodiscard]] std::uint16_t port() const { return port_; }
    [[nodiscard]] std::string url(const std::string& path) const;
    [[nodiscard]] int requests() const { return requests_; }
    [[nodiscard]] int connections() const { return connections_; }

private:
    void accept_all();
    void serve(int fd);

    Answer answer_;
    int listener_;
    std::uint16_t port_ = 0;
    std::atomic<int> requests_{0};
    std::atomic<int> connections_{0};
    std::mutex mutex_;
    std::vector<int> open_;
    std::vector<std::thread> threads_;
    std::thread acceptor_;
};

/// 200 with `body`.
[[nodiscard]] HttpAnswer ok(const std::string& body);
[[nodiscard]] HttpAnswer status(int code, const std::string& reason);
/// `body`, or the single range of it that was asked for.
[[nodiscard]] HttpAnswer file(const HttpRequest& request, const std::string& body);

} // namespace slipway::fakes
