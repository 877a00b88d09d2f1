#include "common/swarm/pack_session.h"

#include <cstdlib>
#include <thread>

#include <catch2/catch.hpp>

#include "common/core/errc.h"
#include "tests/fakes/plain_http_server.h"
#include "tests/fakes/sample_pack.h"

namespace slipway::swarm {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
constexpr std::uint64_t mib = 1024 * 1024;

std::unique_ptr<PackSession> start_session() {
    auto session = PackSession::start({});
    REQUIRE(session);
    return std::move(*session);
}

// A session that shares `bytes` as if they were the pack's.
struct Seeder {
    Seeder(const fakes::SamplePack& pack, ByteSpan bytes) : session(start_session()) {
        const auto file = directory.path() / "pack";
        fakes::write_whole(file, bytes);
        REQUIRE(session->seed(pack.id, pack.metainfo, file, {}));
    }
    explicit Seeder(const fakes::SamplePack& pack) : Seeder(pack, pack.data) {}
    [[nodiscard]] PeerAddress address() const { return {"127.0.0.1", session->port()}; }
    [[nodiscard]] std::string name() const {
        return "127.0.0.1:" + std::to_string(session->port());
    }
    fakes::TemporaryDirectory directory;
    std::unique_ptr<PackSession> session;
};

FetchRequest request_for(const fakes::SamplePack& pack, const std::filesystem::path& file) {
    FetchRequest request;
    request.pack = pack.id;
    request.metainfo = pack.metainfo;
    request.file = file;
    request.wanted = {{0, pack.id.bytes}};
    return request;
}

Result<FetchReport> fetch(PackSession& session, FetchRequest request,
                          std::chrono::milliseconds patience = 20s, std::stop_token stop = {}) {
    std::vector<FetchRequest> requests;
    requests.push_back(std::move(request));
    return session.fetch(std::move(requests), patience, {}, std::move(stop));
}

// Says what went wrong in the failing check.
std::string why(const Result<FetchReport>& report) {
    return report ? "" : describe(report.error());
}

Bytes corrupted(Bytes data, std::uint64_t at) {
    data[at] ^= 0x40U;
    return data;
}

} // namespace

TEST_CASE("PackSession: fetches a pack from a seeder, and readers see it at once", "[swarm]") {
    const fakes::SamplePack pack(20 * mib + 123);
    const Seeder seeder(pack);
    const fakes::TemporaryDirectory directory;
    const auto session = start_session();
    auto request = request_for(pack, directory.path() / "pack");
    request.peers = {seeder.address()};
    std::uint64_t progressed = 0;
    const auto report =
        session->fetch({request}, 20s, [&](std::uint64_t n) { progressed += n; }, {});
    REQUIRE(why(report) == "");
    CHECK(fakes::read_whole(request.file) == pack.data);
    CHECK(report->wanted_bytes == pack.id.bytes);
    CHECK(report->received_bytes >= pack.id.bytes);
    CHECK(report->received_bytes < pack.id.bytes + pack.id.bytes / 50);
    CHECK(report->failed_bytes == 0);
    CHECK(progressed == report->received_bytes);
    CHECK(seeder.session->uploaded_bytes() >= pack.id.bytes);
}

TEST_CASE("PackSession: a small fetch over loopback takes well under a second", "[swarm]") {
    const fakes::SamplePack pack(100'000);
    const Seeder seeder(pack);
    const fakes::TemporaryDirectory directory;
    const auto session = start_session();
    auto request = request_for(pack, directory.path() / "pack");
    request.peers = {seeder.address()};
    const auto start = Clock::now();
    REQUIRE(why(fetch(*session, request)) == "");
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start);
    INFO("took " << took.count() << " ms");
    CHECK(took < 2s);
}

