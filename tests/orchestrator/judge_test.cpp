#include "orchestrator/judge/judge.h"

#include <catch2/catch.hpp>

#include "common/core/errc.h"
#include "orchestrator/judge/statistics.h"
#include "tests/orchestrator/judge_fixture.h"

namespace slipway::orchestrator::judge {
namespace {

TEST_CASE("statistics: Student's t agrees with its tables", "[judge]") {
    CHECK(t_above(0, 5) == Approx(0.5));
    CHECK(t_above(2.015, 5) == Approx(0.05).epsilon(1e-3));
    CHECK(t_above(-2.015, 5) == Approx(0.95).epsilon(1e-3));
    CHECK(t_above(6.314, 1) == Approx(0.05).epsilon(1e-3));
    CHECK(t_quantile(0.025, 18) == Approx(2.10092).epsilon(1e-5));
    CHECK(t_quantile(0.0005, 18) == Approx(3.92165).epsilon(1e-5));
    CHECK(t_quantile(0.975, 18) == Approx(-2.10092).epsilon(1e-5));
    CHECK(t_quantile(0.025, 1e6) == Approx(1.95996).epsilon(1e-4));
}

TEST_CASE("judge: a healthy canary passes, and the sentence says the numbers", "[judge]") {
    Judging judging(plan_of(10, {latency(), errors()}));
    Latencies world(1);
    const auto healthy = [&](Reading& reading) {
        reading.amount = reading.metric == 0 ? world.of(reading.host) : world.poisson(2);
        reading.exposure = 1'000;
        return true;
    };
    const auto judged = judging.decide(500, healthy);
    REQUIRE(judged.verdict == Verdict::pass);
    for (const auto& finding : judged.findings) {
        CHECK(finding.why == Why::harm_excluded);
        CHECK(finding.coverage == 1);
        CHECK(finding.canary_hosts == 10);
    }
    CHECK(judged.findings[0].effect_high < 1.15);
    const auto said = sentence(judged);
    CHECK(said.find("latency: pass, surely less than 1.15 times as bad; canary ") == 0);
    CHECK(said.find("errors: pass, surely less than 2 times as bad; canary ") != said.npos);
    CHECK(said.find("(10 hosts), baseline ") != said.npos);
}

TEST_CASE("judge: a slower canary fails for good", "[judge]") {
    Judging judging(plan_of(10, {latency()}));
    Latencies world(2);
    const auto slower = [&](Reading& reading) {
        reading.amount = world.of(reading.host) * (judging.is_canary(reading) ? 1.25 : 1);
        return true;
    };
    auto judged = judging.decide(200, slower);
    REQUIRE(judged.verdict == Verdict::fail);
    CHECK(judged.findings[0].why == Why::worse_than_baseline);
    CHECK(judged.findings[0].effect_low > 1.03);
    CHECK(judged.findings[0].effect == Approx(1.25).epsilon(0.15));
    const auto evidence = sentence(judged);
    CHECK(evidence.find("latency: fail, worse than the tolerated 1.03 times (p ") == 0);
    judged = judging.decide(50, [&](Reading& reading) {
        reading.amount = world.of(reading.host);
        return true;
    });
    CHECK(judged.verdict == Verdict::fail);
}

TEST_CASE("judge: lower is worse when the rules say so", "[judge]") {
    auto rules = latency();
    rules.direction = Direction::lower_is_worse;
    for (const bool better : {false, true}) {
        Judging judging(plan_of(10, {rules}));
        Latencies world(3);
        const auto judged = judging.decide(100, [&](Reading& reading) {
            reading.amount =
                world.of(reading.host) * (judging.is_canary(reading) ? (better ? 2 : 0.5) : 1);
            return true;
        });
        CHECK(judged.verdict == (better ? Verdict::pass : Verdict::fail));
        CHECK(judged.findings[0].effect == Approx(better ? 0.5 : 2).epsilon(0.2));
    }
}

TEST_CASE("judge: errors ten times as many fail within few of the baseline's", "[judge]") {
    Judging judging(plan_of(10, {errors()}));
    Latencies world(4);
    const auto judged = judging.decide(100, [&](Reading& reading) {
        reading.amount = world.poisson(judging.is_canary(reading) ? 0.5 : 0.05);
        reading.exposure = 1'000;
        return true;
    });
    REQUIRE(judged.verdict == Verdict::fail);
    CHECK(judged.findings[0].baseline_amount <= 15);
    CHECK(judged.findings[0].evidence >= judged.findings[0].needed);
    CHECK(sentence(judged).find("errors: fail, worse than the tolerated 1.25 times (evidence ") ==
          0);
}

TEST_CASE("judge: errors where the baseline has none fail, and the first few do not", "[judge]") {
    Judging judging(plan_of(10, {errors()}));
    std::uint32_t turn = 0;
    const auto one_error = [&](Reading& reading) {
        reading.amount = reading.host == turn % 10 ? 1 : 0;
        reading.exposure = 1'000;
        return true;
    };
    CHECK(judging.look(one_error).verdict == Verdict::not_enough_evidence);
    Judgement judged;
    for (turn = 1; turn < 60 && judged.verdict == Verdict::not_enough_evidence; ++turn) {
        judged = judging.look(one_error);
    }
    CHECK(judged.verdict == Verdict::fail);
    CHECK(judged.findings[0].canary_amount > 5);
}

TEST_CASE("judge: one ill host of ten does not fail the release", "[judge]") {
    Judging judging(plan_of(10, {latency(), errors()}));
    Latencies world(5);
    for (int i = 0; i < 200; ++i) {
        const auto judged = judging.look([&](Reading& reading) {
            const bool ill = reading.host == 3;
            reading.amount = reading.metric == 0 ? world.of(reading.host) * (ill ? 5 : 1)
                                                 : world.poisson(ill ? 50 : 1);
            reading.exposure = 1'000;
            return true;
        });
        REQUIRE(judged.verdict != Verdict::fail);
    }
}

TEST_CASE("judge: a defect that begins late is not thinned out by the good hours before",
          "[judge]") {
    Judging judging(plan_of(10, {latency(), errors()}));
    Latencies world(6);
    int looks = 0;
    const auto reading_of = [&](Reading& reading) {
        const bool bad = looks > 300 && judging.is_canary(reading);
        reading.amount =
            reading.metric == 0 ? world.of(reading.host) * (bad ? 2 : 1) : world.poisson(1);
        reading.exposure = 1'000;
        return true;
    };
    Judgement judged;
    for (looks = 1; looks < 600 && judged.verdict != Verdict::fail; ++looks) {
        judged = judging.look(reading_of);
        CHECK((looks > 300 || judged.verdict != Verdict::fail));
    }
    CHECK(judged.verdict == Verdict::fail);
    CHECK(looks < 470);
}

TEST_CASE("judge: missing data hold, whoever misses them, and never fail", "[judge]") {
    // Whose readings do not come: the canary's, the baseline's, a third of all, or NaN.
    for (const int kind : {0, 1, 2, 3}) {
        CAPTURE(kind);
        Judging judging(plan_of(10, {latency(), errors()}));
        Latencies world(7);
        std::uint32_t count = 0;
        for (int i = 0; i < 300; ++i) {
            const auto judged = judging.look([&](Reading& reading) {
                ++count;
                reading.amount = reading.metric == 0 ? world.of(reading.host) : world.poisson(2);
                reading.exposure = 1'000;
                if (kind == 3) {
                    reading.amount = no_number;
                }
                return kind == 3 ||
                       (kind == 2 ? count % 3 != 0 : judging.is_canary(reading) != (kind == 0));
            });
            REQUIRE(judged.verdict == Verdict::not_enough_evidence);
            REQUIRE((kind == 2 || judged.findings[0].why == Why::missing_data));
        }
    }
}

TEST_CASE("judge: a pass does not outlast the data", "[judge]") {
    Judging judging(plan_of(10, {latency()}));
    Latencies world(8);
    const auto healthy = [&](Reading& reading) {
        reading.amount = world.of(reading.host);
        return true;
    };
    REQUIRE(judging.decide(500, healthy).verdict == Verdict::pass);
    const auto judged = judging.give({});
    CHECK(judged.verdict == Verdict::not_enough_evidence);
    CHECK(judged.findings[0].why == Why::missing_data);
    CHECK(sentence(judged).find("data are missing") != std::string::npos);
}

TEST_CASE("judge: a reading that comes twice counts once", "[judge]") {
    Judging judging(plan_of(3, {errors()}));
    const auto counted = [&](std::uint64_t at_ms) {
        std::vector<Reading> readings;
        for (std::uint32_t host = 0; host < 6; ++host) {
            readings.push_back({.host = host, .at_ms = at_ms, .amount = 1, .exposure = 10});
        }
        return judging.give(readings).findings[0].canary_amount;
    };
    CHECK(counted(1) == 3);
    CHECK(counted(1) == 3);
    CHECK(counted(0) == 3);
    CHECK(counted(2) == 6);
}

TEST_CASE("judge: counters are read by what they grew, and a reset is no reading", "[judge]") {
    auto rules = errors();
    rules.cumulative = true;
    Judging judging(plan_of(3, {rules}));
    const auto total = [&](std::uint64_t at_ms, double amount, std::uint64_t process) {
        std::vector<Reading> readings;
        for (std::uint32_t host = 0; host < 6; ++host) {
            readings.push_back({.host = host,
                                .at_ms = at_ms,
                                .process = process,
                                .amount = amount,
                                .exposure = amount * 10});
        }
        return judging.give(readings).findings[0];
    };
    CHECK(total(1, 1'000, 1).why == Why::missing_data); // What was before nobody knows.
    CHECK(total(2, 1'002, 1).canary_amount == 6);
    CHECK(total(3, 1'003, 1).canary_amount == 9);
    CHECK(total(4, 5, 1).why == Why::missing_data);
    CHECK(total(5, 6, 1).canary_amount == 12);
    CHECK(total(6, 900, 2).why == Why::missing_data); // It grew, but it is another process.
    const auto last = total(7, 901, 2);
    CHECK(last.canary_amount == 15);
    CHECK(last.canary_exposure == 150);
    CHECK(last.coverage == Approx(4.0 / 6));
}

TEST_CASE("judge: the warm-up does not count, and nothing of it is missing", "[judge]") {
    auto rules = latency();
    rules.warm_up_s = 600;
    Judging judging(plan_of(10, {rules}));
    Latencies world(9);
    const auto judged = judging.decide(500, [&](Reading& reading) {
        const bool cold = judging.is_canary(reading) && reading.running_s < 600;
        reading.running_s += judging.is_canary(reading) ? 0U : 100'000U;
        reading.amount = world.of(reading.host) * (cold ? 20 : 1);
        return true;
    });
    CHECK(judged.verdict == Verdict::pass);
    CHECK(judged.findings[0].coverage == 1);
}

TEST_CASE("judge: too few hosts are judged by a limit or not at all", "[judge]") {
    auto limited = latency();
    limited.limit = 500;
    Latencies world(10);
    double factor = 1;
    const auto reading_of = [&](Reading& reading) {
        reading.amount = world.of(reading.host) * factor;
        return true;
    };
    Judging without(plan_of(1, {latency()}));
    const auto open = without.decide(100, reading_of);
    CHECK(open.verdict == Verdict::not_enough_evidence);
    CHECK(open.findings[0].why == Why::few_hosts);
    Judging with(plan_of(1, {limited}));
    CHECK(with.look(reading_of).findings[0].why == Why::few_hosts_within_limit);

    factor = 50; // All are slow: it is not the release.
    CHECK(with.decide(20, reading_of).findings[0].why == Why::baseline_beyond_limit);
    const auto failed = with.decide(20, [&](Reading& reading) {
        factor = with.is_canary(reading) ? 50 : 1;
        return reading_of(reading);
    });
    CHECK(failed.verdict == Verdict::fail);
    CHECK(failed.findings[0].why == Why::beyond_limit);
}

TEST_CASE("judge: a single canary host with many times the errors fails", "[judge]") {
    for (const double errors_each : {1.0, 20.0}) {
        Judging judging(plan_of(1, {errors()}));
        Latencies world(11);
        const auto judged = judging.decide(200, [&](Reading& reading) {
            reading.amount = world.poisson(judging.is_canary(reading) ? errors_each : 1);
            reading.exposure = 1'000;
            return true;
        });
        CHECK(judged.verdict == (errors_each > 1 ? Verdict::fail : Verdict::pass));
    }
}

TEST_CASE("judge: no errors at all pass when enough was asked for", "[judge]") {
    auto rules = errors();
    rules.negligible_rate = 1e-4;
    Judging judging(plan_of(5, {rules}));
    const auto judged = judging.decide(100, [](Reading& reading) {
        reading.amount = 0;
        reading.exposure = 1'000;
        return true;
    });
    REQUIRE(judged.verdict == Verdict::pass);
    CHECK(judged.findings[0].why == Why::negligible);
    CHECK(judged.findings[0].canary_exposure > 46'000); // ln(100) / 1e-4.
}

TEST_CASE("judge: a count's limit holds whatever the baseline does", "[judge]") {
    auto rules = errors();
    rules.limit = 0.01;
    Latencies world(12);
    for (const bool both : {false, true}) {
        Judging judging(plan_of(5, {rules}));
        const auto judged = judging.decide(40, [&](Reading& reading) {
            reading.amount = world.poisson(both || judging.is_canary(reading) ? 30 : 9);
            reading.exposure = 1'000;
            return true;
        });
        CHECK(judged.verdict == (both ? Verdict::not_enough_evidence : Verdict::fail));
    }
}

TEST_CASE("judge: quantiles of histograms are compared", "[judge]") {
    auto rules = latency();
    rules.kind = Kind::quantile;
    rules.quantile = 0.9;
    rules.bucket_bounds = {10, 20, 40, 80, 160};
    for (const bool slow : {false, true}) {
        Judging judging(plan_of(5, {rules}));
        std::vector<std::vector<double>> buckets(10, std::vector<double>(6, 0));
        const auto judged = judging.decide(300, [&](Reading& reading) {
            auto& mine = buckets[reading.host];
            const auto at = slow && judging.is_canary(reading) ? 3U : 2U;
            mine[0] += 80 + reading.host % 5;
            mine[at] += 20;
            reading.buckets = mine;
            return true;
        });
        CHECK(judged.verdict == (slow ? Verdict::fail : Verdict::pass));
        CHECK(judged.findings[0].canary > (slow ? 40 : 20));
    }
}

TEST_CASE("judge: the blind spots of the rank-sum judge", "[judge]") {
    // Seven of ten points a hundred times worse, and sparse errors: docs/decisions/0130.
    Judging bursts(plan_of(10, {latency()}));
    Latencies world(13);
    const auto slow = bursts.decide(60, [&](Reading& reading) {
        const bool burst = bursts.is_canary(reading) && reading.at_ms / 60'000 % 10 < 7;
        reading.amount = world.of(reading.host) * (burst ? 100 : 1);
        return true;
    });
    CHECK(slow.verdict == Verdict::fail);

    Judging sparse(plan_of(10, {errors()}));
    const auto rare = sparse.decide(720, [&](Reading& reading) {
        reading.amount = world.poisson((sparse.is_canary(reading) ? 1.0 : 0.05) / 10);
        reading.exposure = 100;
        return true;
    });
    CHECK(rare.verdict == Verdict::fail);
    CHECK(rare.looks < 60);
}

TEST_CASE("judge: plans that cannot be judged are refused", "[judge]") {
    CHECK(check(plan_of(3, {latency(), errors()})));
    const auto refused = [](const std::function<void(Plan&)>& change) {
        auto plan = plan_of(3, {latency()});
        change(plan);
        const auto checked = check(plan);
        return !checked && checked.error().code == Errc::usage;
    };
    CHECK(refused([](Plan& plan) { plan.metrics.clear(); }));
    CHECK(refused([](Plan& plan) { plan.metrics.push_back(latency()); }));
    CHECK(refused([](Plan& plan) { plan.metrics[0].name = ""; }));
    CHECK(refused([](Plan& plan) { plan.metrics[0].tolerated = no_number; }));
    CHECK(refused([](Plan& plan) { plan.metrics[0].tolerated = 0.15; }));
    CHECK(refused([](Plan& plan) { plan.metrics[0].kind = Kind::quantile; }));
    CHECK(refused([](Plan& plan) { plan.metrics[0].limit = no_number; }));
    CHECK(refused([](Plan& plan) { plan.canary.push_back("b0"); }));
    CHECK(refused([](Plan& plan) { plan.canary = names("c", hosts_max + 1); }));
    CHECK(refused([](Plan& plan) { plan.false_alarm_max = 0; }));
}

TEST_CASE("judge: readings of nobody are counted and ignored", "[judge]") {
    Judging judging(plan_of(3, {latency()}));
    (void)judging.give({{.host = 6, .at_ms = 1, .amount = 1}, {.metric = 1, .at_ms = 1}});
    CHECK(judging.state().unknown == 2);
}

TEST_CASE("judge: a state is of its plan and whole, or refused", "[judge]") {
    Judging judging(plan_of(3, {latency(), errors()}));
    (void)judging.give({{.at_ms = 1, .amount = 1}});
    const auto bytes = encode(judging.plan(), judging.state());
    CHECK(encode(judging.plan(), decode(judging.plan(), bytes).value()) == bytes);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        CHECK_FALSE(decode(judging.plan(), ByteSpan(bytes).first(size)));
    }
    auto longer = bytes;
    longer.push_back(0);
    CHECK_FALSE(decode(judging.plan(), longer));
    auto other = judging.plan();
    other.canary[0] = "another";
    CHECK(decode(other, bytes).error().code == Errc::verification_failed);
    auto newer = bytes;
    ++newer[0];
    CHECK(decode(judging.plan(), newer).error().context.find("version 2") != std::string::npos);
}

} // namespace
} // namespace slipway::orchestrator::judge
