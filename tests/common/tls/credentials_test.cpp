#include "common/tls/credentials.h"

#include <catch2/catch.hpp>
#include <openssl/ssl.h>

#include "common/core/errc.h"
#include "tests/common/tls/handshake.h"

namespace slipway::tls {
namespace fs = std::filesystem;
namespace {

using Catch::Contains;

std::shared_ptr<Credentials> load(const TlsFiles& files) {
    auto loaded = Credentials::load(files);
    if (!loaded) {
        FAIL(loaded.error().context);
    }
    return *loaded;
}

void write(const fs::path& path, std::string_view text) {
    REQUIRE(replace_file(path, as_bytes(text), 0600));
}

} // namespace

TEST_CASE("tls: an agent and a seeder of one fleet know each other", "[tls]") {
    for (const auto algorithm : {KeyAlgorithm::p256, KeyAlgorithm::ed25519}) {
        Fleet fleet(algorithm);
        const auto seeder = load(fleet.issue("seeder/eu", "seeder"));
        const auto agent = load(fleet.issue("agent/h1", "agent"));
        const auto met = shake_hands(*seeder, *agent);
        CHECK(met.done);
        CHECK(met.server_peer == "agent/h1");
        CHECK(met.client_peer == "seeder/eu");
    }
}

TEST_CASE("tls: without a certificate nobody comes in, nor with TLS 1.2", "[tls]") {
    Fleet fleet;
    const auto seeder = load(fleet.issue("seeder/eu", "seeder"));
    CHECK_FALSE(shake_hands_anonymously(*seeder).done);
    CHECK_FALSE(shake_hands_anonymously(*seeder, TLS1_2_VERSION).done);
}

TEST_CASE("tls: a certificate of a foreign authority is refused on both sides", "[tls]") {
    Fleet fleet;
    Fleet foreign;
    const auto seeder = load(fleet.issue("seeder/eu", "seeder"));
    auto files = foreign.issue("agent/h1", "agent");
    files.authority = fleet.authority() / "ca.pem"; // It would trust us.
    const auto client = load(files);
    const auto stranger = shake_hands(*seeder, *client);
    CHECK_FALSE(stranger.done);
    CHECK_THAT(stranger.server_refusal, Contains("agent/h1") && Contains("--tls-ca"));

    const auto impostor = load(foreign.issue("seeder/eu", "impostor"));
    const auto ours = load(fleet.issue("agent/h2", "ours"));
    const auto met = shake_hands(*impostor, *ours);
    CHECK_FALSE(met.done);
    CHECK_THAT(met.client_refusal, Contains("seeder/eu") && Contains("--tls-ca"));
}

TEST_CASE("tls: an agent's certificate does not serve in a seeder's place", "[tls]") {
    Fleet fleet;
    const auto impostor = load(fleet.issue("agent/evil", "impostor"));
    const auto agent = load(fleet.issue("agent/h1", "agent"));
    const auto met = shake_hands(*impostor, *agent);
    CHECK_FALSE(met.done);
    CHECK_THAT(met.client_refusal, Contains("agent/evil") && Contains("no seeder"));
}

TEST_CASE("tls: an expired certificate is refused", "[tls]") {
    Fleet fleet;
    const auto seeder = load(fleet.issue("seeder/eu", "seeder"));
    const auto agent = load(fleet.issue("agent/h1", "agent", now() - std::chrono::days(100)));
    const auto met = shake_hands(*seeder, *agent);
    CHECK_FALSE(met.done);
    CHECK_THAT(met.server_refusal, Contains("agent/h1") && Contains("expired"));
}

TEST_CASE("tls: revocation is seen by the next handshake, without a restart", "[tls]") {
    Fleet fleet;
    auto files = fleet.issue("seeder/eu", "seeder");
    files.revoked = fleet.authority() / "ca.crl";
    const auto seeder = load(files);
    const auto agent = load(fleet.issue("agent/h1", "agent"));
    CHECK(shake_hands(*seeder, *agent).done);
    fleet.revoke("agent/h1");
    const auto met = shake_hands(*seeder, *agent);
    CHECK_FALSE(met.done);
    CHECK_THAT(met.server_refusal, Contains("agent/h1") && Contains("revoked"));
    const auto other = load(fleet.issue("agent/h2", "other"));
    CHECK(shake_hands(*seeder, *other).done);
}

TEST_CASE("tls: an expired revocation list lets nobody in until it is renewed", "[tls]") {
    Fleet fleet;
    auto files = fleet.issue("seeder/eu", "seeder");
    files.revoked = fleet.authority() / "ca.crl";
    fleet.renew_list(now() - std::chrono::days(60));
    const auto seeder = load(files);
    const auto agent = load(fleet.issue("agent/h1", "agent"));
    const auto met = shake_hands(*seeder, *agent);
    CHECK_FALSE(met.done);
    CHECK_THAT(met.server_refusal, Contains("CRL has expired") && Contains("--tls-crl"));
    fleet.renew_list(now());
    CHECK(shake_hands(*seeder, *agent).done);
}

TEST_CASE("tls: a revocation list of another authority lets nobody in", "[tls]") {
    Fleet fleet;
    Fleet foreign;
    auto files = fleet.issue("seeder/eu", "seeder");
    files.revoked = foreign.authority() / "ca.crl";
    const auto seeder = load(files);
    const auto agent = load(fleet.issue("agent/h1", "agent"));
    const auto met = shake_hands(*seeder, *agent);
    CHECK_FALSE(met.done);
    CHECK_THAT(met.server_refusal, Contains("no revocation list"));
}

TEST_CASE("tls: new files are taken up, broken ones are not", "[tls]") {
    Fleet fleet;
    const auto files = fleet.issue("seeder/eu", "seeder");
    const auto seeder = load(files);
    const auto first = seeder->server_context();
    CHECK(seeder->server_context() == first);

    const auto certificate = read_file(files.certificate, 100'000).value();
    const auto key = read_file(files.key, 100'000).value();
    write(files.certificate, "-----BEGIN CERTIFICATE-----\nhalf of");
    CHECK(seeder->server_context() == first);
    write(files.certificate, as_text(certificate));
    const auto again = seeder->server_context();
    CHECK(again != first);

    fleet.issue("seeder/eu", "seeder"); // Key and certificate anew.
    const auto rotated = seeder->server_context();
    CHECK(rotated != again);
    write(files.key, as_text(key)); // The old key beside the new certificate.
    CHECK(seeder->server_context() == rotated);
    fs::remove(files.authority);
    CHECK(seeder->server_context() == rotated);
    const auto agent = load(fleet.issue("agent/h1", "agent"));
    CHECK(shake_hands(*seeder, *agent).done);
}

TEST_CASE("tls: what cannot be used is refused with the file's name", "[tls]") {
    Fleet fleet;
    const auto good = fleet.issue("agent/h1", "agent");
    const auto refusal = [](const TlsFiles& files) {
        const auto loaded = Credentials::load(files);
        return loaded ? "loaded" : describe(loaded.error());
    };
    auto files = good;
    fs::permissions(good.key, fs::perms(0640));
    CHECK_THAT(refusal(files), Contains("key.pem") && Contains("chmod 600"));
    fs::permissions(good.key, fs::perms(0600));

    files.key = fleet.issue("agent/h2", "other").key;
    CHECK_THAT(refusal(files), Contains("is not that of certificate"));
    files = good;
    files.authority = good.key;
    CHECK_THAT(refusal(files), Contains("key.pem") && Contains("certificates"));
    files = good;
    files.revoked = fleet.home() / "missing.crl";
    CHECK_THAT(refusal(files), Contains("missing.crl") && Contains("not found"));
    files = good;
    files.certificate = good.authority; // Names no identity; its key is another one, too.
    files.key = fleet.authority() / "ca.key";
    CHECK_THAT(refusal(files), Contains("ca.pem") && Contains("no identity"));
    files = good;
    files.key = "";
    CHECK_THAT(refusal(files), Contains("belong together"));
}

} // namespace slipway::tls
