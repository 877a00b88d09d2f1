#include "agent/core/journal_format.h"

#include <catch2/catch.hpp>

namespace slipway::agent {
namespace {

const std::vector<JournalEntry> three{{"web", "first"}, {"db", std::string(300, 'x')}, {"web", ""}};

Bytes journal() {
    auto bytes = journal_header();
    for (const auto& entry : three) {
        append_journal_entry(bytes, entry);
    }
    return bytes;
}

bool is_start_of_three(const std::vector<JournalEntry>& entries) {
    return entries.size() <= three.size() &&
           std::equal(entries.begin(), entries.end(), three.begin());
}

} // namespace

TEST_CASE("journal format: the sum is CRC-32C", "[journal]") {
    CHECK(crc32c(as_bytes("123456789")) == 0xe3069283U); // The check value of the polynomial.
    CHECK(crc32c(Bytes(32, 0)) == 0x8a9136aaU);          // RFC 3720, B.4: 32 bytes of zeros.
    CHECK(crc32c(as_bytes("6789"), crc32c(as_bytes("12345"))) == 0xe3069283U);
}

TEST_CASE("journal format: what was written is read", "[journal]") {
    const auto content = read_journal(journal());
    CHECK(content.entries == three);
    CHECK(content.end == JournalEnd::whole);
    CHECK(content.good_bytes == journal().size());
}

TEST_CASE("journal format: a write cut off anywhere loses itself only", "[journal]") {
    const auto bytes = journal();
    for (std::size_t length = journal_header_bytes; length < bytes.size(); ++length) {
        CAPTURE(length);
        const auto content = read_journal(ByteSpan(bytes).first(length));
        CHECK(is_start_of_three(content.entries));
        CHECK(content.end == (content.good_bytes == length ? JournalEnd::whole : JournalEnd::torn));
    }
    auto zeros = bytes; // A file system may have the length but not the bytes.
    zeros.resize(bytes.size() + 5'000);
    CHECK(read_journal(zeros).end == JournalEnd::torn);
    CHECK(read_journal(zeros).entries == three);
}

TEST_CASE("journal format: a changed byte is found, and told from a cut", "[journal]") {
    const auto bytes = journal();
    for (std::size_t at = 0; at < bytes.size(); ++at) {
        CAPTURE(at);
        auto bad = bytes;
        bad[at] ^= 0x10U;
        const auto content = read_journal(bad);
        CHECK(content.end != JournalEnd::whole);
        CHECK(content.entries.size() < three.size());
        CHECK(is_start_of_three(content.entries));
        if (content.entries.size() < 2 && at >= journal_header_bytes) {
            CHECK(content.end == JournalEnd::corrupt);
        }
    }
}

TEST_CASE("journal format: a newer version is not taken for damage", "[journal]") {
    auto bytes = journal();
    bytes[8] = 2;
    CHECK(read_journal(bytes).end == JournalEnd::unknown_version);
}

} // namespace slipway::agent