TEST_CASE("PackSession: many packs come in one call", "[swarm]") {
    const auto seeding = start_session();
    const auto session = start_session();
    const fakes::TemporaryDirectory seeds;
    const fakes::TemporaryDirectory directory;
    std::vector<FetchRequest> requests;
    std::vector<fakes::SamplePack> packs;
    for (std::uint32_t i = 0; i < 20; ++i) {
        const auto& pack = packs.emplace_back(1000 + i * 50'000, i);
        const auto name = std::to_string(i);
        fakes::write_whole(seeds.path() / name, pack.data);
        REQUIRE(seeding->seed(pack.id, pack.metainfo, seeds.path() / name, {}));
        auto& request = requests.emplace_back(request_for(pack, directory.path() / name));
        request.peers = {{"127.0.0.1", seeding->port()}};
    }
    REQUIRE(why(session->fetch(requests, 20s, {}, {})) == "");
    for (std::uint32_t i = 0; i < 20; ++i) {
        CHECK(fakes::read_whole(directory.path() / std::to_string(i)) == packs[i].data);
    }
}

TEST_CASE("PackSession: only pieces that the wanted ranges touch are moved", "[swarm]") {
    const fakes::SamplePack pack(16 * mib);
    const auto piece = piece_bytes_for(pack.id.bytes);
    const Seeder seeder(pack);
    const fakes::TemporaryDirectory directory;
    const auto session = start_session();
    auto request = request_for(pack, directory.path() / "pack");
    request.peers = {seeder.address()};
    request.wanted = {{piece * 3 + 10, 1}, {piece * 7 - 1, 2}, {piece * 20, piece}, {0, 0}};
    const auto report = fetch(*session, request);
    REQUIRE(why(report) == "");
    CHECK(report->wanted_bytes == 4 * piece);
    CHECK(report->received_bytes == 4 * piece);
    const auto got = fakes::read_whole(request.file);
    REQUIRE(got.size() == pack.data.size());
    for (const std::size_t i : {3U, 6U, 7U, 20U}) {
        const auto range = [&](const Bytes& bytes) {
            const auto view = ByteSpan(bytes).subspan(i * piece, piece);
            return Bytes(view.begin(), view.end());
        };
        CHECK(range(got) == range(pack.data));
    }
    SECTION("a later fetch moves only what lacks") {
        request.wanted = {{0, pack.id.bytes}};
        const auto rest = fetch(*session, request);
        REQUIRE(why(rest) == "");
        CHECK(rest->wanted_bytes == pack.id.bytes - 4 * piece);
        CHECK(rest->received_bytes == pack.id.bytes - 4 * piece);
        CHECK(fakes::read_whole(request.file) == pack.data);
    }
    SECTION("a later session finds them on the disk") {
        const auto later = start_session();
        request.wanted = {{0, piece * 8}};
        const auto rest = fetch(*later, request);
        REQUIRE(why(rest) == "");
        CHECK(rest->wanted_bytes == 5 * piece);
        CHECK(rest->received_bytes == 5 * piece);
    }
}

TEST_CASE("PackSession: a fetch that was stopped goes on where it was", "[swarm]") {
    const fakes::SamplePack pack(40 * mib);
    const Seeder seeder(pack);
    const fakes::TemporaryDirectory directory;
    auto request = request_for(pack, directory.path() / "pack");
    request.peers = {seeder.address()};
    std::uint64_t first = 0;
    {
        SessionOptions slow;
        slow.download_bytes_per_s_max = 20 * mib;
        const auto session = PackSession::start(slow);
        REQUIRE(session);
        std::stop_source stop;
        const auto report = (*session)->fetch(
            {request}, 20s,
            [&](std::uint64_t bytes) {
                first += bytes;
                if (first > 8 * mib) {
                    stop.request_stop();
                }
            },
            stop.get_token());
        REQUIRE_FALSE(report);
        CHECK(report.error().code == Errc::cancelled);
    }
    const auto session = start_session();
    const auto report = fetch(*session, request);
    REQUIRE(why(report) == "");
    CHECK(fakes::read_whole(request.file) == pack.data);
    CHECK(report->wanted_bytes < pack.id.bytes);
    CHECK(report->received_bytes == report->wanted_bytes);
}

TEST_CASE("PackSession: a stop request ends a fetch promptly", "[swarm]") {
    const fakes::SamplePack pack(mib);
    const fakes::TemporaryDirectory directory;
    const auto session = start_session();
    std::stop_source stop;
    std::jthread stopper([&] {
        std::this_thread::sleep_for(200ms);
        stop.request_stop();
    });
    const auto start = Clock::now();
    const auto report =
        fetch(*session, request_for(pack, directory.path() / "pack"), 60s, stop.get_token());
    REQUIRE_FALSE(report);
    CHECK(report.error().code == Errc::cancelled);
    CHECK(Clock::now() - start < 1s);
}

TEST_CASE("PackSession: without a source it is unreachable after the patience", "[swarm]") {
    const fakes::SamplePack pack(mib);
    const fakes::TemporaryDirectory directory;
    const auto session = start_session();
    auto request = request_for(pack, directory.path() / "pack");
    request.peers = {{"127.0.0.1", 1}};
    request.trackers = {"http://127.0.0.1:2/announce"};
    request.web_seeds = {"http://127.0.0.1:3/packs/x"};
    request.web_seed_delay = 200ms;
    const auto start = Clock::now();
    const auto report = fetch(*session, request, 1500ms);
    CHECK(Clock::now() - start < 2500ms);
    REQUIRE_FALSE(report);
    CHECK(report.error().code == Errc::unreachable);
    const auto text = describe(report.error());
    INFO(text);
    for (const auto* source : {"peer 127.0.0.1:1", "tracker http://127.0.0.1:2/announce",
                               "web seed http://127.0.0.1:3/packs/x", "refused"}) {
        CHECK(text.find(source) != std::string::npos);
    }
}

TEST_CASE("PackSession: a seeder with a bad byte beside a good one: the right bytes, no crash",
          "[swarm]") {
    const int rounds = std::getenv("SLIPWAY_TEST_LONG") != nullptr ? 50 : 10;
    const fakes::SamplePack pack(9 * mib);
    const Seeder good(pack);
    for (int round = 0; round < rounds; ++round) {
        CAPTURE(round);
        const Seeder bad(pack, corrupted(pack.data, static_cast<std::uint64_t>(round) * 150'000));
        const fakes::TemporaryDirectory directory;
        const auto session = start_session();
        auto request = request_for(pack, directory.path() / "pack");
        request.peers = {bad.address(), good.address()};
        const auto report = fetch(*session, request);
        REQUIRE(why(report) == "");
        REQUIRE(fakes::read_whole(request.file) == pack.data);
        if (report->failed_bytes > 0) {
            CHECK(report->banned == std::vector{bad.name()});
        }
    }
}

TEST_CASE("PackSession: one good seeder among three with bad bytes is enough", "[swarm]") {
    const fakes::SamplePack pack(20 * mib);
    const Seeder good(pack);
    const Seeder one(pack, corrupted(pack.data, 5 * mib));
    const Seeder same(pack, corrupted(pack.data, 5 * mib + 20'000));
    const Seeder garbage(pack, fakes::noise(pack.id.bytes, 9));
    const fakes::TemporaryDirectory directory;
    const auto session = start_session();
    auto request = request_for(pack, directory.path() / "pack");
    request.peers = {one.address(), garbage.address(), same.address(), good.address()};
    const auto report = fetch(*session, request);
    REQUIRE(why(report) == "");
    CHECK(fakes::read_whole(request.file) == pack.data);
    CHECK(std::count(report->banned.begin(), report->banned.end(), good.name()) == 0);
    CHECK(std::count(report->banned.begin(), report->banned.end(), garbage.name()) == 1);
}

TEST_CASE("PackSession: only bad bytes to be had is a failed verification that names the peer",
          "[swarm]") {
    const fakes::SamplePack pack(4 * mib);
    const Seeder liar(pack, fakes::noise(pack.id.bytes, 77));
    const fakes::TemporaryDirectory directory;
    const auto session = start_session();
    auto request = request_for(pack, directory.path() / "pack");
    request.peers = {liar.address()};
    const auto start = Clock::now();
    const auto report = fetch(*session, request, 20s);
    REQUIRE_FALSE(report);
    INFO(describe(report.error()));
    CHECK(Clock::now() - start < 5s);
    CHECK(report.error().code == Errc::verification_failed);
    CHECK(report.error().context.find(liar.name()) != std::string::npos);
}

TEST_CASE("PackSession: two hosts that hold different halves complete each other", "[swarm]") {
    const fakes::SamplePack pack(16 * mib);
    fakes::TemporaryDirectory directory;
    const auto left = start_session();
    const auto right = start_session();
    auto half = pack.data;
    std::fill(half.begin() + 8 * mib, half.end(), std::uint8_t{0});
    fakes::write_whole(directory.path() / "left", half);
    half = pack.data;
    std::fill(half.begin(), half.begin() + 8 * mib, std::uint8_t{0});
    fakes::write_whole(directory.path() / "right", half);
    auto to_left = request_for(pack, directory.path() / "left");
    to_left.peers = {{"127.0.0.1", right->port()}};
    auto to_right = request_for(pack, directory.path() / "right");
    to_right.peers = {{"127.0.0.1", left->port()}};
    Result<FetchReport> other;
    std::thread thread([&] { other = fetch(*right, to_right); });
    const auto report = fetch(*left, to_left);
    thread.join();
    REQUIRE(why(report) == "");
    REQUIRE(why(other) == "");
    CHECK(report->received_bytes == 8 * mib);
    CHECK(fakes::read_whole(to_left.file) == pack.data);
    CHECK(fakes::read_whole(to_right.file) == pack.data);
}

TEST_CASE("PackSession: a plain web server is enough", "[swarm]") {
    const fakes::SamplePack pack(20 * mib + 5);
    const std::string body(as_text(pack.data));
    fakes::PlainHttpServer server([&](const auto& asked) { return fakes::file(asked, body); });
    const fakes::TemporaryDirectory directory;
    const auto session = start_session();
    auto request = request_for(pack, directory.path() / "pack");
    request.web_seeds = {server.url("/packs/" + pack.id.name())};
    SECTION("for the whole pack") {
        const auto start = Clock::now();
        const auto report = fetch(*session, request);
        REQUIRE(why(report) == "");
        CHECK(Clock::now() - start < 3s);
        CHECK(report->received_bytes == pack.id.bytes);
        CHECK(fakes::read_whole(request.file) == pack.data);
    }
    SECTION("for a part") {
        request.wanted = {{5 * mib, 10}};
        const auto report = fetch(*session, request);
        REQUIRE(why(report) == "");
        CHECK(report->received_bytes == piece_bytes_for(pack.id.bytes));
    }
    SECTION("and what came from it is shared") {
        REQUIRE(why(fetch(*session, request)) == "");
        const auto next = start_session();
        auto second = request_for(pack, directory.path() / "second");
        second.peers = {{"127.0.0.1", session->port()}};
        REQUIRE(why(fetch(*next, second)) == "");
        CHECK(fakes::read_whole(second.file) == pack.data);
    }
    SECTION("when the only peer does not answer") {
        request.peers = {{"127.0.0.1", 1}};
        request.web_seed_delay = 300ms;
        REQUIRE(why(fetch(*session, request)) == "");
        CHECK(fakes::read_whole(request.file) == pack.data);
    }
}

TEST_CASE("PackSession: a web server is left alone while peers deliver", "[swarm]") {
    const fakes::SamplePack pack(8 * mib);
    const std::string body(as_text(pack.data));
    fakes::PlainHttpServer server([&](const auto& asked) { return fakes::file(asked, body); });
    const Seeder seeder(pack);
    const fakes::TemporaryDirectory directory;
    const auto session = start_session();
    auto request = request_for(pack, directory.path() / "pack");
    request.web_seeds = {server.url("/p")};
    request.peers = {seeder.address()};
    REQUIRE(why(fetch(*session, request)) == "");
    CHECK(server.requests() == 0);
}

TEST_CASE("PackSession: a web server with wrong bytes", "[swarm]") {
    const fakes::SamplePack pack(20 * mib);
    const std::string garbage(as_text(corrupted(pack.data, 11 * mib)));
    fakes::PlainHttpServer liar([&](const auto& asked) { return fakes::file(asked, garbage); });
    const fakes::TemporaryDirectory directory;
    const auto session = start_session();
    auto request = request_for(pack, directory.path() / "pack");
    request.web_seeds = {liar.url("/bad")};
    SECTION("alone is a failed verification that names it") {
        const auto report = fetch(*session, request);
        REQUIRE_FALSE(report);
        CHECK(report.error().code == Errc::verification_failed);
        CHECK(report.error().context.find(liar.url("/bad")) != std::string::npos);
    }
    SECTION("beside a good web server does no harm") {
        const std::string body(as_text(pack.data));
        fakes::PlainHttpServer good([&](const auto& asked) { return fakes::file(asked, body); });
        request.web_seeds.push_back(good.url("/good"));
        const auto report = fetch(*session, request);
        REQUIRE(why(report) == "");
        CHECK(fakes::read_whole(request.file) == pack.data);
        CHECK(report->banned == std::vector{liar.url("/bad")});
    }
    SECTION("beside a good peer does no harm") {
        const Seeder seeder(pack);
        request.peers = {seeder.address()};
        request.web_seed_delay = 0ms;
        const auto report = fetch(*session, request);
        REQUIRE(why(report) == "");
        CHECK(fakes::read_whole(request.file) == pack.data);
    }
}

TEST_CASE("PackSession: metainfo or a file of another pack is refused", "[swarm]") {
    const fakes::SamplePack pack(100'000);
    const fakes::SamplePack other(100'000, 2);
    const fakes::TemporaryDirectory directory;
    const auto session = start_session();
    auto request = request_for(pack, directory.path() / "pack");
    request.metainfo = other.metainfo;
    const auto report = fetch(*session, request);
    REQUIRE_FALSE(report);
    CHECK(report.error().code == Errc::verification_failed);
    fakes::write_whole(directory.path() / "short", ByteSpan(pack.data).first(10));
    const auto seeded = session->seed(pack.id, pack.metainfo, directory.path() / "short", {});
    REQUIRE_FALSE(seeded);
    CHECK(seeded.error().code == Errc::verification_failed);
}

} // namespace slipway::swarm
