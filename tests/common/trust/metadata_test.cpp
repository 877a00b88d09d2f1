#include "common/trust/metadata.h"

#include <catch2/catch.hpp>
#include <rapidcheck.h>

#include "common/trust/utc_time.h"
#include "common/trust/workflow.h"
#include "tests/common/trust/fake_repository.h"

namespace slipway::trust {
namespace {

using fakes::FakeRepository;
using fakes::json;

/// What a client that trusts the repository's first root takes for a role.
class Gate {
public:
    explicit Gate(const FakeRepository& repository) {
        auto root = accept_first_root(repository.files.at("1.root.json"), "root");
        REQUIRE(root);
        root_ = std::move(*root);
    }
    [[nodiscard]] bool takes(const std::string& role, ByteSpan file) const {
        if (role == "root") {
            return accept_first_root(file, role).has_value();
        }
        if (role == "timestamp") {
            return accept_timestamp(root_, file, role).has_value();
        }
        if (role == "snapshot") {
            return accept_snapshot(root_, file, role).has_value();
        }
        return accept_targets(authority_of(root_, "targets"), file, role, role).has_value();
    }

private:
    Root root_;
};

bool accepted(const FakeRepository& repository, const std::string& role, ByteSpan file) {
    return Gate(repository).takes(role, file);
}

} // namespace

TEST_CASE("utc time: exactly one form is read, and written", "[metadata]") {
    const auto time = parse_utc("2030-02-28T23:59:59Z");
    REQUIRE(time);
    CHECK(format_utc(*time) == "2030-02-28T23:59:59Z");
    CHECK(format_utc(*time + std::chrono::seconds(1)) == "2030-03-01T00:00:00Z");
    CHECK(parse_utc("9999-12-31T23:59:59Z"));
    CHECK(parse_utc("2028-02-29T00:00:00Z"));
    for (const auto* bad :
         {"", "2030-02-29T00:00:00Z", "2030-13-01T00:00:00Z", "2030-00-01T00:00:00Z",
          "2030-01-01T24:00:00Z", "2030-01-01T00:60:00Z", "2030-01-01T00:00:60Z",
          "2030-01-01T00:00:00", "2030-01-01T00:00:00+00:00", "2030-01-01T00:00:00.5Z",
          "2030-01-01 00:00:00Z", "203O-01-01T00:00:00Z", "2030-1-01T00:00:00ZZ"}) {
        CAPTURE(bad);
        CHECK(parse_utc(bad).error().code == Errc::verification_failed);
    }
}

TEST_CASE("metadata: every flipped byte and every truncation is refused", "[metadata]") {
    const std::string role =
        GENERATE(as<std::string>(), "root", "timestamp", "snapshot", "targets");
    CAPTURE(role);
    FakeRepository repository;
    repository.add_target("targets", "web/1", "content");
    repository.delegate("targets", "team", {"team/*"});
    repository.publish({"targets", "snapshot", "timestamp"});
    auto file =
        repository.files.at(role == "root" ? "1.root.json" : FakeRepository::file_name(role, 2));
    const Gate gate(repository);
    REQUIRE(gate.takes(role, file));
    std::size_t taken = 0;
    for (std::size_t size = 0; size < file.size(); ++size) {
        taken += gate.takes(role, ByteSpan(file).first(size)) ? 1U : 0U;
    }
    CHECK(taken == 0);
    for (std::size_t i = 0; i < file.size(); ++i) {
        const auto good = file[i];
        for (const auto bit : {1U << (i % 8U), 0x20U}) { // 0x20 turns letters' case.
            file[i] = static_cast<std::uint8_t>(good ^ bit);
            taken += gate.takes(role, file) ? 1U : 0U;
        }
        file[i] = good;
        if (taken != 0) {
            CAPTURE(i);
            FAIL("a changed file was taken");
        }
    }
}

TEST_CASE("metadata: every member that is missing or of another type is refused", "[metadata]") {
    struct Case {
        const char* role;
        const char* pointer;
    };
    const auto [role, pointer] = GENERATE(values<Case>({
        {"root", "/_type"},
        {"root", "/spec_version"},
        {"root", "/version"},
        {"root", "/expires"},
        {"root", "/keys"},
        {"root", "/roles"},
        {"root", "/roles/root"},
        {"root", "/roles/timestamp"},
        {"root", "/roles/snapshot"},
        {"root", "/roles/targets"},
        {"root", "/roles/root/keyids"},
        {"root", "/roles/targets/threshold"},
        {"timestamp", "/version"},
        {"timestamp", "/expires"},
        {"timestamp", "/meta"},
        {"timestamp", "/meta/snapshot.json"},
        {"timestamp", "/meta/snapshot.json/version"},
        {"snapshot", "/meta"},
        {"snapshot", "/meta/targets.json"},
        {"snapshot", "/meta/targets.json/version"},
        {"targets", "/targets"},
        {"targets", "/targets/web~11/length"},
        {"targets", "/targets/web~11/hashes"},
        {"targets", "/delegations/keys"},
        {"targets", "/delegations/roles"},
        {"targets", "/delegations/roles/0/name"},
        {"targets", "/delegations/roles/0/keyids"},
        {"targets", "/delegations/roles/0/threshold"},
    }));
    CAPTURE(role, pointer);
    FakeRepository repository;
    repository.add_target("targets", "web/1", "content");
    repository.delegate("targets", "team", {"team/*"});
    repository.publish({"targets", "snapshot", "timestamp"});
    const auto whole = repository.body(role);
    REQUIRE(accepted(repository, role, repository.signed_file(role)));
    auto& body = repository.body(role);
    const json::json_pointer at{pointer};
    for (const auto& wrong : {json(nullptr), json(-1), json(true), json(""), json::array({1}),
                              json{{"x", json::array()}}}) {
        CAPTURE(wrong);
        body[at] = wrong;
        CHECK_FALSE(accepted(repository, role, repository.signed_file(role)));
        body = whole;
    }
    body[at.parent_pointer()].erase(at.back() == "0" ? "" : at.back());
    CHECK_FALSE(accepted(repository, role, repository.signed_file(role)));
}

TEST_CASE("metadata: bounds of numbers, names and optional members", "[metadata]") {
    struct Case {
        const char* role;
        const char* pointer;
        json value;
        bool good;
    };
    const auto c = GENERATE(values<Case>({
        {"targets", "/version", 0, false},
        {"targets", "/version", (std::uint64_t{1} << 53U) - 2, true},
        {"targets", "/version", (std::uint64_t{1} << 53U) - 1, false},
        {"targets", "/version", UINT64_MAX, false},
        {"targets", "/spec_version", "1.0.34", true},
        {"targets", "/spec_version", "1.1", true},
        {"targets", "/spec_version", "2.0.0", false},
        {"targets", "/spec_version", "10.0", false},
        {"targets", "/_type", "snapshot", false},
        {"targets", "/x-unknown", json{{"any", "thing"}}, true},
        {"targets", "/delegations", json::object(), false},
        {"targets", "/targets/a", json{{"length", 0}, {"hashes", {{"sha256", "00"}}}}, true},
        {"targets", "/targets/a", json{{"length", 0}, {"hashes", json::object()}}, false},
        {"targets", "/targets/a",
         json{{"length", 0}, {"hashes", {{"sha256", "00"}}}, {"custom", "text"}}, false},
        {"targets", "/targets/a",
         json{{"length", 0}, {"hashes", {{"sha256", "00"}}}, {"custom", {{"a", 1}}}}, true},
        {"timestamp", "/meta/other.json", json{{"version", 1}}, false},
        {"timestamp", "/meta/snapshot.json/length", -1, false},
        {"timestamp", "/meta/snapshot.json/hashes", "text", false},
        {"snapshot", "/meta/other.json", json{{"version", 1}}, true},
        {"snapshot", "/meta/other.json", json{{"version", 0}}, false},
        {"root", "/consistent_snapshot", "yes", false},
        {"root", "/keys/00", json{{"keytype", "x"}, {"scheme", "x"}, {"keyval", {{"a", "b"}}}},
         true},
        {"root", "/keys/00", "text", false},
        {"root", "/roles/mirrors", json{{"keyids", json::array()}, {"threshold", 1}}, true},
        {"root", "/roles/targets/threshold", 0, false},
        {"root", "/roles/targets/threshold", 1000, true},
        {"root", "/roles/targets/x-unknown", 1, true},
    }));
    CAPTURE(c.role, c.pointer, c.value);
    FakeRepository repository;
    repository.body(c.role)[json::json_pointer(c.pointer)] = c.value;
    CHECK(accepted(repository, c.role, repository.signed_file(c.role)) == c.good);
}

TEST_CASE("metadata: any signature beside a sufficient one may be nonsense", "[metadata]") {
    FakeRepository repository;
    auto file = json::parse(repository.files.at("timestamp.json"));
    file["signatures"].push_back({{"keyid", "00"}, {"sig", ""}});
    file["signatures"].push_back({{"keyid", "01"}, {"sig", "no hex"}});
    const auto text = file.dump();
    CHECK(accepted(repository, "timestamp", as_bytes(text)));
    for (int i = 0; i < 300; ++i) {
        file["signatures"].push_back({{"keyid", "x" + std::to_string(i)}, {"sig", ""}});
    }
    CHECK_FALSE(accepted(repository, "timestamp", as_bytes(file.dump())));
}

TEST_CASE("metadata: ECDSA and RSA keys sign as well as Ed25519", "[metadata]") {
    const auto kind = GENERATE(KeyKind::ecdsa_p256, KeyKind::rsa_pss);
    FakeRepository repository;
    repository.add_key("root", FakeRepository::new_key(kind));
    repository.root_role("root")["threshold"] = 2;
    CHECK(accepted(repository, "root", repository.signed_file("root")));
    repository.signers["root"].erase(repository.signers["root"].begin());
    CHECK_FALSE(accepted(repository, "root", repository.signed_file("root")));
}

TEST_CASE("verify_bytes: every known hash has to match, and one has to be known", "[metadata]") {
    const auto bytes = as_bytes("abc");
    const auto good = sha256(bytes).hex();
    const std::string sha512 = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                               "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";
    CHECK(verify_bytes(bytes, 3, {{"sha256", good}, {"sha512", sha512}}, "x"));
    CHECK(verify_bytes(bytes, 3, {{"sha512", sha512}, {"new", "00"}}, "x"));
    CHECK(verify_bytes(bytes, {}, {}, "x"));
    CHECK_FALSE(verify_bytes(bytes, 2, {{"sha256", good}}, "x"));
    CHECK_FALSE(verify_bytes(bytes, 3, {{"sha256", good}, {"sha512", good}}, "x"));
    CHECK_FALSE(verify_bytes(bytes, 3, {{"new", good}}, "x"));
}

TEST_CASE("parse_envelope: no bytes make it fail otherwise than by an error", "[metadata]") {
    CHECK(rc::check([](const std::vector<std::uint8_t>& bytes) {
        const auto parsed = parse_envelope(bytes, 1'000, "random");
        RC_ASSERT(!parsed || !parsed->message.empty());
    }));
}

} // namespace slipway::trust
