#include "common/swarm/half_open.h"

#include <catch2/catch.hpp>

namespace slipway::swarm {
namespace {

using namespace std::chrono_literals;
const HalfOpen::TimePoint start{};

std::vector<int> numbers(const std::vector<AcceptedSocket>& sockets) {
    std::vector<int> result;
    for (const auto& socket : sockets) {
        result.push_back(socket.number);
    }
    return result;
}

} // namespace

TEST_CASE("HalfOpen: a socket has so long for its handshake, and no longer", "[swarm]") {
    HalfOpen half_open;
    const std::vector<AcceptedSocket> waiting = {{7, "192.0.2.1:1000"}};
    CHECK(half_open.overdue(waiting, start).empty());
    CHECK(half_open.overdue(waiting, start + HalfOpen::patience - 1ms).empty());
    CHECK(numbers(half_open.overdue(waiting, start + HalfOpen::patience)) == std::vector{7});
}

TEST_CASE("HalfOpen: a number that another connection took over starts anew", "[swarm]") {
    HalfOpen half_open;
    CHECK(half_open.overdue({{7, "192.0.2.1:1000"}}, start).empty());
    CHECK(half_open.overdue({{7, "192.0.2.1:1001"}}, start + 4s).empty());
    CHECK(half_open.overdue({{7, "192.0.2.1:1001"}}, start + 6s).empty());
    CHECK(half_open.overdue({}, start + 7s).empty());
    CHECK(half_open.overdue({{7, "192.0.2.1:1001"}}, start + 8s).empty());
    CHECK(numbers(half_open.overdue({{7, "192.0.2.1:1001"}}, start + 13s)) == std::vector{7});
}

TEST_CASE("HalfOpen: of too many, those that wait longest go", "[swarm]") {
    HalfOpen half_open;
    std::vector<AcceptedSocket> waiting;
    for (int i = 0; i < static_cast<int>(HalfOpen::waiting_max); ++i) {
        waiting.push_back({i, "192.0.2.1:" + std::to_string(i)});
    }
    CHECK(half_open.overdue(waiting, start).empty());
    // Found first in the list, but new.
    waiting.insert(waiting.begin(), {9000, "192.0.2.2:1"});
    waiting.insert(waiting.begin(), {9001, "192.0.2.2:2"});
    CHECK(numbers(half_open.overdue(waiting, start + 1s)) == std::vector{0, 1});
}

} // namespace slipway::swarm
