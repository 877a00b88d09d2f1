#include "agent/core/probe_verdict.h"

#include <random>

#include <catch2/catch.hpp>
#include <rapidcheck.h>
#include <rapidcheck/catch.h>

#include "agent/core/hook_plan.h"

namespace slipway::agent {
namespace {

using namespace std::chrono_literals;
using State = ProbeVerdict::State;
using Outcome = ProbeResult::Outcome;

const ProbeVerdict::TimePoint t0{1000s};
const ProbeResult good{Outcome::success, ""};
const ProbeResult bad{Outcome::failure, "HTTP status 503"};
const ProbeResult unknown{Outcome::unknown, "no memory"};

RunSpec one_probe() {
    RunSpec spec;
    spec.probes.push_back({.address = "127.0.0.1:1",
                           .interval = 1s,
                           .successes = 2,
                           .failures = 3,
                           .start_period = 10s});
    spec.ready_within = 60s;
    spec.bake = 30s;
    return spec;
}

} // namespace

TEST_CASE("verdict: ready after the successes in a row, healthy after the bake", "[verdict]") {
    ProbeVerdict verdict(one_probe(), t0);
    CHECK(verdict.due(t0) == std::vector<std::size_t>{0});
    CHECK(verdict.due(t0).empty()); // It runs.
    verdict.probed(0, good, t0 + 100ms);
    CHECK(verdict.state() == State::starting);
    CHECK(verdict.due(t0 + 900ms).empty());
    CHECK(verdict.next() == t0 + 1s);
    CHECK(verdict.due(t0 + 1s).size() == 1);
    verdict.probed(0, good, t0 + 1s);
    CHECK(verdict.state() == State::baking);
    CHECK(verdict.ready());
    verdict.tick(t0 + 30s);
    CHECK(verdict.state() == State::baking);
    verdict.tick(t0 + 31s);
    CHECK(verdict.state() == State::healthy);
    CHECK_FALSE(verdict.next());
    CHECK(verdict.due(t0 + 99s).empty());
}

TEST_CASE("verdict: failures in the start period count only after a success", "[verdict]") {
    ProbeVerdict patient(one_probe(), t0);
    for (int i = 0; i < 9; ++i) {
        patient.probed(0, bad, t0 + i * 1s);
    }
    CHECK(patient.state() == State::starting);
    for (int i = 0; i < 3; ++i) {
        CHECK(patient.state() == State::starting);
        patient.probed(0, bad, t0 + 10s + i * 1s);
    }
    CHECK(patient.state() == State::failed);
    CHECK(patient.reason() == "probe tcp 127.0.0.1:1 failed 3 times in a row: HTTP status 503");

    ProbeVerdict was_up(one_probe(), t0);
    was_up.probed(0, good, t0);
    for (int i = 0; i < 3; ++i) {
        was_up.probed(0, bad, t0 + 1s);
    }
    CHECK(was_up.state() == State::failed);
}

TEST_CASE("verdict: a probe that changes its mind for ever is not ready in time", "[verdict]") {
    ProbeVerdict verdict(one_probe(), t0);
    for (int i = 0; i < 60; ++i) {
        CHECK(verdict.state() == State::starting);
        verdict.probed(0, i % 2 == 0 ? good : bad, t0 + i * 1s);
    }
    verdict.tick(t0 + 60s);
    CHECK(verdict.state() == State::failed);
    CHECK(verdict.reason().find("not ready within 1m: probe tcp") != std::string::npos);
}

TEST_CASE("verdict: an unknown result proves nothing and holds the bake open", "[verdict]") {
    ProbeVerdict verdict(one_probe(), t0);
    verdict.probed(0, good, t0);
    verdict.probed(0, good, t0 + 1s);
    verdict.probed(0, bad, t0 + 2s);
    verdict.probed(0, bad, t0 + 3s);
    verdict.probed(0, unknown, t0 + 4s); // Ends the row of failures, too.
    verdict.probed(0, bad, t0 + 5s);
    verdict.tick(t0 + 40s);
    CHECK(verdict.state() == State::baking);
    verdict.probed(0, good, t0 + 41s);
    verdict.probed(0, good, t0 + 42s);
    CHECK(verdict.state() == State::healthy);

    ProbeVerdict blind(one_probe(), t0);
    blind.probed(0, good, t0);
    blind.probed(0, good, t0);
    blind.probed(0, unknown, t0 + 1s);
    blind.tick(t0 + 30s + 60s);
    CHECK(blind.state() == State::failed);
}

TEST_CASE("verdict: restarts count from readiness on, a unit that is down at once", "[verdict]") {
    auto spec = one_probe();
    spec.bake_restarts = 1;
    ProbeVerdict verdict(spec, t0);
    verdict.unit_seen({.restarts = 7, .detail = ""}, t0);
    verdict.unit_seen({.restarts = 9, .detail = ""}, t0 + 1s);
    verdict.probed(0, good, t0 + 1s);
    verdict.probed(0, good, t0 + 2s);
    verdict.unit_seen({.restarts = 10, .detail = ""}, t0 + 3s);
    CHECK(verdict.state() == State::baking);
    verdict.unit_seen({.restarts = 11, .detail = "web.service"}, t0 + 4s);
    CHECK(verdict.state() == State::failed);
    CHECK(verdict.reason() == "restarted 2 times while it baked (1 allowed): web.service");

    ProbeVerdict down(spec, t0);
    down.unit_seen({.failed = true, .detail = "web.service: failed (exit-code)"}, t0);
    CHECK(down.state() == State::failed);
    CHECK(down.reason() == "web.service: failed (exit-code)");
}

TEST_CASE("verdict: without probes a release is ready at once and bakes", "[verdict]") {
    RunSpec spec;
    ProbeVerdict at_once(spec, t0);
    at_once.tick(t0);
    CHECK(at_once.state() == State::healthy);
    spec.bake = 5s;
    ProbeVerdict bakes(spec, t0);
    bakes.tick(t0);
    CHECK(bakes.next() == t0 + 5s);
    bakes.tick(t0 + 5s);
    CHECK(bakes.state() == State::healthy);
}

TEST_CASE("verdict: random histories end in time, once, and only with what the rules ask for",
          "[verdict]") {
    rc::prop("verdict", [](std::uint64_t seed) {
        // One number to shrink: a history has thousands of draws.
        std::mt19937_64 random(seed);
        const auto below = [&](std::uint64_t end) { return random() % end; };
        auto spec = one_probe();
        spec.probes.push_back(spec.probes.front());
        spec.bake_restarts = below(3);
        spec.probes[1].failures = 1 + below(3);
        ProbeVerdict verdict(spec, t0);
        auto now = t0;
        std::uint64_t restarts = 0;
        std::array<std::uint64_t, 2> row{};
        State before = State::starting;
        const auto check_step = [&] {
            const auto state = verdict.state();
            if (before == State::healthy || before == State::failed) {
                RC_ASSERT(state == before);
            }
            if (before == State::starting && verdict.ready()) {
                RC_ASSERT((row[0] >= 2 && row[1] >= 2));
            }
            if (before != State::healthy && state == State::healthy) {
                RC_ASSERT(now >= t0 + spec.bake);
                RC_ASSERT((row[0] >= 2 && row[1] >= 2));
            }
            RC_ASSERT((state != State::failed || !verdict.reason().empty()));
            RC_ASSERT(verdict.next().has_value() ==
                      (state == State::starting || state == State::baking));
            before = state;
        };
        while (verdict.next() && now < t0 + 600s) {
            now += std::chrono::milliseconds(1 + below(4000));
            for (const auto number : verdict.due(now)) {
                const auto kind = below(20);
                const auto& result = kind == 0 ? bad : kind == 1 ? unknown : good;
                const bool open = verdict.next().has_value();
                row.at(number) = result.outcome != Outcome::success ? 0
                                 : open                             ? row.at(number) + 1
                                                                    : row.at(number);
                verdict.probed(number, result, now);
                check_step();
            }
            restarts += below(40) == 0 ? 1U : 0U;
            verdict.unit_seen({.restarts = restarts, .detail = "unit"}, now);
            check_step();
            verdict.tick(now);
            check_step();
        }
        // ready_within, then the bake, then ready_within at most: 150 s and a step.
        RC_ASSERT(now <= t0 + 155s);
    });
}

TEST_CASE("hook plan: forward stops before the switch, backward is never held up", "[hooks]") {
    using What = SwitchStep::What;
    using Whose = SwitchStep::Whose;
    RunSpec spec;
    spec.unit = RunUnit{.name = "web.service"};
    for (const auto hook : all_hooks) {
        spec.hooks[hook] = {.argv = {"hooks/any"}};
    }
    CHECK(plan_switch(&spec, spec) ==
          std::vector<SwitchStep>{{What::hook, Hook::pre_switch, Whose::new_release, true},
                                  {What::hook, Hook::pre_stop, Whose::old_release, true},
                                  {.what = What::switch_to},
                                  {What::hook, Hook::post_switch, Whose::new_release, true},
                                  {.what = What::restart}});
    CHECK(plan_rollback(spec, spec) ==
          std::vector<SwitchStep>{{What::hook, Hook::pre_stop, Whose::old_release, false},
                                  {What::hook, Hook::on_rollback, Whose::old_release, false},
                                  {.what = What::switch_to},
                                  {What::hook, Hook::post_switch, Whose::new_release, true},
                                  {.what = What::restart}});
    CHECK(plan_switch(nullptr, RunSpec{}) == std::vector<SwitchStep>{{.what = What::switch_to}});
}

} // namespace slipway::agent
