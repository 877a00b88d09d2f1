#include "agent/core/agent_config.h"

#include <catch2/catch.hpp>

#include "common/core/errc.h"

namespace slipway::agent {
namespace {

const std::string seeder = "seeders = [\"https://s.example\"]\n";
const std::string tls = "[tls]\ncertificate = \"c\"\nkey = \"k\"\nauthority = \"a\"\n";

std::string refusal(const std::string& text) {
    const auto config = parse_agent_config(text, "agent.toml");
    REQUIRE_FALSE(config);
    CHECK(config.error().code == Errc::usage);
    return config.error().context;
}

} // namespace

TEST_CASE("agent config: orchestrators and labels", "[config]") {
    const auto config =
        parse_agent_config(seeder + "orchestrator = [\"https://a:1\", \"https://b:2\"]\n" + tls +
                               "[labels]\ntier = \"web\"\n\"rack.row\" = \"r1\"\n",
                           "agent.toml");
    REQUIRE(config);
    CHECK(config->orchestrators == std::vector<std::string>{"https://a:1", "https://b:2"});
    CHECK(config->labels ==
          std::map<std::string, std::string>{{"rack.row", "r1"}, {"tier", "web"}});
    REQUIRE(parse_agent_config(seeder, "agent.toml"));
    CHECK(parse_agent_config(seeder, "agent.toml")->orchestrators.empty());
}

TEST_CASE("agent config: an orchestrator without certificate, or in the clear, is refused",
          "[config]") {
    using Catch::Contains;
    CHECK_THAT(refusal(seeder + "orchestrator = [\"https://a:1\"]\n"), Contains("[tls]"));
    CHECK_THAT(refusal(seeder + "orchestrator = [\"http://a:1\"]\n" + tls), Contains("https://"));
    CHECK_THAT(refusal(seeder + "orchestrator = [\"https://\"]\n" + tls), Contains("https://"));
    CHECK_THAT(refusal(seeder + "orchestrator = \"https://a\"\n" + tls), Contains("orchestrator"));
    std::string nine;
    for (int i = 0; i < 9; ++i) {
        nine += "\"https://a:" + std::to_string(i + 1) + "\",";
    }
    CHECK_THAT(refusal(seeder + "orchestrator = [" + nine + "]\n" + tls), Contains("8"));
}

TEST_CASE("agent config: labels are short texts, and not too many", "[config]") {
    using Catch::Contains;
    CHECK_THAT(refusal(seeder + "[labels]\ntier = 5\n"), Contains("tier"));
    CHECK_THAT(refusal(seeder + "[labels]\ntier = \"" + std::string(129, 'x') + "\"\n"),
               Contains("tier"));
    std::string many = seeder + "[labels]\n";
    for (int i = 0; i < 65; ++i) {
        many += "l" + std::to_string(i) + " = \"x\"\n";
    }
    CHECK_THAT(refusal(many), Contains("64"));
}

} // namespace slipway::agent
