#include "common/core/names.h"

#include <catch2/catch.hpp>

#include "common/core/errc.h"

namespace slipway {

TEST_CASE("ArtifactId: the grammar's edges", "[names]") {
    CHECK(ArtifactId::parse("web@1.0")->text() == "web@1.0");
    CHECK(ArtifactId::parse("team/web-2_x.y@1.0.0~rc1+b-2")->name == "team/web-2_x.y");
    for (const auto* bad :
         {"web", "@1", "web@", "/web@1", "web/@1", "a//b@1", "../x@1", "a..b@1", "Web@1", "web@-1",
          "web@1..2", "web@1/2", "web@1@2", "we b@1", ".a@1"}) {
        CAPTURE(bad);
        const auto id = ArtifactId::parse(bad);
        REQUIRE_FALSE(id);
        CHECK(id.error().code == Errc::usage);
    }
    CHECK(ArtifactId::parse(std::string(128, 'a') + "@" + std::string(64, '1')));
    CHECK_FALSE(ArtifactId::parse(std::string(129, 'a') + "@1"));
    CHECK_FALSE(ArtifactId::parse("a@" + std::string(65, '1')));
}

TEST_CASE("service names are safe directory names", "[names]") {
    CHECK(parse_service_name("web.api-1"));
    for (const auto* bad : {"", ".", "..", "a/b", "A", "-a", "a..b"}) {
        CAPTURE(bad);
        CHECK_FALSE(parse_service_name(bad));
    }
}

} // namespace slipway
