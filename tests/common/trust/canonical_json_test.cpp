#include "common/trust/canonical_json.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <rapidcheck.h>

#include "common/core/errc.h"

namespace slipway {
namespace {

Result<nlohmann::json> parse(std::string_view text) {
    return parse_json(as_bytes(text), 1'000'000, "test");
}

std::string canonical(std::string_view text) {
    const auto parsed = parse(text);
    REQUIRE(parsed);
    return canonical_json(*parsed);
}

} // namespace

TEST_CASE("canonical_json: keys are sorted, white space goes, two characters are escaped",
          "[canonical_json]") {
    CHECK(canonical(" { \"b\" : [ 1 , -2, true, null ] , \"a\" : { } } ") ==
          R"({"a":{},"b":[1,-2,true,null]})");
    CHECK(canonical(R"("a\"b\\c")") == R"("a\"b\\c")");
    CHECK(canonical(R"("line\nend\u00e9\/\u0001")") == "\"line\nend\xc3\xa9/\x01\"");
    CHECK(canonical(R"({"\uffff":1,"\ud800\udc00":2,"Z":3,"a":4})") ==
          "{\"Z\":3,\"a\":4,\"\xef\xbf\xbf\":1,\"\xf0\x90\x80\x80\":2}");
    CHECK(canonical("18446744073709551615") == "18446744073709551615");
    CHECK(canonical("-9223372036854775808") == "-9223372036854775808");
    CHECK(canonical("[]") == "[]");
}

TEST_CASE("parse_json: refuses what two readers could read differently", "[canonical_json]") {
    for (const auto* text : {"",
                             " ",
                             "{",
                             "[1,]",
                             "{\"a\":1,\"a\":2}",
                             "{\"a\":{\"b\":1,\"b\":1}}",
                             "1.0",
                             "1e3",
                             "-",
                             "01",
                             "18446744073709551616",
                             "\"\x80\"",
                             "\"\\ud800\"",
                             "\"\n\"",
                             "nul",
                             "[1] []",
                             "{}x",
                             "/**/1",
                             "NaN",
                             "{\"a\"}",
                             "'a'",
                             "\xef\xbb\xbf{"}) {
        CAPTURE(text);
        const auto parsed = parse(text);
        REQUIRE_FALSE(parsed);
        CHECK(parsed.error().code == Errc::verification_failed);
        CHECK(parsed.error().context.starts_with("test: "));
    }
}

TEST_CASE("parse_json: length and nesting are bounded", "[canonical_json]") {
    CHECK(parse_json(as_bytes("[1]"), 3, "test"));
    CHECK_FALSE(parse_json(as_bytes("[1]"), 2, "test"));
    CHECK(parse(std::string(32, '[') + std::string(32, ']')));
    CHECK_FALSE(parse(std::string(33, '[') + std::string(33, ']')));
    CHECK_FALSE(parse(std::string(900'000, '[')));
}

TEST_CASE("canonical_json: reading its own output back changes nothing", "[canonical_json]") {
    CHECK(rc::check([](const std::map<std::string, std::vector<std::int64_t>>& value) {
        nlohmann::json object = nlohmann::json::object();
        for (const auto& [key, numbers] : value) {
            std::string text;
            for (const char c : key) { // Printable only: canonical JSON does not escape the rest.
                text += static_cast<char>(' ' + (static_cast<unsigned char>(c) % 90));
            }
            object[text] = numbers;
        }
        const auto once = canonical_json(object);
        const auto again = parse_json(as_bytes(once), once.size(), "again");
        RC_ASSERT(again.has_value());
        RC_ASSERT(canonical_json(*again) == once);
    }));
}

} // namespace slipway
