#include "common/config/document.h"

#include <array>
#include <chrono>

#include <catch2/catch.hpp>

#include "common/core/errc.h"

namespace slipway::config {
namespace {

struct Taken {
    std::string listen = "127.0.0.1:1";
    std::string key;
    std::vector<std::string> seeders{"default"};
    std::chrono::seconds patience{30};
    bool open = false;
};

Result<Taken> take(std::string_view text, const std::vector<Override>& overrides = {}) {
    Taken taken;
    return read_document(text, "a.toml", overrides,
                         [&](Table& root) {
                             root.take("listen", taken.listen);
                             root.take("seeders", taken.seeders);
                             root.take("open", taken.open);
                             root.take_count("patience_s", taken.patience, 1, 3'600);
                             if (auto tls = root.table("tls")) {
                                 tls->take("key", taken.key);
                             }
                         })
        .map([&] { return taken; });
}

std::string mistakes(std::string_view text, const std::vector<Override>& overrides = {}) {
    const auto taken = take(text, overrides);
    REQUIRE_FALSE(taken);
    CHECK(taken.error().code == Errc::usage);
    return taken.error().context;
}

} // namespace

TEST_CASE("config: keys are taken, and defaults hold where there is none", "[config]") {
    const auto taken = take("listen = '[::1]:7070'\nseeders = ['a', 'b']\npatience_s = 5\n"
                            "open = true\n[tls]\nkey = 'k.pem'\n");
    REQUIRE(taken);
    CHECK(taken->listen == "[::1]:7070");
    CHECK(taken->seeders == std::vector<std::string>{"a", "b"});
    CHECK(taken->patience == std::chrono::seconds(5));
    CHECK(taken->open);
    CHECK(taken->key == "k.pem");
    const auto defaults = take("");
    REQUIRE(defaults);
    CHECK(defaults->listen == "127.0.0.1:1");
    CHECK(defaults->seeders == std::vector<std::string>{"default"});
}

TEST_CASE("config: every mistake is told, with its line and key, in order", "[config]") {
    CHECK(mistakes("lisen = 'x'\n") == "a.toml: line 1: lisen is not known");
    CHECK(mistakes("open = 1\n\npatience_s = 0\n[tls]\nkey = 7\nkez = 8\n") ==
          "a.toml: line 1: open must be true or false; line 3: patience_s must be a number from 1 "
          "to 3600; line 5: tls.key must be a text; line 6: tls.kez is not known");
    CHECK(mistakes("seeders = ['a', 1]\n") == "a.toml: line 1: seeders must be a list of texts");
    CHECK(mistakes("tls = 1\n") == "a.toml: line 1: tls must be a table");
    CHECK(mistakes("patience_s = '5'\n").find("patience_s must be a number") != std::string::npos);
    CHECK(mistakes("\nlisten = \n").find("a.toml: line 2: ") == 0);
    CHECK(mistakes(std::string(document_bytes_max + 1, '\n')).find("larger than 256 KiB") !=
          std::string::npos);
}

TEST_CASE("config: an override counts more than the file, the last one most", "[config]") {
    const std::string file = "listen = 'file'\npatience_s = 5\n[tls]\nkey = 'file'\n";
    const auto taken = take(file, {{"listen", "env", "LISTEN"},
                                   {"listen", "1.2.3.4:5", "--set listen"},
                                   {"tls.key", "\"quoted\"", "--set tls.key"},
                                   {"seeders", "['x', 'y']", "--set seeders"},
                                   {"open", "true", "OPEN"}});
    REQUIRE(taken);
    CHECK(taken->listen == "1.2.3.4:5");
    CHECK(taken->key == "quoted");
    CHECK(taken->seeders == std::vector<std::string>{"x", "y"});
    CHECK(taken->patience == std::chrono::seconds(5));
    CHECK(taken->open);
    CHECK(take("", {{"tls.key", "k", "K"}})->key == "k");
}

TEST_CASE("config: a mistake in an override is told by where it was said", "[config]") {
    CHECK(mistakes("patience_s = 5\n", {{"patience_s", "long", "--set patience_s"}}) ==
          "a.toml: --set patience_s: patience_s must be a number from 1 to 3600");
    CHECK(mistakes("", {{"lisen", "x", "SLIPWAY_X_LISEN"}}) ==
          "a.toml: SLIPWAY_X_LISEN: lisen is not known");
    CHECK(mistakes("listen = 'x'\n", {{"listen.port", "1", "P"}}) ==
          "a.toml: P: listen is no table");
    CHECK(mistakes("", {{"a..b", "1", "P"}}) == "a.toml: P: is no key");
    CHECK(mistakes("", {{"listen", "1\nopen = true", "P"}, {"open", "2", "Q"}}) ==
          "a.toml: Q: open must be true or false");
}

TEST_CASE("config: variables of the environment name keys", "[config]") {
    const std::array<std::string, 6> environment{
        "HOME=/",          "SLIPWAY_SEEDER_TLS__KEY=k", "SLIPWAY_SEEDER_LISTEN=a=b",
        "SLIPWAY_SEEDER_", "SLIPWAY_SEEDER_=x",         "SLIPWAY_AGENT_ROOT=/r"};
    const auto found = overrides_of(environment, "SLIPWAY_SEEDER_");
    REQUIRE(found.size() == 2);
    CHECK(found[0].key == "listen");
    CHECK(found[0].value == "a=b");
    CHECK(found[0].from == "SLIPWAY_SEEDER_LISTEN");
    CHECK(found[1].key == "tls.key");
    CHECK(parse_override("a.b=c=d")->value == "c=d");
    CHECK(parse_override("a.b=c=d")->key == "a.b");
    CHECK(parse_override("ab").error().code == Errc::usage);
    CHECK(parse_override("=b").error().code == Errc::usage);
}

TEST_CASE("config: tables whose keys are names, words, and tables as JSON", "[config]") {
    std::vector<std::string> names;
    std::string json;
    std::string word = "one";
    const auto read = [&](std::string_view text) {
        return read_document(text, "a.toml", {}, [&](Table& root) {
            constexpr std::array<const char*, 2> words{"one", "two"};
            root.take_word("word", word, words);
            if (auto services = root.table("services")) {
                names = services->names();
                for (const auto& name : names) {
                    json += services->table(name.c_str())->json();
                }
            }
        });
    };
    REQUIRE(read("word = 'two'\n[services.web]\nport = 1\n[services.api]\n"));
    CHECK(names == std::vector<std::string>{"api", "web"});
    CHECK(json.find("\"port\" : 1") != std::string::npos);
    CHECK(word == "two");
    CHECK(read("word = 'three'\n").error().context ==
          "a.toml: line 1: word must be one of one, two");
}

} // namespace slipway::config
