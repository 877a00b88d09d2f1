#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "common/core/errc.h"
#include "common/core/sha256.h"
#include "common/trust/canonical_json.h"
#include "common/trust/client.h"
#include "common/trust/keys.h"
#include "common/trust/metadata.h"
#include "common/trust/utc_time.h"

namespace slipway::trust::fakes {

using nlohmann::json;

inline TimePoint start_time() {
    return std::chrono::sys_days(std::chrono::year(2030) / 1 / 1);
}

/// A repository in memory that does what it is told, wrong things too: it signs with any keys,
/// publishes any versions, and serves what it should not. Its files are really signed.
class FakeRepository final : public MetadataSource {
public:
    FakeRepository() {
        bodies_["root"] = header("root");
        bodies_["root"]["consistent_snapshot"] = true;
        bodies_["root"]["keys"] = json::object();
        bodies_["timestamp"] = header("timestamp");
        bodies_["snapshot"] = header("snapshot");
        bodies_["targets"] = header("targets");
        bodies_["targets"]["targets"] = json::object();
        for (const auto* role : {"root", "timestamp", "snapshot", "targets"}) {
            bodies_["root"]["roles"][role] = {{"keyids", json::array()}, {"threshold", 1}};
            add_key(role);
        }
        publish({"root", "targets", "snapshot", "timestamp"});
    }

    json& body(const std::string& role) { return bodies_.at(role); }
    json& root_role(const std::string& role) { return bodies_["root"]["roles"][role]; }

    static const SigningKey& new_key(KeyKind kind = KeyKind::ed25519) {
        static std::vector<std::unique_ptr<SigningKey>> keys; // For the whole run: RSA is slow.
        auto made = SigningKey::generate(kind);
        REQUIRE(made);
        keys.push_back(std::make_unique<SigningKey>(std::move(*made)));
        return *keys.back();
    }

    /// Lists the key in the root, for the role, and signs with it from now on.
    void add_key(const std::string& role, const SigningKey& key) {
        const auto& id = key.public_key().id();
        bodies_["root"]["keys"][id] = key.public_key().object();
        root_role(role)["keyids"].push_back(id);
        signers[role].push_back(&key);
    }
    const SigningKey& add_key(const std::string& role) {
        const auto& key = new_key();
        add_key(role, key);
        return key;
    }
    /// Takes all keys of the role away and gives it a new one.
    void rotate(const std::string& role) {
        root_role(role)["keyids"] = json::array();
        if (role != "root") { // A new root is signed by the old keys too.
            signers[role].clear();
        }
        add_key(role);
    }

    /// Makes `delegator` delegate to a role, which exists from now on, with a key of its own.
    json& delegate(const std::string& delegator, const std::string& role,
                   const std::vector<std::string>& paths, bool terminating = false) {
        if (!bodies_.contains(role)) {
            bodies_[role] = header("targets");
            bodies_[role]["targets"] = json::object();
        }
        const auto& key = new_key();
        signers[role].push_back(&key);
        auto& delegations = bodies_[delegator]["delegations"];
        delegations["keys"][key.public_key().id()] = key.public_key().object();
        delegations["roles"].push_back({{"name", role},
                                        {"keyids", {key.public_key().id()}},
                                        {"threshold", 1},
                                        {"paths", paths},
                                        {"terminating", terminating}});
        return delegations["roles"].back();
    }

    void add_target(const std::string& role, const std::string& path, const std::string& content) {
        bodies_.at(role)["targets"][path] = {
            {"length", content.size()}, {"hashes", {{"sha256", sha256(as_bytes(content)).hex()}}}};
    }

    /// Signs the roles' next versions in the given order; each one is listed where it has to be.
    void publish(const std::vector<std::string>& roles) {
        for (const auto& role : roles) {
            auto& changed = bodies_.at(role);
            const auto version = changed["version"].get<std::uint64_t>() + 1;
            changed["version"] = version;
            const auto file = signed_file(role);
            files[file_name(role, version)] = file;
            list(role, version, file);
        }
    }

    [[nodiscard]] Bytes signed_file(const std::string& role) const {
        const auto message = canonical_json(bodies_.at(role));
        std::map<std::string, std::string> signatures;
        for (const auto* key : signers.at(role)) {
            signatures[key->public_key().id()] = to_hex(*key->sign(as_bytes(message)));
        }
        return encode_envelope(bodies_.at(role), signatures);
    }

    static std::string file_name(const std::string& role, std::uint64_t version) {
        return role == "timestamp"
                   ? "timestamp.json"
                   : std::to_string(version) + "." + escape_role_name(role) + ".json";
    }

    Result<Bytes> fetch_metadata(const std::string& path, std::uint64_t max_bytes) override {
        requests.push_back(path);
        if (const auto served = on_fetch ? on_fetch(path) : nullptr) {
            return *served;
        }
        const auto found = files.find(path);
        if (found == files.end()) {
            return fail(Errc::not_found, path);
        }
        if (found->second.size() > max_bytes) {
            return fail(Errc::verification_failed,
                        path + ": longer than " + std::to_string(max_bytes));
        }
        return found->second;
    }

    std::map<std::string, std::vector<const SigningKey*>> signers;
    std::map<std::string, Bytes> files;
    std::vector<std::string> requests;
    /// Serves something else in place of a file, if it gives anything.
    std::function<std::shared_ptr<Result<Bytes>>(const std::string&)> on_fetch;
    bool with_hashes = true;

private:
    static json header(const char* type) {
        return {{"_type", type},
                {"spec_version", "1.0.31"},
                {"version", 0},
                {"expires", "2030-02-01T00:00:00Z"}};
    }

    void list(const std::string& role, std::uint64_t version, const Bytes& file) {
        json entry{{"version", version}};
        if (with_hashes) {
            entry["length"] = file.size();
            entry["hashes"] = {{"sha256", sha256(file).hex()}};
        }
        if (role == "snapshot") {
            bodies_["timestamp"]["meta"] = {{"snapshot.json", entry}};
        } else if (role != "root" && role != "timestamp") {
            bodies_["snapshot"]["meta"][role + ".json"] = entry;
        }
    }

    std::map<std::string, json> bodies_;
};

} // namespace slipway::trust::fakes
