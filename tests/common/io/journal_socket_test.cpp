#include "common/io/journal_socket.h"

#include <cstring>
#include <map>
#include <sys/socket.h>
#include <sys/un.h>

#include <catch2/catch.hpp>

#include "common/core/journal_entry.h"
#include "tests/scratch_directory.h"

namespace slipway {
namespace {

// What journald reads of an entry, by the page of its protocol: written apart from the writer.
std::map<std::string, std::string> parse(std::string_view entry) {
    std::map<std::string, std::string> fields;
    while (!entry.empty()) {
        const auto end = entry.find('\n');
        REQUIRE(end != entry.npos);
        const auto line = entry.substr(0, end);
        entry.remove_prefix(end + 1);
        if (const auto equal = line.find('='); equal != line.npos) {
            fields[std::string(line.substr(0, equal))] = line.substr(equal + 1);
            continue;
        }
        std::uint64_t bytes = 0;
        REQUIRE(entry.size() >= sizeof bytes);
        std::memcpy(&bytes, entry.data(), sizeof bytes);
        entry.remove_prefix(sizeof bytes);
        REQUIRE(entry.size() > bytes);
        fields[std::string(line)] = entry.substr(0, bytes);
        REQUIRE(entry[bytes] == '\n');
        entry.remove_prefix(bytes + 1);
    }
    return fields;
}

} // namespace

TEST_CASE("journal entry: each field on its own, whatever its value is", "[journal]") {
    const auto fields =
        parse(journal_entry("slipway-agent", 4, "pack.evicted", "pack.evicted why=…",
                            {{"pack", "3f"},
                             {"why", "first\nsecond=1"},
                             {"empty", ""},
                             {"upload-rate", std::string(20'000, 'x')}}));
    const std::map<std::string, std::string> expected{
        {"MESSAGE", "pack.evicted why=…"},
        {"PRIORITY", "4"},
        {"SYSLOG_IDENTIFIER", "slipway-agent"},
        {"MESSAGE_ID", message_id("pack.evicted")},
        {"SLIPWAY_EVENT", "pack.evicted"},
        {"SLIPWAY_PACK", "3f"},
        {"SLIPWAY_WHY", "first\nsecond=1"},
        {"SLIPWAY_EMPTY", ""},
        {"SLIPWAY_UPLOAD_RATE", std::string(journal_value_bytes_max, 'x')}};
    CHECK(fields == expected);
}

TEST_CASE("journal entry: a key that journald would not take is left out", "[journal]") {
    JournalEntry entry;
    entry.add("", "x");
    entry.add("_PID", "1");
    entry.add("1ST", "x");
    entry.add(std::string(65, 'K'), "x");
    CHECK(entry.bytes().empty());
}

TEST_CASE("journal entry: message ids stay what they were", "[journal]") {
    // Somebody's alerts rest on them.
    CHECK(message_id("agent.started") == "0bda8e1e518a02ce5a1c0341ee185b61");
    CHECK(message_id("service.state") == "1589cdfdc5bfc39fd21a5fdd2070435c");
}

TEST_CASE("journal socket: an entry arrives whole, and nobody waits where none is taken",
          "[journal]") {
    const tests::ScratchDirectory scratch;
    const auto path = scratch.path() / "journal";
    CHECK_FALSE(JournalSocket::connect(path));
    const Fd listening(::socket(AF_UNIX, SOCK_DGRAM, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    REQUIRE(::bind(listening.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    const auto journal = JournalSocket::connect(path);
    REQUIRE(journal);
    const auto entry = journal_entry("p", 6, "e.e", "m", {{"key", "value"}});
    REQUIRE(journal->send(entry));
    std::string got(1000, '\0');
    got.resize(static_cast<std::size_t>(::recv(listening.get(), got.data(), got.size(), 0)));
    CHECK(got == entry);
    int sent = 0;
    while (journal->send(entry)) {
        REQUIRE(++sent < 1'000'000); // Its queue is bounded.
    }
}

} // namespace slipway
