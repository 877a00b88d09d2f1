#include "orchestrator/io/gate_runner.h"

#include <nlohmann/json.hpp>

#include "common/core/errc.h"
#include "orchestrator/core/gate_sources.h"
#include "orchestrator/io/prometheus.h"
#include "orchestrator/io/webhook.h"

namespace slipway::orchestrator {
namespace {

GateAnswer hold(std::string why) {
    return {GateVerdict::hold, std::move(why)};
}

std::string question_of(const AskGate& gate) {
    const nlohmann::json body = {{"version", 1},
                                 {"kind", "gate"},
                                 {"gate", gate.spec.name},
                                 {"deployment", gate.deployment},
                                 {"service", gate.key.service},
                                 {"environment", gate.key.environment},
                                 {"batch", gate.batch + 1},
                                 {"baked_ms", gate.baked.count()}};
    return body.dump();
}

} // namespace

GateRunner::GateRunner(net::io_context& io, net::thread_pool& pool, Options options, Said said)
    : io_(io), pool_(pool), options_(std::move(options)), said_(std::move(said)),
      comparer_(io, pool,
                {.store = options_.store,
                 .epoch = options_.epoch,
                 .query = [this](const GateSpec& gate,
                                 const std::string& promql) { return query(gate, promql); },
                 .now_unix_ms = options_.now_unix_ms}) {}

void GateRunner::answer_later(AskGate gate, std::function<GateAnswer()> work) {
    GateSaid said{gate.deployment, gate.batch, gate.spec.name, gate.number, {}};
    net::post(pool_, [this, said = std::move(said), work = std::move(work)]() mutable {
        said.answer = work();
        net::post(io_, [this, said = std::move(said)]() mutable { said_(std::move(said)); });
    });
}

void GateRunner::ask(AskGate gate) {
    switch (gate.spec.kind) {
    case GateKind::metric:
        return answer_later(gate, [this, gate] { return ask_prometheus(gate); });
    case GateKind::webhook:
        return answer_later(gate, [this, gate] { return ask_webhook(gate); });
    case GateKind::compare:
        return comparer_.ask(gate, [this, gate](GateAnswer answer) {
            said_({gate.deployment, gate.batch, gate.spec.name, gate.number, std::move(answer)});
        });
    case GateKind::approval:
        return; // A person answers.
    }
}

MetricReading GateRunner::query(const GateSpec& gate, const std::string& promql) const {
    const auto config = prometheus_of(gate, options_.prometheus);
    if (!config) {
        return {{}, config.error().context};
    }
    auto server = Prometheus::make({.url = config->url,
                                    .plain_http = config->plain_http,
                                    .token_file = config->token_file,
                                    .ca_file = config->ca_file});
    if (!server) {
        return {{}, describe(server.error())};
    }
    return server->query(promql, options_.now_unix_ms(), stop_.get_token());
}

GateAnswer GateRunner::ask_prometheus(const AskGate& gate) const {
    return judge_limits(query(gate.spec, gate.spec.query),
                        {.min = gate.spec.min, .max = gate.spec.max});
}

GateAnswer GateRunner::ask_webhook(const AskGate& gate) const {
    const auto config = options_.hooks.find(gate.spec.target);
    if (config == options_.hooks.end()) {
        return hold("no gate '" + gate.spec.target +
                    "' in the orchestrator's configuration ([gates.NAME])");
    }
    auto hook = Webhook::make({.url = config->second.url,
                               .plain_http = config->second.plain_http,
                               .secret_file = config->second.secret_file,
                               .ca_file = config->second.ca_file});
    if (!hook) {
        return hold(describe(hook.error()));
    }
    const auto id = gate.deployment + "-" + std::to_string(gate.batch + 1) + "-" + gate.spec.name +
                    "-" + std::to_string(gate.number);
    const auto now_s = [this] { return options_.now_unix_ms() / 1'000; };
    return ask_gate(*hook, id, question_of(gate), now_s, 3, stop_.get_token());
}

} // namespace slipway::orchestrator
