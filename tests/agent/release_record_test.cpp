#include "agent/core/release_record.h"

#include <catch2/catch.hpp>

#include "common/core/errc.h"

namespace slipway::agent {

TEST_CASE("release record: what is encoded decodes to the same", "[record]") {
    const ReleaseRecord record{
        {"web/front", "2.0"}, sha256(as_bytes("m")), "2026-01-01T00:00:00Z", 7, 1'000};
    const auto text = encode_release_record(record);
    CHECK(*decode_release_record(as_bytes(text), "test") == record);
    for (std::size_t i = 0; i + 2 < text.size(); ++i) {
        CHECK_FALSE(decode_release_record(as_bytes(text.substr(0, i)), "test"));
        auto damaged = text;
        damaged[i] = static_cast<char>(damaged[i] ^ 1);
        (void)decode_release_record(as_bytes(damaged), "test");
    }
    CHECK(decode_release_record(as_bytes("[]"), "test").error().code == Errc::verification_failed);
}

} // namespace slipway::agent
