#include "seeder/io/swarm_desk.h"

#include <algorithm>

#include "common/core/errc.h"
#include "common/core/sha256.h"
#include "seeder/io/address_bytes.h"

namespace slipway::seeder {
namespace {

using Clock = std::chrono::steady_clock;
// So often a held call looks whether the server stops.
constexpr std::chrono::milliseconds look_interval{1'000};

http::Head head_of(int status, std::string type) {
    http::Head head;
    head.status = status;
    head.type = std::move(type);
    return head;
}

} // namespace

// NOLINTNEXTLINE(cppcoreguidelines-avoid-reference-coroutine-parameters): the caller waits for it.
net::awaitable<void> SwarmDesk::answer(http::Exchange& exchange) {
    const auto body = co_await exchange.read_all(api::swarm_body_bytes_max);
    if (!body) {
        const bool long_one = body.error().code == std::errc::message_size;
        auto head = head_of(long_one ? 413 : 400, "text/plain");
        co_return co_await exchange.send(std::move(head), printable(body.error().context) + "\n");
    }
    const auto ip = exchange.request().remote.address().to_string();
    auto call = api::decode_swarm_call(as_bytes(*body), "call");
    if (!call) {
        auto head = head_of(400, "text/plain");
        co_return co_await exchange.send(std::move(head), printable(call.error().context) + "\n");
    }
    list(*call, exchange.request().remote.address());
    const auto answer = co_await wait(exchange, std::move(*call), ip);
    auto head = head_of(200, "application/json");
    co_await exchange.send(std::move(head), api::encode_swarm_answer(answer));
}

// NOLINTNEXTLINE(cppcoreguidelines-avoid-reference-coroutine-parameters): the caller waits for it.
net::awaitable<api::SwarmAnswer> SwarmDesk::wait(const http::Exchange& exchange,
                                                 api::SwarmCall call, std::string ip) {
    const auto began = Clock::now();
    assigner_.expire(began);
    auto answer = assigner_.call(call, ip, began);
    wake();
    const auto until = began + std::min(call.wait, answer.call);
    const auto key = Assigner::key_of(call, ip);
    const auto executor = co_await net::this_coro::executor;
    while (answer.generation == call.seen && Clock::now() < until && !exchange.stopping()) {
        net::steady_timer timer(executor);
        timer.expires_at(std::min(until, Clock::now() + look_interval));
        const auto place = held_.emplace(key, &timer);
        boost::system::error_code cancelled;
        co_await timer.async_wait(net::redirect_error(net::use_awaitable, cancelled));
        held_.erase(place);
        answer = assigner_.orders(call, ip);
    }
    co_return answer;
}

void SwarmDesk::wake() {
    for (const auto& key : assigner_.take_woken()) {
        const auto [first, last] = held_.equal_range(key);
        std::for_each(first, last, [](const auto& held) { held.second->cancel(); });
    }
}

void SwarmDesk::list(const api::SwarmCall& call, const net::ip::address& address) {
    Announce announce;
    // BEP 20: who it is, and then what tells it from others.
    const std::string id = "-SA0100-" + call.session.substr(0, 12);
    std::copy_n(id.begin(), announce.id.size(), announce.id.begin());
    announce.peer = {.address = address_bytes(address), .port = call.port};
    announce.peers_wanted = 0;
    for (const auto& report : call.swarms) {
        const auto hash = from_hex(report.swarm);
        if (!hash || hash->size() != announce.swarm.size()) {
            continue;
        }
        std::copy_n(hash->begin(), announce.swarm.size(), announce.swarm.begin());
        announce.left = report.lacks;
        (void)tracker_.announce(announce, std::nullopt, Clock::now());
    }
}

} // namespace slipway::seeder
