// A fleet of simulated agents, each with a TLS connection and a certificate of its own, that report
// every second to a real orchestrator. tests/bench/orchestrator drives it over stdin and stdout:
//
//   orchestrator_load DIRECTORY HOSTS PROBES    writes ca.pem, orchestrator-*.pem and
//   operator-*.pem
//                                               into DIRECTORY and says "ready"
//   connect PORT     all hosts connect; says "connected" with how long it took
//   report           latencies of status calls since the last report: of the PROBES hosts that make
//                    a call without waiting each second beside the one that is held
//   times            when each host got its last order: {"DIGEST": {"hosts", "first_ms",
//   "last_ms"}} fail HOST        that host says that its release failed; says how long the answer
//   took silence HOST     that host says nothing any more, and its connection stays
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <deque>
#include <fstream>
#include <iostream>
#include <map>
#include <set>
#include <sstream>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/write.hpp>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "common/io/asio.h"
#include "common/io/blocking.h"
#include "tests/fakes/test_authority.h"

namespace {

namespace net = slipway::net;
using nlohmann::json;
using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point then) {
    return std::chrono::duration<double, std::milli>(Clock::now() - then).count();
}
std::int64_t unix_ms() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

/// What one host has, and what it was told last.
struct Host {
    std::string name;
    std::uint64_t epoch = 0;
    std::uint64_t generation = 0;
    json running = nullptr;
    json previous = nullptr;
    json target = nullptr;
    json bad = json::array();
    std::set<std::string> staged{};
    std::string state = "idle";
    std::int64_t ordered_ms = 0; ///< When the present target was told.
    bool silent = false;
    bool is_known = false;
};

std::string digest_of(const json& wanted) {
    return wanted.is_object() ? wanted.value("digest", std::string()) : std::string();
}

json status_of(const Host& host, int wait_ms) {
    json body = {
        {"version", 1},
        {"boot", "00000000000000aa"},
        {"epoch", host.epoch},
        {"generation", host.generation},
        {"wait_ms", wait_ms},
        {"labels", {{"tier", "web"}, {"rack", "r" + host.name.substr(host.name.size() - 2)}}},
        {"metrics", json::array()},
        {"events", {{"stream", "aa"}, {"items", json::array()}}}};
    body["services"] = json::object();
    body["services"]["web"] = {{"state", host.state},
                               {"running", host.running},
                               {"previous", host.previous},
                               {"target", host.target},
                               {"staged", host.staged},
                               {"ready", host.state == "healthy"},
                               {"bad", host.bad},
                               {"crashes", 0},
                               {"restarts", 0},
                               {"error", ""}};
    return body;
}

/// Takes an order at once: what takes time on a real host is not what is measured.
void obey(Host& host, const json& answer) {
    host.epoch = answer.value("epoch", host.epoch);
    host.generation = answer.value("generation", host.generation);
    const auto& desired = answer.contains("desired") ? answer["desired"] : json();
    if (!desired.is_object()) {
        return;
    }
    const auto service = desired.value("services", json::object()).value("web", json::object());
    for (const auto& wanted : service.value("stage", json::array())) {
        host.staged.insert(digest_of(wanted));
    }
    const auto run = service.value("run", json());
    if (!run.is_object() || digest_of(run) == digest_of(host.running)) {
        return;
    }
    host.ordered_ms = unix_ms();
    host.previous = host.running;
    host.running = {
        {"artifact", run["artifact"]}, {"digest", digest_of(run)}, {"since_ms", host.ordered_ms}};
    host.target = {{"artifact", run["artifact"]},
                   {"digest", digest_of(run)},
                   {"attempt", run.value("attempt", 0)}};
    host.staged.insert(digest_of(run));
    host.state = "healthy";
}

class Fleet {
public:
    Fleet(net::io_context& io, const std::string& directory, std::size_t hosts, std::size_t probes)
        : io_(io), probes_(probes) {
        const auto own = [&](const std::string& name, const std::string& uri) {
            const slipway::fakes::TestHost party(
                authority_, {.name = name, .alternative_names = {"IP:127.0.0.1", "URI:" + uri}});
            write(directory + "/" + name + "-cert.pem", party.certificates);
            write(directory + "/" + name + "-key.pem",
                  slipway::fakes::TestAuthority::pem(*party.key));
        };
        write(directory + "/ca.pem", authority_.pem());
        own("orchestrator", "slipway://orchestrator/bench");
        own("operator", "slipway://operator/bench?role=admin");
        hosts_.resize(hosts);
        for (std::size_t i = 0; i < hosts; ++i) {
            char name[32];
            std::snprintf(name, sizeof name, "h%05zu", i);
            hosts_[i].name = name;
        }
    }

