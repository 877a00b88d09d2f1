// Writes: events for the machine, answered once for each idempotency key.
#include <algorithm>

#include <nlohmann/json.hpp>

#include "common/core/errc.h"
#include "common/io/blocking.h"
#include "orchestrator/core/api_views.h"
#include "orchestrator/core/gate_sources.h"
#include "orchestrator/io/api.h"
#include "orchestrator/io/api_bodies.h"

namespace slipway::orchestrator {
namespace {

using nlohmann::json;

constexpr std::int64_t answers_kept_ms = 24LL * 60 * 60 * 1'000;

/// The deployment that `id` names, as it stands now.
Result<json> summary_of(const FleetState& state, const std::string& id) {
    const auto deployment = state.log.deployments.find(id);
    if (deployment == state.log.deployments.end()) {
        return json{{"id", id}};
    }
    return deployment_summary(deployment->second);
}

Result<json> done(const std::string& /*answer*/, const FleetState& /*state*/) {
    return json{{"done", true}};
}

/// What every write may carry besides.
struct Said {
    std::string why;
    static Said of(JsonBody& body) { return {body.text_or("why", "")}; }
};

Result<Event> event_of(const Asked& asked, JsonBody& body) {
    const auto id = asked.route.parameters.at(0);
    const auto by = asked.who.text();
    const auto why = Said::of(body).why;
    switch (asked.route.operation) {
    case Operation::pause:
        return Event(Pause{id, by, why});
    case Operation::resume:
        return Event(Resume{id, by, why});
    case Operation::abort:
        return Event(Abort{id, by, why});
    case Operation::promote:
        return Event(Promote{id, by, why, body.flag("full")});
    default:
        return Event(Approve{id, body.text_or("gate", ""), !body.flag("reject"), by, why});
    }
}

} // namespace

net::awaitable<Answer> Api::change(Asked asked, Event event, Look look, int status) {
    if (asked.idempotency_key.empty()) {
        co_return co_await change_once(std::move(asked), std::move(event), std::move(look), status);
    }
    const auto place = std::pair(asked.who.uri(), asked.idempotency_key);
    if (!in_progress_.insert(place).second) {
        co_return answer_of({Errc::busy, "a request with this Idempotency-Key is being answered"});
    }
    auto read = [this, place, now = parts_.now_unix_ms()] {
        return parts_.store.answer(place.first, place.second, now);
    };
    const auto kept = co_await run_blocking(parts_.readers, std::move(read));
    Answer answer;
    if (!kept) {
        answer = answer_of(kept.error());
    } else if (!*kept) {
        answer = co_await change_once(std::move(asked), std::move(event), std::move(look), status);
    } else if ((*kept)->request != asked.digest) {
        answer = answer_of({Errc::verification_failed,
                            "this Idempotency-Key was used for another request already"});
    } else {
        answer = {(*kept)->status, (*kept)->body};
        answer.fields.emplace_back("Idempotency-Replayed", "true");
    }
    in_progress_.erase(place);
    co_return answer;
}

net::awaitable<Answer> Api::change_once(Asked asked, Event event, Look look, int status) {
    auto answer = std::make_shared<Answer>();
    Driver::Item item;
    item.event = std::move(event);
    item.look = [asked, answer, look = std::move(look), status, now = parts_.now_unix_ms()](
                    const Result<std::string>& stepped, const FleetState& state) {
        std::optional<KeptAnswer> kept;
        auto view = stepped ? look(*stepped, state) : Result<json>(tl::unexpected(stepped.error()));
        if (!view) {
            *answer = answer_of(view.error()); // Nothing was done: it may be asked again.
            return kept;
        }
        *answer = json_answer(view->dump(-1, ' ', false, json::error_handler_t::replace), status);
        if (!asked.idempotency_key.empty()) {
            kept = KeptAnswer{asked.who.uri(), asked.idempotency_key, asked.digest,
                              answer->status,  answer->body,          now + answers_kept_ms};
        }
        return kept;
    };
    const auto stepped = co_await parts_.driver.perform(std::move(item));
    if (!stepped && answer->body.empty()) {
        co_return answer_of(stepped.error()); // It was never stepped: nobody drives here.
    }
    if (!stepped && answer->status < 300) {
        co_return answer_of(stepped.error()); // It was not committed.
    }
    co_return std::move(*answer);
}

net::awaitable<Answer> Api::act_on_deployment(Asked asked) {
    auto body = JsonBody::parse(asked.body);
    if (!body) {
        co_return answer_of(body.error());
    }
    auto event = event_of(asked, *body);
    if (auto ended = body->end(); !ended) {
        co_return answer_of(ended.error());
    }
    Look look = [id = asked.route.parameters.at(0)](const std::string& /*answer*/,
                                                    const FleetState& state) {
        return summary_of(state, id);
    };
    co_return co_await change(std::move(asked), std::move(*event), std::move(look), 200);
}

net::awaitable<Answer> Api::roll_back(Asked asked) {
    auto body = JsonBody::parse(asked.body);
    if (!body) {
        co_return answer_of(body.error());
    }
    RollBack back{{asked.route.parameters.at(0), asked.route.parameters.at(1)},
                  body->flag("emergency"),
                  asked.who.text(),
                  Said::of(*body).why};
    if (auto ended = body->end(); !ended) {
        co_return answer_of(ended.error());
    }
    Look look = [](const std::string& id, const FleetState& state) {
        return summary_of(state, id);
    };
    co_return co_await change(std::move(asked), std::move(back), std::move(look), 200);
}

net::awaitable<Answer> Api::change_freeze(Asked asked) {
    auto body = JsonBody::parse(asked.body);
    if (!body) {
        co_return answer_of(body.error());
    }
    const auto scope = asked.route.parameters.at(0);
    const auto why = Said::of(*body).why;
    if (auto ended = body->end(); !ended) {
        co_return answer_of(ended.error());
    }
    if (asked.route.operation == Operation::unfreeze) {
        RemoveFreeze event{scope, asked.who.text()};
        co_return co_await change(std::move(asked), std::move(event), done, 200);
    }
    PutFreeze event{scope, asked.who.text(), why};
    co_return co_await change(std::move(asked), std::move(event), done, 200);
}

net::awaitable<Answer> Api::put_environment(Asked asked) {
    auto body = JsonBody::parse(asked.body);
    if (!body) {
        co_return answer_of(body.error());
    }
    PutEnvironment event;
    event.key = {asked.route.parameters.at(0), asked.route.parameters.at(1)};
    event.by = asked.who.text();
    const auto labels = parse_labels(body->text_or("labels", ""));
    auto strategy = strategy_of(*body);
    const auto good = body->text_or("good", "");
    auto ended = body->end();
    if (!ended || !labels || !strategy) {
        co_return answer_of(!ended ? ended.error() : !labels ? labels.error() : strategy.error());
    }
    if (*strategy) {
        if (const auto checked = check_servers(**strategy, parts_.prometheus); !checked) {
            co_return answer_of(checked.error());
        }
    }
    event.spec.selector = *labels;
    event.spec.strategy = std::move(*strategy);
    if (!good.empty()) {
        const auto artifact = ArtifactId::parse(good);
        if (!artifact) {
            co_return answer_of(artifact.error());
        }
        auto find = [this, id = *artifact] { return parts_.catalog.find(id); };
        auto release = co_await run_blocking(parts_.catalog_thread, std::move(find));
        if (!release) {
            co_return answer_of(release.error());
        }
        event.good = std::move(*release);
    }
    Look look = [key = event.key](const std::string& /*answer*/,
                                  const FleetState& state) -> Result<json> {
        return environment_view(state, key, state.log.environments.at(key));
    };
    co_return co_await change(std::move(asked), std::move(event), std::move(look), 200);
}

net::awaitable<Answer> Api::forget_host(Asked asked) {
    ForgetHost event{asked.route.parameters.at(0), asked.who.text()};
    co_return co_await change(std::move(asked), std::move(event), done, 200);
}

} // namespace slipway::orchestrator
