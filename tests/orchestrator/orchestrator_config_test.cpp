#include "orchestrator/core/orchestrator_config.h"

#include <catch2/catch.hpp>

#include "common/core/errc.h"

namespace slipway::orchestrator {
namespace {

Result<OrchestratorConfig> parse(const std::string& text) {
    OrchestratorConfig config;
    return config::read_document(
               text, "orchestrator.toml", {},
               [&](config::Table& table) { config = read_orchestrator_config(table); })
        .map([&] { return config; });
}

std::string refusal(const std::string& text) {
    const auto config = parse(text);
    REQUIRE_FALSE(config);
    CHECK(config.error().code == Errc::usage);
    return config.error().context;
}

} // namespace

TEST_CASE("orchestrator config: all keys", "[config]") {
    const auto config = parse(R"(
        database = "postgresql:///slipway"
        listen = "[::1]:7443"
        repository = "https://seeder:7070"
        trust = "/etc/slipway/root.json"
        state = "/var/lib/x"
        [tls]
        certificate = "c"
        key = "k"
        authority = "a"
        revoked = "r"
        [enroll]
        listen = "0.0.0.0:7072"
        authority = "/ca"
        days = 30
        [prometheus.main]
        url = "https://prometheus:9090"
        token_file = "/t"
        [gates.smoke]
        url = "https://gate"
        secret_file = "/s"
        [receivers.chat]
        url = "http://127.0.0.1:9"
        secret_file = "/s"
        kinds = ["deployment.ended"]
        plain_http = true
    )");
    REQUIRE(config);
    CHECK(config->listen == "[::1]:7443");
    CHECK(config->tls.revoked == "r");
    CHECK(config->enroll.listen == "0.0.0.0:7072");
    CHECK(config->enroll.authority == "/ca");
    CHECK(config->enroll.days == 30);
    CHECK(config->prometheus.at("main").token_file == "/t");
    CHECK(config->gates.at("smoke").secret_file == "/s");
    CHECK(config->receivers.at("chat").kinds == std::set<std::string>{"deployment.ended"});
    CHECK(config->receivers.at("chat").plain_http);
    CHECK(parse("").value() == OrchestratorConfig{});
}

TEST_CASE("orchestrator config: what is misspelt or of the wrong sort is told with its line",
          "[config]") {
    CHECK(refusal("listen = \"127.0.0.1:1\"\nlisten_on = \"b\"") ==
          "orchestrator.toml: line 2: listen_on is not known");
    CHECK(refusal("[tls]\ncert = \"x\"").find("tls.cert is not known") != std::string::npos);
    CHECK(refusal("listen = \"nowhere\"").find("listen must be IP:PORT") != std::string::npos);
    CHECK(refusal("prometheus = 1").find("must be a table") != std::string::npos);
    CHECK(refusal("[enroll]\nlisten = \"here\"\nauthority = \"/ca\"").find("IP:PORT") !=
          std::string::npos);
    CHECK(refusal("[enroll]\nlisten = \"[::]:1\"").find("authority must be given") !=
          std::string::npos);
    CHECK(refusal("idle_ms = 99").find("from 100 to 30000") != std::string::npos);
    CHECK(refusal("[gates.x]\nurl = \"https://x\"").find("secret_file must be given") !=
          std::string::npos);
    CHECK(refusal("[gates.x]\nurl = \"https://x\"\nsecret_file = \"s\"\nkinds = []")
              .find("kinds is not known") != std::string::npos);
    CHECK(refusal("[prometheus.\"A B\"]\nurl = \"x\"").find("is no name") != std::string::npos);
}

} // namespace slipway::orchestrator
