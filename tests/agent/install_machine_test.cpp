#include "agent/core/install_machine.h"

#include <algorithm>

#include <catch2/catch.hpp>
#include <rapidcheck.h>

#include "agent/core/install_state.h"

namespace slipway::agent {
namespace {

Release release(int number) {
    Release made{{"web", std::to_string(number)}, {}};
    made.digest.bytes.fill(static_cast<std::uint8_t>(number));
    return made;
}
api::Wanted wanted(int number, std::uint32_t attempt = 0) {
    return {release(number).artifact, std::nullopt, attempt};
}

// A service whose world answers every action at once, by which releases hold.
class World {
public:
    InstallState state;
    std::vector<int> bad; ///< Releases whose probe fails.
    std::vector<Perform> asked;
    std::vector<std::string> reports;
    std::uint64_t epoch = 0;

    void give(const Event& event) {
        auto stepped = step({}, state, event, 1);
        state = decode(stepped.state); // Only what the journal holds survives.
        take(stepped.actions);
    }
    void take(const std::vector<Action>& actions) {
        for (const auto& action : actions) {
            if (const auto* perform = std::get_if<Perform>(&action)) {
                asked.push_back(*perform);
            } else if (const auto* report = std::get_if<Report>(&action)) {
                reports.push_back(report->kind);
            }
        }
    }
    void desire(std::optional<api::Wanted> run, std::vector<api::Wanted> stage = {}) {
        give(Desire{++epoch, {std::move(run), std::move(stage)}});
    }
    // Answers until nothing is asked any more; fails the test if that never happens.
    void settle() {
        for (int answers = 0; state.work; ++answers) {
            REQUIRE(answers < 200);
            answer();
        }
    }
    void answer() {
        const auto& work = *state.work;
        if (work.number == 0) {
            give(Wake{});
        } else if (work.step() == Step::stage) {
            give(Done{work.number, release(std::stoi(work.wanted.artifact.version))});
        } else if (work.step() == Step::probe && holds_not(*work.release)) {
            give(Failed{work.number, "GET /health: 500", true});
        } else {
            give(Done{work.number, {}});
        }
    }
    [[nodiscard]] bool holds_not(const Release& one) const {
        return std::ranges::count(bad, std::stoi(one.artifact.version)) != 0;
    }
    [[nodiscard]] std::vector<Step> steps() const {
        std::vector<Step> all;
        for (const auto& one : asked) {
            all.push_back(one.step);
        }
        return all;
    }
    static InstallState decode(const InstallState& state) {
        const auto read = decode_install_state(as_bytes(encode_install_state(state)), "test");
        REQUIRE(read);
        REQUIRE(*read == state);
        return *read;
    }
};

} // namespace

TEST_CASE("machine: a wanted release is staged, switched to, restarted, probed and baked",
          "[machine]") {
    World world;
    world.desire(wanted(1));
    world.settle();
    CHECK(world.steps() == std::vector{Step::stage, Step::pre_switch, Step::pre_stop,
                                       Step::switch_to, Step::post_switch, Step::restart,
                                       Step::probe, Step::bake});
    CHECK(world.state.phase == Phase::healthy);
    CHECK(world.state.running == release(1));
    CHECK(world.state.good == release(1));
    CHECK(world.reports ==
          std::vector<std::string>{"staging", "switching", "probing", "baking", "healthy"});
}

TEST_CASE("machine: what failed its probe is left for the last that held, once", "[machine]") {
    World world;
    world.bad = {2};
    world.desire(wanted(1));
    world.settle();
    world.asked.clear();
    world.desire(wanted(2));
    world.settle();
    CHECK(world.state.phase == Phase::rolled_back);
    CHECK(world.state.running == release(1));
    CHECK(world.state.last_error == "GET /health: 500");
    CHECK(std::ranges::count(world.steps(), Step::switch_to) == 2);
    REQUIRE(world.state.quarantine.size() == 1);

    world.asked.clear();
    SECTION("and not tried again by the same order or another that names it") {
        world.give(Desire{world.epoch, world.state.desired});
        world.desire(wanted(2), {wanted(3)});
        world.settle();
        CHECK(std::ranges::count(world.steps(), Step::switch_to) == 0);
        CHECK(world.state.staged == std::vector{release(3)});
    }
    SECTION("but by an order of a higher attempt") {
        world.bad.clear();
        world.desire(wanted(2, 1));
        world.settle();
        CHECK(world.state.phase == Phase::healthy);
        CHECK(world.state.running == release(2));
        CHECK(world.state.quarantine.empty());
    }
    SECTION("and another release goes its way") {
        world.desire(wanted(3));
        world.settle();
        CHECK(world.state.phase == Phase::healthy);
        world.desire(wanted(2));
        CHECK(world.state.phase == Phase::quarantined);
        CHECK(world.state.running == release(3));
    }
}

TEST_CASE("machine: when the release before is broken too, it stops with both reasons",
          "[machine]") {
    World world;
    world.desire(wanted(1));
    world.settle();
    world.bad = {1, 2};
    world.asked.clear();
    world.desire(wanted(2));
    world.settle();
    CHECK(world.state.phase == Phase::failed);
    CHECK(world.state.last_error ==
          "GET /health: 500; going back to " + release(1).id().text + ": GET /health: 500");
    CHECK(std::ranges::count(world.steps(), Step::switch_to) == 2);
    CHECK(world.state.running == release(1));
}

TEST_CASE("machine: a first release that fails has nowhere to go back to", "[machine]") {
    World world;
    world.bad = {1};
    world.desire(wanted(1));
    world.settle();
    CHECK(world.state.phase == Phase::failed);
    CHECK(world.state.last_error == "GET /health: 500; no earlier release held on this host");
}

TEST_CASE("machine: a hook before the switch that fails leaves what runs alone", "[machine]") {
    World world;
    world.desire(wanted(1));
    world.settle();
    world.asked.clear();
    world.desire(wanted(2));
    world.answer();
    world.give(Failed{world.state.work->number, "exit status 1", true});
    CHECK(world.state.phase == Phase::quarantined);
    CHECK(world.state.running == release(1));
    CHECK(std::ranges::count(world.steps(), Step::restart) == 0);
}

TEST_CASE("machine: an older epoch, or the same with other content, is refused", "[machine]") {
    World world;
    world.give(Desire{5, {wanted(1), {}}});
    world.settle();
    world.reports.clear();
    world.give(Desire{4, {wanted(2), {}}});
    world.give(Desire{5, {wanted(2), {}}});
    CHECK(world.reports == std::vector<std::string>{"refused", "refused"});
    CHECK(world.state.desired.run == wanted(1));
    CHECK_FALSE(world.state.work);
}

TEST_CASE("machine: of one epoch an older generation, or the same with other content, is refused",
          "[machine]") {
    World world;
    world.give(Desire{5, {wanted(1), {}}, 7});
    world.settle();
    world.give(Desire{5, {wanted(1), {}}, 7}); // Told again.
    world.reports.clear();
    world.give(Desire{5, {wanted(2), {}}, 6});
    world.give(Desire{5, {wanted(2), {}}, 7});
    CHECK(world.reports == std::vector<std::string>{"refused", "refused"});
    CHECK(world.state.desired.run == wanted(1));
    world.give(Desire{5, {wanted(2), {}}, 8});
    CHECK(world.state.desired.run == wanted(2));
    world.settle();
    world.give(Desire{6, {wanted(3), {}}, 1}); // Another orchestrator's generations.
    CHECK(world.state.desired.run == wanted(3));
    CHECK(World::decode(world.state) == world.state);
}

TEST_CASE("machine: bytes that do not come are waited for longer and longer", "[machine]") {
    World world;
    world.desire(wanted(1));
    std::chrono::milliseconds last{0};
    for (int tries = 0; tries < 30; ++tries) {
        const auto stepped =
            step({}, world.state, Failed{world.state.work->number, "gone", false}, 1);
        const auto wait = std::ranges::find_if(
            stepped.actions, [](const auto& one) { return std::holds_alternative<Wait>(one); });
        REQUIRE(wait != stepped.actions.end());
        const auto delay = std::get<Wait>(*wait).delay;
        CHECK(delay <= std::chrono::minutes(5));
        if (tries < 6) {
            CHECK(delay > last);
        }
        last = delay;
        world.state = stepped.state;
        world.give(Wake{});
    }
    CHECK(last >= std::chrono::minutes(5) * 3 / 4);
    CHECK(world.state.phase == Phase::staging);
}

TEST_CASE("machine: another digest under the wanted name is not run", "[machine]") {
    World world;
    auto exact = wanted(1);
    exact.digest = release(9).digest;
    world.desire(exact);
    world.give(Done{world.state.work->number, release(1)});
    CHECK(world.state.work->step() == Step::stage);
    CHECK(world.state.work->number == 0);
}

TEST_CASE("machine: a newer order takes over a probe, not a switch", "[machine]") {
    World world;
    world.desire(wanted(1));
    world.settle();
    world.desire(wanted(2));
    while (world.state.work->step() != Step::switch_to) {
        world.answer();
    }
    world.desire(wanted(3));
    CHECK(world.state.work->release == release(2));
    world.answer();
    CHECK(world.state.running == release(2));
    while (world.state.work->step() != Step::probe) {
        world.answer();
    }
    world.desire(wanted(4));
    CHECK(world.state.work->wanted == wanted(4));
    CHECK(world.state.good == release(1));
    CHECK(world.state.quarantine.empty());
}

TEST_CASE("machine: a rollback by hand is respected", "[machine]") {
    World world;
    world.desire(wanted(1));
    world.settle();
    world.desire(wanted(2));
    world.settle();
    world.give(Observed{release(1)});
    CHECK(world.state.phase == Phase::rolled_back);
    CHECK_FALSE(world.state.work);
    CHECK(world.state.running == release(1));
}

TEST_CASE("machine: what a manual install left is taken over", "[machine]") {
    World world;
    world.bad = {2};
    world.give(Observed{release(1)});
    world.desire(wanted(2));
    world.settle();
    CHECK(world.state.phase == Phase::rolled_back);
    CHECK(world.state.running == release(1));
}

// Any events in any order, late and made-up answers, restarts at any point.
TEST_CASE("machine: whatever happens, there is no loop and nothing bad is run by itself",
          "[machine]") {
    CHECK(rc::check([] {
        const MachineOptions options;
        InstallState state;
        std::optional<Release> link; // What the disk's `current` names.
        std::uint64_t epoch = 0;
        std::size_t switches = 0; // Of courses since the last change of the desired state.
        const auto count = *rc::gen::inRange(1, 120);
        for (int i = 0; i < count; ++i) {
            const auto before = state;
            const auto number =
                state.work ? state.work->number : *rc::gen::inRange<std::uint64_t>(0, 9);
            const auto some = release(*rc::gen::inRange(1, 5));
            Event event = Wake{};
            switch (*rc::gen::inRange(0, 12)) {
            case 0:
                event = Desire{
                    ++epoch,
                    {api::Wanted{some.artifact, std::nullopt,
                                 *rc::gen::inRange<std::uint32_t>(0, 3)},
                     {api::Wanted{release(*rc::gen::inRange(1, 5)).artifact, std::nullopt, 0}}}};
                switches = 0;
                break;
            case 1:
                event = Failed{number, "no", true};
                break;
            case 2:
                event = Failed{number, "not now", false};
                break;
            case 3: // Killed, and started again.
                event = Observed{link};
                state = World::decode(state);
                break;
            case 4:
                event = Desire{*rc::gen::inRange<std::uint64_t>(0, epoch + 1), {}};
                if (std::get<Desire>(event).epoch == epoch) {
                    continue;
                }
                break;
            case 5:
                event = Done{number + *rc::gen::inRange<std::uint64_t>(1, 3), some};
                break;
            default:
                if (state.work && state.work->number != 0) {
                    const auto& work = *state.work;
                    if (work.step() == Step::switch_to) {
                        link = work.release;
                    }
                    event =
                        Done{number,
                             work.step() == Step::stage
                                 ? std::optional(release(std::stoi(work.wanted.artifact.version)))
                                 : std::nullopt};
                }
            }
            auto stepped = step(options, state, event, i);
            // The clock may say anything: it is for people, and nothing is decided by it.
            auto jumped = step(options, state, event,
                               *rc::gen::inRange<std::int64_t>(0, std::int64_t{1} << 40));
            jumped.state.since_unix_s = stepped.state.since_unix_s;
            RC_ASSERT(jumped.state == stepped.state);
            RC_ASSERT((jumped.actions == stepped.actions));
            state = World::decode(stepped.state);
            for (const auto& action : stepped.actions) {
                const auto* perform = std::get_if<Perform>(&action);
                if (perform == nullptr) {
                    continue;
                }
                RC_ASSERT(state.work.has_value());
                RC_ASSERT(perform->number == state.work->number);
                if (state.work->course == Course::ahead) {
                    RC_ASSERT(perform->step == Step::stage);
                }
                if (perform->step == Step::switch_to) {
                    ++switches;
                    RC_ASSERT(switches <= 4 * options.switch_tries_max);
                    for (const auto& bad : state.quarantine) {
                        RC_ASSERT(bad.release.digest != perform->release->digest);
                    }
                }
            }
            const auto again = resume(state);
            RC_ASSERT(again.empty() == !state.work.has_value());
            if (state.running != before.running) {
                RC_ASSERT(state.running == link);
            }
        }
        // Left alone by people, and with a world that answers, it comes to rest.
        for (int answers = 0; state.work; ++answers) {
            RC_ASSERT(answers < 60);
            const auto& work = *state.work;
            Event event = Wake{};
            if (work.number != 0) {
                event =
                    work.step() == Step::stage
                        ? Event(Done{work.number, release(std::stoi(work.wanted.artifact.version))})
                        : Event(Failed{work.number, "no", true});
            }
            state = step(options, state, event, 0).state;
        }
    }));
}

} // namespace slipway::agent
