#include "agent/core/install_state.h"

#include <nlohmann/json.hpp>

#include "common/core/errc.h"
#include "common/trust/canonical_json.h"

namespace slipway::agent {

using nlohmann::json;

namespace {

constexpr std::size_t phases = 11;

json to_json(const Release& release) {
    return {{"artifact", release.artifact.text()}, {"digest", release.digest.hex()}};
}
json to_json(const std::optional<Release>& release) {
    return release ? to_json(*release) : json();
}
json to_json(const Work& work) {
    return {{"course", static_cast<unsigned>(work.course)},
            {"wanted", api::encode_desired({0, {{"s", {work.wanted, {}}}}})},
            {"release", to_json(work.release)},
            {"at", work.at},
            {"number", work.number},
            {"tries", work.tries}};
}

// Throws json::exception or std::runtime_error; decode_install_state() catches.
template <typename T>
T must(Result<T> value) {
    if (!value) {
        throw std::runtime_error(describe(value.error()));
    }
    return std::move(*value);
}
void require(bool holds, const char* what) {
    if (!holds) {
        throw std::runtime_error(what);
    }
}
std::uint64_t count(const json& value, const char* key, std::uint64_t max) {
    const auto& number = value.at(key);
    require(number.is_number_unsigned() && number.get<std::uint64_t>() <= max, key);
    return number.get<std::uint64_t>();
}
Release release_from(const json& value) {
    return {must(ArtifactId::parse(value.at("artifact").get<std::string>())),
            must(Sha256Digest::from_hex(value.at("digest").get<std::string>()))};
}
std::optional<Release> maybe_release(const json& value) {
    return value.is_null() ? std::nullopt : std::optional(release_from(value));
}
std::string reason_from(const json& value) {
    auto why = value.get<std::string>();
    require(why.size() <= 8 * reason_bytes_max, "a reason is too long");
    return why;
}
api::ServiceDesired service_from(const json& value) {
    auto desired = must(api::decode_desired(as_bytes(value.get<std::string>()), "desired"));
    require(desired.services.size() == 1, "one service");
    return std::move(desired.services.begin()->second);
}
Work work_from(const json& value) {
    Work work;
    work.course = static_cast<Course>(count(value, "course", 2));
    work.release = maybe_release(value.at("release"));
    work.at = count(value, "at", steps_in(work.course) - 1);
    work.number = count(value, "number", UINT64_MAX);
    work.tries = static_cast<std::uint32_t>(count(value, "tries", UINT32_MAX));
    if (work.course != Course::back) {
        work.wanted = service_from(value.at("wanted")).run.value();
    }
    require(work.release || work.step() == Step::stage, "a step without a release");
    return work;
}

InstallState state_from(const json& value) {
    require(value.at("version") == 1, "version");
    InstallState state;
    state.epoch = count(value, "epoch", UINT64_MAX);
    // An entry of an earlier program has none.
    state.generation = value.contains("generation") ? count(value, "generation", UINT64_MAX) : 0;
    state.desired = service_from(value.at("desired"));
    state.phase = static_cast<Phase>(count(value, "phase", phases - 1));
    state.since_unix_s = static_cast<std::int64_t>(count(value, "since", INT64_MAX));
    state.running = maybe_release(value.at("running"));
    state.good = maybe_release(value.at("good"));
    require(value.at("staged").size() <= api::desired_stage_max, "staged");
    for (const auto& one : value.at("staged")) {
        state.staged.push_back(release_from(one));
    }
    require(value.at("quarantine").size() <= quarantine_max, "quarantine");
    for (const auto& one : value.at("quarantine")) {
        state.quarantine.push_back({release_from(one.at("release")),
                                    static_cast<std::uint32_t>(count(one, "attempt", UINT32_MAX)),
                                    reason_from(one.at("why"))});
    }
    if (!value.at("work").is_null()) {
        state.work = work_from(value.at("work"));
    }
    state.next_number = count(value, "next", UINT64_MAX);
    state.last_error = reason_from(value.at("error"));
    return state;
}

} // namespace

std::string encode_install_state(const InstallState& state) {
    json staged = json::array();
    for (const auto& release : state.staged) {
        staged.push_back(to_json(release));
    }
    json quarantine = json::array();
    for (const auto& bad : state.quarantine) {
        quarantine.push_back(
            {{"release", to_json(bad.release)}, {"attempt", bad.attempt}, {"why", bad.why}});
    }
    auto work = state.work ? to_json(*state.work) : json();
    if (state.work && state.work->course == Course::back) {
        work.erase("wanted");
    }
    const json value = {{"version", 1},
                        {"epoch", state.epoch},
                        {"generation", state.generation},
                        {"desired", api::encode_desired({0, {{"s", state.desired}}})},
                        {"phase", static_cast<unsigned>(state.phase)},
                        {"since", static_cast<std::uint64_t>(state.since_unix_s)},
                        {"running", to_json(state.running)},
                        {"good", to_json(state.good)},
                        {"staged", std::move(staged)},
                        {"quarantine", std::move(quarantine)},
                        {"work", std::move(work)},
                        {"next", state.next_number},
                        {"error", state.last_error}};
    // A reason may carry bytes of a file name that is not UTF-8.
    return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<InstallState> decode_install_state(ByteSpan text, std::string_view what) {
    return parse_json(text, install_state_bytes_max, what)
        .and_then([&](const json& value) -> Result<InstallState> {
            try {
                return state_from(value);
            } catch (const std::exception& error) {
                return fail(Errc::verification_failed,
                            std::string(what) + ": not the state of a service: " + error.what());
            }
        });
}

} // namespace slipway::agent
