#include "common/format/manifest.h"

#include <catch2/catch.hpp>

#include "common/core/errc.h"
#include "tests/bad_input.h"

namespace slipway {
namespace {

Manifest sample() {
    Manifest manifest;
    manifest.id = {"web/frontend", "2.0.1"};
    manifest.kind = ArtifactKind::config;
    manifest.index = sha256(as_bytes("index"));
    manifest.index_bytes = 1234;
    manifest.entries = 7;
    manifest.files = 5;
    manifest.tree_bytes = 1ULL << 40U;
    manifest.unit = "web@.service";
    manifest.labels = {{"built-by", "ci \"9\""}, {"revision", "1f3c"}};
    return manifest;
}

Bytes bytes_of(const std::string& text) {
    return {text.begin(), text.end()};
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
    const auto at = text.find(from);
    REQUIRE(at != std::string::npos);
    return text.replace(at, from.size(), to);
}

} // namespace

TEST_CASE("manifest: what was encoded is decoded", "[manifest]") {
    const auto text = encode_manifest(sample());
    const auto again = decode_manifest(as_bytes(text), "manifest");
    REQUIRE(again);
    CHECK(*again == sample());
}

TEST_CASE("manifest: the bytes are canonical and stay what they are", "[manifest]") {
    CHECK(
        encode_manifest(sample()) ==
        R"({"entries":7,"files":5,"format":"slipway-manifest-1","index":{"bytes":1234,"sha256":")" +
            sha256(as_bytes("index")).hex() +
            R"("},"kind":"config","labels":{"built-by":"ci \"9\"","revision":"1f3c"},)"
            R"("name":"web/frontend","tree_bytes":1099511627776,"unit":"web@.service",)"
            R"("version":"2.0.1"})");
}

TEST_CASE("manifest: what is not exactly a manifest is refused", "[manifest]") {
    const auto good = encode_manifest(sample());
    const std::vector<std::string> bad{
        replaced(good, "{\"entries\"", "{ \"entries\""),
        replaced(good, "{\"entries\"", "{\"also\":1,\"entries\""),
        replaced(good, "slipway-manifest-1", "slipway-manifest-2"),
        replaced(good, "\"files\":5", "\"files\":-5"),
        replaced(good, "\"files\":5", "\"files\":\"5\""),
        replaced(good, "\"files\":5", "\"files\":99999999999999"),
        replaced(good, "web/frontend", "../../etc"),
        replaced(good, "web@.service", "a/b.service"),
        replaced(good, "config", "konfig"),
        replaced(good, "\"1f3c\"", "7"),
        "[]",
        "",
        std::string(manifest_bytes_max + 1, ' '),
    };
    for (const auto& text : bad) {
        CAPTURE(text.substr(0, 200));
        const auto manifest = decode_manifest(as_bytes(text), "manifest of web@2");
        REQUIRE_FALSE(manifest);
        CHECK(manifest.error().code == Errc::verification_failed);
        CHECK(manifest.error().context.find("manifest of web@2") != std::string::npos);
    }
}

TEST_CASE("manifest: damage is refused or is another canonical manifest", "[manifest]") {
    tests::check_refuses_damage(
        bytes_of(encode_manifest(sample())), false, [](ByteSpan damaged) -> std::optional<Error> {
            const auto manifest = decode_manifest(damaged, "manifest");
            return manifest ? std::nullopt : std::optional(manifest.error());
        });
}

TEST_CASE("labels and units: what they may be", "[manifest]") {
    CHECK(parse_label("revision=a=b") == std::pair<std::string, std::string>("revision", "a=b"));
    CHECK_FALSE(parse_label("revision"));
    CHECK_FALSE(parse_label("Revision=1"));
    CHECK_FALSE(parse_label("revision=a\nb"));
    CHECK_FALSE(parse_label("revision=\xff"));
    CHECK(parse_unit_name("web@blue.service"));
    CHECK_FALSE(parse_unit_name("web"));
    CHECK_FALSE(parse_unit_name("../web.service"));
}

} // namespace slipway