    void connect(std::uint16_t port) {
        server_ = {net::ip::make_address("127.0.0.1"), port};
        began_ = Clock::now();
        for (auto& host : hosts_) {
            net::co_spawn(io_, live(host, 1'000), slipway::rethrow);
        }
        for (std::size_t i = 0; i < std::min(probes_, hosts_.size()); ++i) {
            net::co_spawn(io_, live(hosts_[i], 0), slipway::rethrow);
        }
    }

    std::string report() {
        std::ranges::sort(latencies_);
        const auto at = [&](double part) {
            return latencies_.empty() ? 0.0
                                      : latencies_[static_cast<std::size_t>(
                                            part * static_cast<double>(latencies_.size() - 1))];
        };
        const json line = {{"calls", latencies_.size()},
                           {"p50_ms", at(0.5)},
                           {"p99_ms", at(0.99)},
                           {"max_ms", at(1)},
                           {"held", held_calls_},
                           {"lost", lost_},
                           {"known", known_}};
        latencies_.clear();
        held_calls_ = 0;
        return line.dump();
    }

    std::string times() const {
        json by_digest = json::object();
        for (const auto& host : hosts_) {
            if (host.ordered_ms == 0) {
                continue;
            }
            auto& entry = by_digest[digest_of(host.running)];
            entry["hosts"] = entry.value("hosts", 0) + 1;
            entry["first_ms"] = std::min(entry.value("first_ms", host.ordered_ms), host.ordered_ms);
            entry["last_ms"] = std::max(entry.value("last_ms", host.ordered_ms), host.ordered_ms);
        }
        return by_digest.dump();
    }

    void fail_release(const std::string& name) {
        auto& host = find(name);
        host.bad.push_back({{"digest", digest_of(host.running)},
                            {"attempt", host.target.value("attempt", 0)},
                            {"reason", "probe: status 500"}});
        std::swap(host.running, host.previous);
        host.state = "rolled_back";
        net::co_spawn(io_, call_once(host), slipway::rethrow);
    }
    void silence(const std::string& name) { find(name).silent = true; }

private:
    using Tls = net::ssl::stream<net::ip::tcp::socket>;

    static void write(const std::string& file, const std::string& text) {
        std::ofstream(file) << text;
        if (file.ends_with("key.pem") && ::chmod(file.c_str(), 0600) != 0) {
            std::abort();
        }
    }
    Host& find(const std::string& name) { return *std::ranges::find(hosts_, name, &Host::name); }

    net::ssl::context context_of(const Host& host) {
        net::ssl::context context(net::ssl::context::tls_client);
        SSL_CTX_set_mode(context.native_handle(), SSL_MODE_RELEASE_BUFFERS);
        const auto certificate = authority_.issue(
            key_, {.name = host.name, .alternative_names = {"URI:slipway://agent/" + host.name}});
        SSL_CTX_use_certificate(context.native_handle(), certificate.get());
        SSL_CTX_use_PrivateKey(context.native_handle(), key_.get());
        return context;
    }

    /// One exchange on a connection: the body of the answer, or nothing when it is over.
    static net::awaitable<std::string> exchange(Tls& tls, std::string& buffer, std::string body) {
        boost::system::error_code ec;
        auto into_ec = net::redirect_error(net::use_awaitable, ec);
        const auto request = "POST /v1/agents/sync HTTP/1.1\r\nHost: bench\r\nContent-Type: "
                             "application/json\r\nContent-Length: " +
                             std::to_string(body.size()) + "\r\n\r\n" + body;
        const auto bytes = net::buffer(request);
        co_await net::async_write(tls, bytes, into_ec);
        buffer.clear();
        char part[8192];
        while (!ec) {
            const auto head = buffer.find("\r\n\r\n");
            if (head != std::string::npos) {
                const auto length = buffer.find("Content-Length: ");
                const auto size = length < head ? std::stoul(buffer.substr(length + 16, 12)) : 0;
                if (buffer.size() >= head + 4 + size) {
                    co_return buffer.starts_with("HTTP/1.1 200") ? buffer.substr(head + 4, size)
                                                                 : std::string();
                }
            }
            const auto into = net::buffer(part);
            const auto count = co_await tls.async_read_some(into, into_ec);
            buffer.append(part, count);
        }
        co_return std::string();
    }

    net::awaitable<bool> open(Tls& tls) {
        boost::system::error_code ec;
        auto into_ec = net::redirect_error(net::use_awaitable, ec);
        co_await tls.next_layer().async_connect(server_, into_ec);
        if (!ec) {
            tls.next_layer().set_option(net::ip::tcp::no_delay(true));
            co_await tls.async_handshake(net::ssl::stream_base::client, into_ec);
        }
        co_return !ec;
    }

    void take(Host& host, const std::string& answer) {
        obey(host, json::parse(answer));
        if (!host.is_known) {
            host.is_known = true;
            if (++known_ == hosts_.size()) {
                std::cout << "connected " << ms_since(began_) << std::endl;
            }
        }
    }

    /// A connection of a host: held calls, or one without waiting each second.
    net::awaitable<void> live(Host& host, int wait_ms) {
        while (!host.silent) {
            auto context = context_of(host);
            Tls tls(io_, context);
            bool is_open = co_await open(tls);
            std::string buffer;
            while (is_open && !host.silent) {
                const auto sent = Clock::now();
                auto answer = co_await exchange(tls, buffer, status_of(host, wait_ms).dump());
                is_open = !answer.empty();
                if (is_open) {
                    take(host, answer);
                    wait_ms == 0 ? latencies_.push_back(ms_since(sent)) : void(++held_calls_);
                }
                if (wait_ms == 0) {
                    co_await slipway::sleep_for(std::chrono::milliseconds(1'000),
                                                std::stop_token());
                }
            }
            if (host.silent) {
                co_await slipway::sleep_for(std::chrono::hours(1), std::stop_token());
            }
            ++lost_;
            co_await slipway::sleep_for(std::chrono::milliseconds(200), std::stop_token());
        }
    }

    net::awaitable<void> call_once(Host& host) {
        auto context = context_of(host);
        Tls tls(io_, context);
        std::string buffer;
        if (!co_await open(tls)) {
            std::cout << "failed" << std::endl;
            co_return;
        }
        const auto began_ms = unix_ms();
        const auto sent = Clock::now();
        const auto answer = co_await exchange(tls, buffer, status_of(host, 0).dump());
        std::cout << "told " << ms_since(sent) << " " << began_ms << std::endl;
        if (!answer.empty()) {
            take(host, answer);
        }
    }

    net::io_context& io_;
    slipway::fakes::TestAuthority authority_;
    slipway::fakes::TestAuthority::Key key_ = slipway::fakes::TestAuthority::make_key();
    std::size_t probes_;
    std::deque<Host> hosts_; ///< Never moved: coroutines hold references.
    net::ip::tcp::endpoint server_;
    Clock::time_point began_;
    std::vector<double> latencies_;
    std::size_t held_calls_ = 0;
    std::size_t lost_ = 0;
    std::size_t known_ = 0;
};

net::awaitable<void> serve_commands(net::io_context& io, Fleet& fleet) {
    net::posix::stream_descriptor input(io, dup(STDIN_FILENO));
    net::streambuf buffer;
    for (;;) {
        boost::system::error_code ec;
        auto into_ec = net::redirect_error(net::use_awaitable, ec);
        co_await net::async_read_until(input, buffer, '\n', into_ec);
        if (ec) {
            io.stop();
            co_return;
        }
        std::istream in(&buffer);
        std::string text;
        std::getline(in, text);
        std::istringstream line(text);
        std::string command;
        std::string argument;
        line >> command >> argument;
        if (command == "connect") {
            fleet.connect(static_cast<std::uint16_t>(std::stoi(argument)));
        } else if (command == "report") {
            std::cout << fleet.report() << std::endl;
        } else if (command == "times") {
            std::cout << fleet.times() << std::endl;
        } else if (command == "fail") {
            fleet.fail_release(argument);
        } else if (command == "silence") {
            fleet.silence(argument);
            std::cout << "silent " << unix_ms() << std::endl;
        }
    }
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 4) {
        std::fputs("orchestrator_load DIRECTORY HOSTS PROBES\n", stderr);
        return 2;
    }
    net::io_context io{1};
    Fleet fleet(io, argv[1], std::stoul(argv[2]), std::stoul(argv[3]));
    std::cout << "ready" << std::endl;
    net::co_spawn(io, serve_commands(io, fleet), slipway::rethrow);
    io.run();
    return 0;
}
