#include "agent/core/timeline.h"

#include <catch2/catch.hpp>

#include "agent/core/service_timelines.h"
#include "agent/core/stage_clock.h"
#include "common/core/errc.h"

namespace slipway::agent {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

const Clock::time_point start{std::chrono::hours(1)};

Release release_of(const std::string& version) {
    return {{"web", version}, sha256(as_bytes(version))};
}

// A machine of one service, seen by its timelines; what it asks for takes the time that is said.
class World {
public:
    void give(const Event& event) {
        auto stepped = step({}, state, event, unix_s());
        if (stepped.state != state) {
            state = stepped.state;
            (void)timelines.state_changed(state, now());
        }
    }
    void want(const std::string& version, std::uint32_t attempt = 0) {
        give(Desire{++epoch, {{{{"web", version}, {}, attempt}}, {}}});
    }
    void pass(milliseconds time) { passed += time; }
    // The step that is going on ends after `time`.
    void done(milliseconds time) {
        pass(time);
        const auto& work = *state.work;
        give(Done{work.number, work.step() == Step::stage
                                   ? std::optional(release_of(work.wanted.artifact.version))
                                   : std::nullopt});
    }
    void fails(milliseconds time, bool release_is_bad) {
        pass(time);
        give(Failed{state.work->number, "it was so", release_is_bad});
    }
    [[nodiscard]] std::int64_t unix_s() const { return 1'000'000 + passed.count() / 1'000; }
    [[nodiscard]] ServiceTimelines::Moment now() const { return {start + passed, unix_s()}; }
    [[nodiscard]] Timeline last() const { return timelines.told(now()).back(); }

    InstallState state;
    ServiceTimelines timelines;
    milliseconds passed{0};
    std::uint64_t epoch = 0;
};

} // namespace

TEST_CASE("stage clock: a fetch divides into waiting for the turn, for bytes, and transfer",
          "[timeline]") {
    StageClock clock(start);
    clock.phase("metadata", start);
    clock.asking_begins(start + milliseconds(200));
    clock.turn_comes(start + milliseconds(200));
    clock.fetch_ends(start + milliseconds(290));
    clock.phase("fetch", start + milliseconds(300));
    clock.fetch_begins(start + milliseconds(300));
    clock.turn_comes(start + milliseconds(500));
    clock.bytes_came(0, start + milliseconds(1'000));
    clock.bytes_came(10, start + milliseconds(1'500)); // One second of waiting,
    clock.bytes_came(10, start + milliseconds(2'000)); // half a second in which bytes came,
    clock.bytes_came(10, start + milliseconds(5'000)); // a gap of three seconds,
    clock.fetch_ends(start + milliseconds(5'100));
    clock.phase("build", start + milliseconds(5'100));
    clock.bytes_came(10, start + milliseconds(5'500)); // Of the build.
    clock.phase("sync", start + milliseconds(6'000));
    const PartTimes expected{
        {Part::metadata, milliseconds(300)}, {Part::turn, milliseconds(200)},
        {Part::peers, milliseconds(4'000)},  {Part::transfer, milliseconds(600)},
        {Part::build, milliseconds(900)},    {Part::verify, milliseconds(1'000)}};
    CHECK(clock.times(start + milliseconds(7'000)) == expected);
}

TEST_CASE("stage clock: bytes that come in steps below a millisecond add up", "[timeline]") {
    StageClock clock(start);
    clock.fetch_begins(start);
    clock.turn_comes(start);
    for (int i = 0; i <= 10'000; ++i) {
        clock.bytes_came(1, start + std::chrono::microseconds(300) * i);
    }
    CHECK(clock.times(start + seconds(3)) == PartTimes{{Part::transfer, seconds(3)}});
}

TEST_CASE("timelines: an installation's time is divided among its steps, all of it", "[timeline]") {
    World world;
    world.want("1");
    world.timelines.staged(
        {.times = {{Part::metadata, milliseconds(100)}, {Part::transfer, milliseconds(600)}},
         .fetched_bytes = 5'000'000,
         .had_bytes = 7,
         .remarks = {"seeder a: slow"}});
    world.done(milliseconds(1'000)); // stage
    world.done(milliseconds(10));    // pre_switch
    world.done(milliseconds(20));    // pre_stop
    world.done(milliseconds(30));    // switch_to
    world.done(milliseconds(40));    // post_switch
    world.done(milliseconds(50));    // restart
    world.done(milliseconds(60));    // probe
    CHECK(world.last().outcome.empty());
    world.done(milliseconds(10'000)); // bake
    const auto last = world.last();
    CHECK(last.artifact == "web@1");
    CHECK(last.outcome == "healthy");
    CHECK(last.why.empty());
    const PartTimes expected{
        {Part::metadata, milliseconds(100)}, {Part::transfer, milliseconds(600)},
        {Part::other, milliseconds(300)},    {Part::hook, milliseconds(70)},
        {Part::switching, milliseconds(30)}, {Part::restart, milliseconds(50)},
        {Part::probe, milliseconds(60)},     {Part::bake, seconds(10)}};
    CHECK(last.times == expected);
    CHECK(last.total() == world.passed);
    CHECK(last.fetched_bytes == 5'000'000);
    CHECK(last.remarks == std::vector<std::string>{"seeder a: slow"});
    world.pass(seconds(100));
    CHECK(world.last() == last);
}

TEST_CASE("timelines: pauses between tries count, with the reason of the last one", "[timeline]") {
    World world;
    world.want("1");
    world.fails(seconds(3), false);
    world.pass(seconds(2));
    world.give(Wake{});
    world.fails(seconds(3), false);
    world.pass(seconds(4));
    const auto last = world.last();
    CHECK(last.failed_tries == 2);
    CHECK(last.times == PartTimes{{Part::other, seconds(6)}, {Part::pause, seconds(6)}});
    const auto reasons = reasons_of(last);
    REQUIRE(reasons.size() == 1);
    CHECK(reasons[0] == "pause took 6.0 s: 2 tries failed, the last one by: it was so");
}

TEST_CASE("timelines: a way back belongs to the installation that failed", "[timeline]") {
    World world;
    world.want("1");
    while (world.state.work) {
        world.done(milliseconds(1));
    }
    world.want("2");
    while (world.state.work->step() != Step::probe) {
        world.done(milliseconds(1));
    }
    world.fails(milliseconds(500), true);
    while (world.state.work) {
        world.done(milliseconds(100));
    }
    const auto last = world.last();
    CHECK(last.artifact == "web@2");
    CHECK(last.outcome == "rolled-back");
    CHECK(last.why == "it was so");
    CHECK(last.times.at(Part::probe) == milliseconds(600));
    CHECK(world.timelines.told(world.now()).size() == 2);
}

TEST_CASE("timelines: another order ends an installation that goes on", "[timeline]") {
    World world;
    world.want("1");
    world.pass(seconds(5));
    world.want("2");
    auto told = world.timelines.told(world.now());
    REQUIRE(told.size() == 2);
    CHECK(told[0].outcome == "left");
    CHECK(told[0].total() == seconds(5));
    CHECK(told[1].artifact == "web@2");
    for (int version = 3; version < 30; ++version) {
        world.want(std::to_string(version));
    }
    CHECK(world.timelines.told(world.now()).size() == timelines_kept);
}

TEST_CASE("timelines: what another process began goes on, and the time between counts as down",
          "[timeline]") {
    World world;
    world.want("1");
    world.done(seconds(3));
    const auto kept = world.timelines.told(world.now());
    world.timelines = ServiceTimelines(kept);
    world.pass(seconds(20));
    (void)world.timelines.state_changed(world.state, world.now());
    while (world.state.work) {
        world.done(seconds(1));
    }
    const auto told = world.timelines.told(world.now());
    REQUIRE(told.size() == 1);
    CHECK(told[0].outcome == "healthy");
    CHECK(told[0].times.at(Part::down) == seconds(20));
    CHECK(told[0].total() == seconds(30));
}

TEST_CASE("timelines: what is encoded decodes to the same, and damage is refused", "[timeline]") {
    World world;
    world.want("1");
    world.fails(seconds(3), false);
    world.want("2");
    const auto told = world.timelines.told(world.now());
    const auto text = encode_timelines(told);
    CHECK(*decode_timelines(as_bytes(text), "test") == told);
    for (std::size_t i = 0; i + 2 < text.size(); ++i) {
        CHECK_FALSE(decode_timelines(as_bytes(text.substr(0, i)), "test"));
        auto damaged = text;
        damaged[i] = static_cast<char>(damaged[i] ^ 1);
        (void)decode_timelines(as_bytes(damaged), "test");
    }
    for (const auto* const bad : {"[]", "{}", R"({"version":2,"installations":[]})",
                                  R"({"version":1,"installations":[{}]})"}) {
        CHECK(decode_timelines(as_bytes(std::string_view(bad)), "test").error().code ==
              Errc::verification_failed);
    }
}

TEST_CASE("timelines: remarks are bounded, printable, and none comes twice", "[timeline]") {
    std::vector<std::string> remarks;
    for (int i = 0; i < 100; ++i) {
        add_remark(remarks, std::string(10'000, '\x01') + std::to_string(i));
        add_remark(remarks, std::to_string(i));
    }
    CHECK(remarks.size() == remarks_max);
    for (const auto& remark : remarks) {
        CHECK(remark.size() <= remark_bytes_max);
    }
}

} // namespace slipway::agent
