#include "common/api/desired.h"

#include <nlohmann/json.hpp>

#include "common/core/errc.h"
#include "common/trust/canonical_json.h"

namespace slipway::api {

using nlohmann::json;

namespace {

json to_json(const Wanted& wanted) {
    json value = {{"artifact", wanted.artifact.text()}};
    if (wanted.digest) {
        value["digest"] = wanted.digest->hex();
    }
    if (wanted.attempt != 0) {
        value["attempt"] = wanted.attempt;
    }
    return value;
}

// Reads one document; each failure names the document and the field.
class Decoder {
public:
    explicit Decoder(std::string_view what) : what_(what) {}

    [[nodiscard]] Result<Desired> desired(const json& value) const {
        if (!value.is_object() || value.value("version", json()) != 1) {
            return malformed("version", "must be 1");
        }
        const auto epoch = value.value("epoch", json());
        if (!epoch.is_number_unsigned()) {
            return malformed("epoch", "must be a number, and grow with each change");
        }
        const auto services = value.value("services", json());
        if (!services.is_object() || services.size() > desired_services_max) {
            return malformed("services", "must be an object of 256 services at most");
        }
        const auto generation = value.value("generation", json(0U));
        if (!generation.is_number_unsigned()) {
            return malformed("generation", "must be a number");
        }
        Desired desired{epoch.get<std::uint64_t>(), {}, generation.get<std::uint64_t>()};
        for (const auto& [name, wanted] : services.items()) {
            const auto service = parse_service_name(name);
            if (!service) {
                return malformed("services", describe(service.error()));
            }
            auto one = this->service(wanted, "services." + name);
            if (!one) {
                return tl::unexpected(std::move(one.error()));
            }
            desired.services.emplace(*service, std::move(*one));
        }
        return desired;
    }

private:
    [[nodiscard]] tl::unexpected<Error> malformed(const std::string& field,
                                                  const std::string& why) const {
        return fail(Errc::verification_failed, what_ + ": " + field + " " + why);
    }

    [[nodiscard]] Result<ServiceDesired> service(const json& value,
                                                 const std::string& field) const {
        if (!value.is_object()) {
            return malformed(field, "must be an object");
        }
        ServiceDesired service;
        if (value.contains("run")) {
            auto run = wanted(value["run"], field + ".run");
            if (!run) {
                return tl::unexpected(std::move(run.error()));
            }
            service.run = std::move(*run);
        }
        const auto stage = value.value("stage", json::array());
        if (!stage.is_array() || stage.size() > desired_stage_max) {
            return malformed(field + ".stage", "must be a list of 4 artifacts at most");
        }
        for (const auto& one : stage) {
            auto ahead = wanted(one, field + ".stage");
            if (!ahead) {
                return tl::unexpected(std::move(ahead.error()));
            }
            service.stage.push_back(std::move(*ahead));
        }
        return service;
    }

    [[nodiscard]] Result<Wanted> wanted(const json& value, const std::string& field) const {
        if (!value.is_object() || !value.contains("artifact") || !value["artifact"].is_string()) {
            return malformed(field, "must name an artifact");
        }
        auto artifact = ArtifactId::parse(value["artifact"].get<std::string>());
        if (!artifact) {
            return malformed(field + ".artifact", describe(artifact.error()));
        }
        Wanted wanted{std::move(*artifact), std::nullopt, 0};
        if (value.contains("digest")) {
            const auto& hex = value["digest"];
            auto digest =
                Sha256Digest::from_hex(hex.is_string() ? hex.get<std::string>() : std::string());
            if (!digest) {
                return malformed(field + ".digest", "must be 64 hexadecimal digits");
            }
            wanted.digest = *digest;
        }
        const auto attempt = value.value("attempt", json(0U));
        if (!attempt.is_number_unsigned() || attempt.get<std::uint64_t>() > UINT32_MAX) {
            return malformed(field + ".attempt", "must be a number below 2^32");
        }
        wanted.attempt = attempt.get<std::uint32_t>();
        return wanted;
    }

    std::string what_;
};

} // namespace

std::string encode_desired(const Desired& desired) {
    json services = json::object();
    for (const auto& [name, wanted] : desired.services) {
        json service = json::object();
        if (wanted.run) {
            service["run"] = to_json(*wanted.run);
        }
        for (const auto& ahead : wanted.stage) {
            service["stage"].push_back(to_json(ahead));
        }
        services[name] = std::move(service);
    }
    json value = {{"version", 1}, {"epoch", desired.epoch}, {"services", std::move(services)}};
    if (desired.generation != 0) {
        value["generation"] = desired.generation;
    }
    return value.dump(1) + "\n";
}

Result<Desired> decode_desired(ByteSpan text, std::string_view what) {
    return parse_json(text, desired_bytes_max, what).and_then([&](const json& value) {
        return Decoder(what).desired(value);
    });
}

} // namespace slipway::api
