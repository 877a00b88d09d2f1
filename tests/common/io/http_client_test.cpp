#include "common/io/http_client.h"

#include <thread>

#include <catch2/catch.hpp>

#include "common/core/errc.h"
#include "tests/fakes/plain_http_server.h"
#include "tests/fakes/sample_pack.h"

namespace slipway {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

std::string text_of(const Result<Bytes>& body) {
    return body ? std::string(as_text(*body)) : "error: " + describe(body.error());
}

std::error_code code_of(const Result<Bytes>& body) {
    return body ? std::error_code() : body.error().code;
}

} // namespace

TEST_CASE("HttpClient: gets bodies, an empty one too, over one connection", "[http]") {
    fakes::PlainHttpServer server([](const auto& request) {
        return fakes::ok(request.target == "/empty" ? "" : "you asked for " + request.target);
    });
    HttpClient http;
    CHECK(text_of(http.get(server.url("/a"))) == "you asked for /a");
    CHECK(text_of(http.get(server.url("/empty"))).empty());
    CHECK(text_of(http.get(server.url("/b"))) == "you asked for /b");
    CHECK(server.connections() == 1);
}

TEST_CASE("HttpClient: tells what failed, and names the URL", "[http]") {
    fakes::PlainHttpServer server([](const auto& request) {
        if (request.target == "/moved") {
            return fakes::HttpAnswer{"HTTP/1.1 302 Found\r\nLocation: /there\r\n"
                                     "Content-Length: 0\r\n\r\n"};
        }
        return request.target == "/busy" ? fakes::status(503, "Busy")
                                         : fakes::status(404, "Not Found");
    });
    HttpClient http;
    const auto missing = http.get(server.url("/missing"));
    CHECK(code_of(missing) == Errc::not_found);
    CHECK(text_of(missing).find(server.url("/missing")) != std::string::npos);
    const auto busy = http.get(server.url("/busy"));
    CHECK(code_of(busy) == Errc::unreachable);
    CHECK(text_of(busy).find("503") != std::string::npos);
    CHECK(code_of(http.get(server.url("/moved"))) == Errc::unreachable);
    CHECK(code_of(http.get("http://127.0.0.1:1/x")) == Errc::unreachable);
    CHECK(code_of(http.get("gopher://127.0.0.1:1/x")) == Errc::unreachable);
}

