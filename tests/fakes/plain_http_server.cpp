#include "tests/fakes/plain_http_server.h"

#include <algorithm>
#include <cstdio>
#include <stdexcept>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace slipway::fakes {
namespace {

std::string lower(std::string text) {
    std::ranges::transform(text, text.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return text;
}

HttpRequest parse(const std::string& head) {
    HttpRequest request;
    const auto first = head.find(' ');
    request.target = head.substr(first + 1, head.find(' ', first + 1) - first - 1);
    for (auto at = head.find("\r\n"); at != std::string::npos; at = head.find("\r\n", at + 2)) {
        const auto colon = head.find(": ", at);
        const auto end = head.find("\r\n", at + 2);
        if (colon != std::string::npos && end != std::string::npos && colon < end) {
            request.headers[lower(head.substr(at + 2, colon - at - 2))] =
                head.substr(colon + 2, end - colon - 2);
        }
    }
    return request;
}

} // namespace

PlainHttpServer::PlainHttpServer(Answer answer)
    : answer_(std::move(answer)), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    socklen_t size = sizeof address;
    if (::bind(listener_, generic, size) != 0 || ::listen(listener_, 64) != 0 ||
        ::getsockname(listener_, generic, &size) != 0) {
        throw std::runtime_error("no loopback socket");
    }
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { accept_all(); });
}

PlainHttpServer::~PlainHttpServer() {
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    {
        const std::lock_guard lock(mutex_);
        for (const int fd : open_) {
            ::shutdown(fd, SHUT_RDWR);
        }
    }
    for (auto& thread : threads_) {
        thread.join();
    }
    ::close(listener_);
}

std::string PlainHttpServer::url(const std::string& path) const {
    return "http://127.0.0.1:" + std::to_string(port_) + path;
}

void PlainHttpServer::accept_all() {
    while (true) {
        const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        if (fd < 0) {
            return;
        }
        ++connections_;
        const std::lock_guard lock(mutex_);
        open_.push_back(fd);
        threads_.emplace_back([this, fd] { serve(fd); });
    }
}

void PlainHttpServer::serve(int fd) {
    std::string input;
    char buffer[4096];
    for (bool open = true; open;) {
        const auto end = input.find("\r\n\r\n");
        if (end == std::string::npos) {
            const auto got = ::recv(fd, static_cast<char*>(buffer), sizeof buffer, 0);
            open = got > 0;
            input.append(static_cast<char*>(buffer), open ? static_cast<std::size_t>(got) : 0);
            continue;
        }
        ++requests_;
        const auto answer = answer_(parse(input.substr(0, end + 4)));
        input.erase(0, end + 4);
        for (std::size_t sent = 0; open && sent < answer.bytes.size();) {
            const auto wrote =
                ::send(fd, answer.bytes.data() + sent, answer.bytes.size() - sent, MSG_NOSIGNAL);
            open = wrote > 0;
            sent += open ? static_cast<std::size_t>(wrote) : 0;
        }
        open = open && !answer.close;
    }
    const std::lock_guard lock(mutex_);
    std::erase(open_, fd);
    ::close(fd);
}

HttpAnswer ok(const std::string& body) {
    return {"HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
            body};
}

HttpAnswer status(int code, const std::string& reason) {
    return {"HTTP/1.1 " + std::to_string(code) + " " + reason + "\r\nContent-Length: 0\r\n\r\n"};
}

HttpAnswer file(const HttpRequest& request, const std::string& body) {
    const auto range = request.headers.find("range");
    unsigned long long first = 0;
    unsigned long long last = 0;
    if (range == request.headers.end() ||
        std::sscanf(range->second.c_str(), "bytes=%llu-%llu", &first, &last) != 2) {
        return ok(body);
    }
    if (first >= body.size()) {
        return status(416, "Range Not Satisfiable");
    }
    const auto part = body.substr(first, last - first + 1);
    return {"HTTP/1.1 206 Partial Content\r\nContent-Length: " + std::to_string(part.size()) +
            "\r\nContent-Range: bytes " + std::to_string(first) + "-" + std::to_string(last) + "/" +
            std::to_string(body.size()) + "\r\n\r\n" + part};
}

} // namespace slipway::fakes
