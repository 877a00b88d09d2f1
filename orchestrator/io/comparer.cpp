#include "orchestrator/io/comparer.h"

#include <nlohmann/json.hpp>

#include "common/core/errc.h"
#include "common/core/sha256.h"
#include "common/io/log.h"

namespace slipway::orchestrator {

/// Of one thread at a time: `is_busy` is the io thread's.
struct Comparer::Judge {
    judge::Plan plan;
    std::optional<judge::State> state; ///< None: not read from the store yet.
    bool is_busy = false;
};

namespace {

judge::Plan plan_of(const AskGate& gate) {
    judge::Plan plan;
    plan.canary = gate.canary;
    plan.baseline = gate.baseline;
    plan.metrics = gate.spec.metrics;
    plan.false_alarm_max = false_alarms_of_deployment / std::max(1U, gate.judges);
    return plan;
}

std::string key_of(const AskGate& gate) {
    return gate.deployment + "/" + std::to_string(gate.batch + 1) + "/" + gate.spec.name;
}

GateAnswer answer_of(const judge::Judgement& judgement) {
    auto said = judge::sentence(judgement);
    switch (judgement.verdict) {
    case judge::Verdict::pass:
        return {GateVerdict::pass, std::move(said)};
    case judge::Verdict::fail:
        return {GateVerdict::fail, std::move(said)};
    case judge::Verdict::not_enough_evidence:
        break;
    }
    return {GateVerdict::hold, std::move(said)};
}

GateAnswer hold(const std::string& why) {
    return {GateVerdict::hold, why.substr(0, 1'000)};
}

} // namespace

Comparer::Comparer(net::io_context& io, net::thread_pool& pool, Options options)
    : io_(io), pool_(pool), options_(std::move(options)) {}

void Comparer::begin() {
    judges_.clear();
    board_.clear();
}

void Comparer::ask(const AskGate& gate, Answered answered) {
    const auto key = key_of(gate);
    auto& judge = judges_[key];
    if (!judge) {
        judge = std::make_shared<Judge>();
        judge->plan = plan_of(gate);
    }
    if (judge->is_busy) {
        return answered(hold("the look before is not over: Prometheus or the database is slow"));
    }
    judge->is_busy = true;
    auto readings = board_.readings(judge->plan, gate.key.service);
    net::post(pool_, [this, gate, key, judge = judge, epoch = options_.epoch(),
                      readings = std::move(readings), answered = std::move(answered)]() mutable {
        auto answer = look(*judge, gate, key, std::move(readings), epoch);
        net::post(io_, [judge, answer = std::move(answer), answered = std::move(answered)] {
            judge->is_busy = false;
            answered(answer);
        });
    });
}

GateAnswer Comparer::look(Judge& judge, const AskGate& gate, const std::string& key,
                          std::vector<judge::Reading> readings, std::uint64_t epoch) const {
    if (const auto checked = judge::check(judge.plan); !checked) {
        return hold(checked.error().context);
    }
    if (!judge.state) {
        if (const auto loaded = load(judge, key); !loaded) {
            return hold("the judge cannot be read: " + describe(loaded.error()));
        }
    }
    add_queried(judge, gate, readings);
    const auto judgement = judge::look(judge.plan, *judge.state, readings);
    if (const auto kept = keep(judge, key, epoch); !kept) {
        return hold("the judge cannot be kept: " + describe(kept.error()));
    }
    return answer_of(judgement);
}

void Comparer::add_queried(const Judge& judge, const AskGate& gate,
                           std::vector<judge::Reading>& readings) const {
    for (std::uint32_t i = 0; i < judge.plan.metrics.size(); ++i) {
        const auto& rules = judge.plan.metrics[i];
        if (rules.query.empty()) {
            continue;
        }
        const auto amount = options_.query(gate.spec, rules.query);
        const auto exposure = rules.exposure_query.empty()
                                  ? MetricReading{}
                                  : options_.query(gate.spec, rules.exposure_query);
        for (const auto* missing : {&amount.missing, &exposure.missing}) {
            if (!missing->empty()) {
                log_event(LogLevel::warning, "gate.no_data",
                          {{"deployment", gate.deployment},
                           {"gate", gate.spec.name},
                           {"metric", rules.name},
                           {"why", *missing}});
            }
        }
        const auto more =
            readings_of_samples(judge.plan, i, gate.spec.host_label, amount, exposure,
                                static_cast<std::uint64_t>(options_.now_unix_ms()),
                                static_cast<std::uint64_t>(gate.baked.count() / 1'000));
        readings.insert(readings.end(), more.begin(), more.end());
    }
}

Result<> Comparer::load(Judge& judge, const std::string& key) const {
    const auto document = options_.store->document(judges_collection, key);
    if (!document) {
        if (document.error().code != Errc::not_found) {
            return tl::unexpected(document.error());
        }
        judge.state = judge::begin(judge.plan);
        return {};
    }
    const auto body = nlohmann::json::parse(document->body, nullptr, false);
    const auto text = body.is_object() ? body.find("state") : body.end();
    auto state = text == body.end() || !text->is_string()
                     ? fail(Errc::verification_failed, "no state")
                     : from_hex(text->get_ref<const std::string&>()).and_then([&](Bytes bytes) {
                           return judge::decode(judge.plan, bytes);
                       });
    if (!state) {
        // Another version's, or damaged: evidence is gathered anew, which only takes longer.
        log_event(LogLevel::warning, "judge.began_anew",
                  {{"judge", key}, {"why", describe(state.error())}});
        state = judge::begin(judge.plan);
    }
    judge.state = std::move(*state);
    return {};
}

Result<> Comparer::keep(const Judge& judge, const std::string& key, std::uint64_t epoch) const {
    const nlohmann::json body = {{"version", 1},
                                 {"looks", judge.state->looks},
                                 {"state", to_hex(judge::encode(judge.plan, *judge.state))}};
    Changes changes;
    changes.documents.push_back({.collection = judges_collection, .key = key, .body = body.dump()});
    return options_.store->commit(epoch, changes).map([](const Committed&) {});
}

void Comparer::forget(const std::string& deployment) {
    const auto prefix = deployment + "/";
    const auto first = judges_.lower_bound(prefix);
    auto last = first;
    while (last != judges_.end() && last->first.starts_with(prefix)) {
        ++last;
    }
    judges_.erase(first, last);
    net::post(pool_, [this, prefix, epoch = options_.epoch()] {
        // What stays behind when this fails is small, and nobody reads it.
        const auto kept = options_.store->documents(judges_collection, prefix, gates_max);
        Changes changes;
        for (std::size_t i = 0; kept && i < kept->size(); ++i) {
            if ((*kept)[i].key.starts_with(prefix)) {
                changes.documents.push_back(
                    {.collection = judges_collection, .key = (*kept)[i].key, .body = std::nullopt});
            }
        }
        if (!changes.documents.empty()) {
            (void)options_.store->commit(epoch, changes);
        }
    });
}

} // namespace slipway::orchestrator
