#include "common/trust/keys.h"

#include <fstream>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <sys/stat.h>

#include "common/core/errc.h"
#include "common/core/sha256.h"
#include "common/io/file_ops.h"
#include "common/trust/key_directory.h"
#include "tests/fakes/temporary_directory.h"

namespace slipway::trust {
namespace {

using nlohmann::json;

PublicKey key_of(const json& object) {
    auto key = PublicKey::from_json(object, "test");
    REQUIRE(key);
    return std::move(*key);
}

} // namespace

TEST_CASE("SigningKey: what it signs, its public key verifies, and nothing else", "[keys]") {
    const auto kind = GENERATE(KeyKind::ed25519, KeyKind::ecdsa_p256, KeyKind::rsa_pss);
    const auto key = SigningKey::generate(kind);
    REQUIRE(key);
    const auto message = as_bytes("a message");
    auto signature = key->sign(message);
    REQUIRE(signature);
    // Through the JSON of metadata, as a client gets it.
    const auto listed = key_of(key->public_key().object());
    CHECK(listed.id() == key->public_key().id());
    CHECK(listed.verifies(message, *signature));
    CHECK_FALSE(listed.verifies(as_bytes("a messagf"), *signature));
    CHECK_FALSE(listed.verifies(message, {}));
    CHECK_FALSE(listed.verifies({}, *signature));
    const auto other = SigningKey::generate(kind);
    CHECK_FALSE(other->public_key().verifies(message, *signature));
    for (std::size_t i = 0; i < signature->size(); ++i) {
        (*signature)[i] ^= 1U;
        CHECK_FALSE(listed.verifies(message, *signature));
        (*signature)[i] ^= 1U;
    }
    signature->pop_back();
    CHECK_FALSE(listed.verifies(message, *signature));
}

TEST_CASE("PublicKey: verifies RFC 8032's Ed25519 test vector 3", "[keys]") {
    const auto key = key_of(
        {{"keytype", "ed25519"},
         {"scheme", "ed25519"},
         {"keyval",
          {{"public", "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"}}}});
    const auto signature =
        from_hex("6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
                 "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a");
    CHECK(key.verifies(*from_hex("af82"), *signature));
    CHECK_FALSE(key.verifies(*from_hex("af83"), *signature));
}

TEST_CASE("PublicKey: its id covers every field, known or not", "[keys]") {
    const json object{
        {"keytype", "ed25519"}, {"scheme", "ed25519"}, {"keyval", {{"public", "00"}}}};
    const std::string canonical =
        R"({"keytype":"ed25519","keyval":{"public":"00"},"scheme":"ed25519"})";
    CHECK(key_of(object).id() == sha256(as_bytes(canonical)).hex());
    auto extended = object;
    extended["x-owner"] = "somebody";
    CHECK(key_of(extended).id() != key_of(object).id());
    CHECK(key_of(extended).object() == extended);
}

TEST_CASE("PublicKey: the same key under two ids has one material", "[keys]") {
    const auto key = SigningKey::generate();
    auto object = key->public_key().object();
    object["x-owner"] = "somebody";
    CHECK(key_of(object).material() == key->public_key().material());
    CHECK_FALSE(key->public_key().material().empty());
}

TEST_CASE("PublicKey: unknown, weak and malformed keys verify nothing", "[keys]") {
    const auto key = SigningKey::generate();
    const auto message = as_bytes("m");
    const auto signature = key->sign(message);
    const auto good = key->public_key().object();
    std::vector<json> keys;
    keys.push_back(good);
    keys.back()["scheme"] = "ed25519-new";
    keys.push_back(good);
    keys.back()["keytype"] = "rsa";
    keys.push_back(good);
    keys.back()["keyval"]["public"] = "zz";
    keys.push_back(good);
    keys.back()["keyval"]["public"] = good["keyval"]["public"].get<std::string>() + "00";
    keys.push_back(good);
    keys.back()["keyval"] = json::object();
    // A 1024-bit RSA key.
    keys.push_back(
        {{"keytype", "rsa"},
         {"scheme", "rsassa-pss-sha256"},
         {"keyval",
          {{"public", "-----BEGIN PUBLIC KEY-----\n"
                      "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDD\n-----END PUBLIC KEY-----\n"}}}});
    for (const auto& object : keys) {
        CAPTURE(object);
        CHECK_FALSE(key_of(object).verifies(message, *signature));
        CHECK(key_of(object).material().empty());
    }
    for (const json& object : {json("text"), json::object(), json{{"keytype", 1}},
                               json{{"keytype", "a"}, {"scheme", "b"}, {"keyval", "c"}}}) {
        CAPTURE(object);
        CHECK(PublicKey::from_json(object, "test").error().code == Errc::verification_failed);
    }
}

TEST_CASE("SigningKey: a saved key is private and comes back whole", "[keys]") {
    const auto kind = GENERATE(KeyKind::ed25519, KeyKind::ecdsa_p256, KeyKind::rsa_pss);
    const slipway::fakes::TemporaryDirectory directory;
    const auto path = directory.path() / "role.pem";
    const auto key = SigningKey::generate(kind);
    REQUIRE(key->save(path));
    struct stat info{};
    REQUIRE(::stat(path.c_str(), &info) == 0);
    CHECK((info.st_mode & 07777U) == 0600U);
    const auto again = SigningKey::load(path);
    REQUIRE(again);
    CHECK(again->public_key().id() == key->public_key().id());
    CHECK(key->public_key().verifies(as_bytes("m"), *again->sign(as_bytes("m"))));
}

TEST_CASE("SigningKey: a missing, open or damaged key file is named", "[keys]") {
    const slipway::fakes::TemporaryDirectory directory;
    const auto path = directory.path() / "role.pem";
    CHECK(SigningKey::load(path).error().code == Errc::not_found);
    REQUIRE(SigningKey::generate()->save(path));
    ::chmod(path.c_str(), 0640);
    const auto open = SigningKey::load(path);
    REQUIRE_FALSE(open);
    CHECK(open.error().context.find(path.string()) != std::string::npos);
    CHECK(open.error().context.find("chmod 600") != std::string::npos);
    REQUIRE(replace_file(path, as_bytes("-----BEGIN PRIVATE KEY-----\nAAAA\n"), 0600));
    const auto damaged = SigningKey::load(path);
    REQUIRE_FALSE(damaged);
    CHECK(damaged.error().context.find(path.string()) != std::string::npos);
}

TEST_CASE("SigningKey: an encrypted file opens with its passphrase only", "[keys]") {
    const auto kind = GENERATE(KeyKind::ed25519, KeyKind::ecdsa_p256, KeyKind::rsa_pss);
    const slipway::fakes::TemporaryDirectory directory;
    const auto path = directory.path() / "role.pem";
    const auto key = SigningKey::generate(kind);
    REQUIRE(key->save(path, "correct horse"));
    const auto text = read_file(path, 100'000);
    CHECK(as_text(*text).starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    std::string asked;
    const auto answer = [&](Result<std::string> given) {
        return SigningKey::load(path, [&asked, given](const std::string& name) {
            asked = name;
            return given;
        });
    };
    const auto again = answer("correct horse");
    REQUIRE(again);
    CHECK(asked == path.string());
    CHECK(again->public_key().id() == key->public_key().id());
    const auto wrong = answer("incorrect horse");
    REQUIRE_FALSE(wrong);
    CHECK(wrong.error().context.find("passphrase is wrong") != std::string::npos);
    CHECK(wrong.error().context.find("horse") == std::string::npos);
    CHECK_FALSE(answer(""));
    CHECK_FALSE(answer(std::string(10'000, 'x')));
    const auto gone = answer(fail(Errc::failed, "no terminal"));
    CHECK(gone.error().context.find("no terminal") != std::string::npos);
    const auto without = SigningKey::load(path);
    CHECK(without.error().context.find("no passphrase was given") != std::string::npos);
}

TEST_CASE("PublicKey: is handed over as PEM and stays the same key", "[keys]") {
    const auto kind = GENERATE(KeyKind::ed25519, KeyKind::ecdsa_p256, KeyKind::rsa_pss);
    const auto key = SigningKey::generate(kind);
    const auto again = PublicKey::from_pem(key->public_key().pem(), "test");
    REQUIRE(again);
    CHECK(again->id() == key->public_key().id());
    CHECK(PublicKey::from_pem("-----BEGIN PUBLIC KEY-----\nAAAA\n", "x").error().code ==
          Errc::usage);
}

TEST_CASE("read_secret: the first line of a file that only its owner reads", "[keys]") {
    const slipway::fakes::TemporaryDirectory directory;
    const auto path = directory.path() / "secret";
    REQUIRE(replace_file(path, as_bytes("one two\r\nmore"), 0600));
    CHECK(*read_secret(path) == "one two");
    REQUIRE(replace_file(path, as_bytes("unended"), 0600));
    CHECK(*read_secret(path) == "unended");
    ::chmod(path.c_str(), 0640);
    CHECK(read_secret(path).error().context.find("chmod 600") != std::string::npos);
}

TEST_CASE("KeyDirectory: a role's keys are those under its name, and no other role's", "[keys]") {
    const slipway::fakes::TemporaryDirectory home;
    const KeyDirectory keys(home.path() / "keys");
    CHECK_FALSE(keys.has("web"));
    CHECK(keys.keys_of("web")->empty());
    const auto key = SigningKey::generate();
    for (const auto* role : {"web", "web", "web/api", "webby", "web.x", "web-2"}) {
        REQUIRE(keys.add(role, *SigningKey::generate(), ""));
    }
    REQUIRE(key->save(keys.file_of("web")));
    CHECK(keys.keys_of("web")->size() == 3);
    CHECK(keys.keys_of("web/api")->size() == 1);
    struct stat info{};
    REQUIRE(::stat(keys.path().c_str(), &info) == 0);
    CHECK((info.st_mode & 07777U) == 0700U);
    REQUIRE(keys.retire(keys.file_of("web")));
    CHECK(keys.keys_of("web")->size() == 2);
    REQUIRE(replace_file(keys.path() / "web.uri", as_bytes("pkcs11:token=x?pin-value=1"), 0600));
    const auto pin = keys.keys_of("web");
    REQUIRE_FALSE(pin);
    CHECK(pin.error().context.find("pin-value") != std::string::npos);
    CHECK(pin.error().code == Errc::usage);
}

} // namespace slipway::trust