TEST_CASE("HttpClient: limits that a caller computed may be anything", "[http]") {
    fakes::PlainHttpServer server([](const auto& request) {
        // A body that never comes whole.
        return request.target == "/slow"
                   ? fakes::HttpAnswer{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nx"}
                   : fakes::ok("here");
    });
    HttpClient http;
    const HttpLimits huge{.body_bytes_max = UINT64_MAX,
                          .connect_timeout = std::chrono::milliseconds::max(),
                          .total_timeout = std::chrono::milliseconds::max(),
                          .bytes_per_s_min = 0,
                          .stall_timeout = std::chrono::seconds::max()};
    CHECK(text_of(http.get(server.url("/"), huge)) == "here");
    // A deadline that is over is not one that never comes.
    for (const auto left : {0ms, -1ms, std::chrono::milliseconds::min()}) {
        CAPTURE(left.count());
        const auto begin = Clock::now();
        CHECK(code_of(http.get(server.url("/slow"), {.total_timeout = left})) == Errc::unreachable);
        CHECK(Clock::now() - begin < 5s);
    }
    for (const auto stall : {0s, -1s, std::chrono::seconds::min()}) {
        const HttpLimits limits{.bytes_per_s_min = UINT64_MAX, .stall_timeout = stall};
        CHECK(code_of(http.get(server.url("/slow"), limits)) == Errc::unreachable);
    }
    CHECK(code_of(http.get(server.url("/" + std::string(9'000'000, 'x')))) == Errc::usage);
    CHECK(text_of(http.get(server.url("/"))) == "here");
}

TEST_CASE("HttpClient: a body above the limit is refused, announced or not", "[http]") {
    fakes::PlainHttpServer server([](const auto& request) {
        const std::string body(2000, 'x');
        return request.target == "/announced"
                   ? fakes::ok(body)
                   : fakes::HttpAnswer{"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body, true};
    });
    HttpClient http;
    HttpLimits limits;
    limits.body_bytes_max = 1999;
    CHECK(code_of(http.get(server.url("/announced"), limits)) == Errc::verification_failed);
    CHECK(code_of(http.get(server.url("/endless"), limits)) == Errc::verification_failed);
    limits.body_bytes_max = 2000;
    CHECK(http.get(server.url("/announced"), limits));
}

TEST_CASE("HttpClient: a body that breaks off is an error, not a shorter body", "[http]") {
    fakes::PlainHttpServer server([](const auto&) {
        return fakes::HttpAnswer{"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", true};
    });
    HttpClient http;
    CHECK(code_of(http.get(server.url("/"))) == Errc::unreachable);
}

TEST_CASE("HttpClient: a server that says nothing is given up", "[http]") {
    fakes::PlainHttpServer server([](const auto&) { return fakes::HttpAnswer{}; });
    HttpClient http;
    HttpLimits limits;
    limits.total_timeout = 300ms;
    const auto start = Clock::now();
    CHECK(code_of(http.get(server.url("/"), limits)) == Errc::unreachable);
    CHECK(Clock::now() - start < 3s);
}

TEST_CASE("HttpClient: a stop request breaks a transfer off", "[http]") {
    fakes::PlainHttpServer server([](const auto&) { return fakes::HttpAnswer{}; });
    HttpClient http;
    std::stop_source stop;
    std::jthread stopper([&] {
        std::this_thread::sleep_for(100ms);
        stop.request_stop();
    });
    const auto start = Clock::now();
    CHECK(code_of(http.get(server.url("/"), {}, stop.get_token())) == Errc::cancelled);
    CHECK(Clock::now() - start < 5s);
    CHECK(code_of(http.get(server.url("/"), {}, stop.get_token())) == Errc::cancelled);
}

TEST_CASE("HttpClient: get_range gives exactly the range", "[http]") {
    const std::string body = "0123456789";
    fakes::PlainHttpServer server([&](const auto& asked) { return fakes::file(asked, body); });
    HttpClient http;
    CHECK(text_of(http.get_range(server.url("/"), 0, 1)) == "0");
    CHECK(text_of(http.get_range(server.url("/"), 3, 4)) == "3456");
    CHECK(text_of(http.get_range(server.url("/"), 0, 10)) == body);
    CHECK(code_of(http.get_range(server.url("/"), 8, 3)) == Errc::verification_failed);
    CHECK(code_of(http.get_range(server.url("/"), 10, 1)) == Errc::unreachable);
    CHECK(text_of(http.get(server.url("/"))) == body);
}

TEST_CASE("HttpClient: a server that ignores ranges is not read to its end", "[http]") {
    fakes::PlainHttpServer server([](const auto&) { return fakes::ok(std::string(1 << 20, 'x')); });
    HttpClient http;
    const auto part = http.get_range(server.url("/"), 5, 10);
    CHECK(code_of(part) == Errc::unreachable);
    CHECK(text_of(part).find("range") != std::string::npos);
}

TEST_CASE("HttpClient: reads file URLs, whole and in part", "[http]") {
    const fakes::TemporaryDirectory directory;
    const auto file = directory.path() / "f";
    fakes::write_whole(file, as_bytes("0123456789"));
    HttpClient http;
    CHECK(text_of(http.get("file://" + file.string())) == "0123456789");
    CHECK(text_of(http.get_range("file://" + file.string(), 2, 3)) == "234");
    CHECK(code_of(http.get("file://" + file.string() + ".missing")) == Errc::not_found);
}

} // namespace slipway
