#include "agent/io/event_queue.h"

#include <fstream>

#include <catch2/catch.hpp>

#include "agent/core/event_format.h"
#include "agent/core/journal_format.h"
#include "tests/scratch_directory.h"

namespace slipway::agent {
namespace fs = std::filesystem;
namespace {

EventQueue open(const fs::path& path, EventQueue::Limits limits = {},
                const std::string& stream = "aa") {
    auto queue = EventQueue::open(path, limits, stream);
    REQUIRE(queue);
    return std::move(*queue);
}
void push(EventQueue& queue, const std::string& text) {
    REQUIRE(queue.push({.id = 0, .at_ms = 5, .service = "web", .kind = "healthy", .text = text}));
}
std::vector<std::uint64_t> ids(EventQueue& queue) {
    std::vector<std::uint64_t> all;
    const auto batch = queue.batch(10'000);
    REQUIRE(batch);
    for (const auto& event : *batch) {
        all.push_back(event.id);
    }
    return all;
}

} // namespace

TEST_CASE("event queue: gives events in order, under ids that a restart does not repeat",
          "[events]") {
    const tests::ScratchDirectory scratch;
    const auto path = scratch / "events";
    {
        auto queue = open(path);
        push(queue, "one");
        push(queue, "two");
        CHECK(ids(queue) == std::vector<std::uint64_t>{1, 2});
        REQUIRE(queue.forget(2));
        CHECK(queue.size() == 0);
    }
    {
        auto queue = open(path, {}, "bb");
        CHECK(queue.stream() == "aa");
        CHECK(queue.size() == 0);
        push(queue, "three");
        push(queue, "four");
        REQUIRE(queue.forget(3));
    }
    auto queue = open(path);
    CHECK(ids(queue) == std::vector<std::uint64_t>{4});
    CHECK(queue.batch(1)->at(0) == api::AgentEvent{4, 5, "web", "healthy", "four"});
}

TEST_CASE("event queue: a full one drops the oldest, and says how many", "[events]") {
    const tests::ScratchDirectory scratch;
    const auto path = scratch / "events";
    const EventQueue::Limits limits{.events = 5};
    auto queue = open(path, limits);
    for (int i = 1; i <= 20; ++i) {
        push(queue, std::to_string(i));
    }
    const auto check = [](EventQueue& one) {
        const auto batch = one.batch(100);
        REQUIRE(batch);
        REQUIRE(batch->size() == 5);
        CHECK(batch->at(0).kind == "events.dropped");
        CHECK_THAT(batch->at(0).text, Catch::StartsWith("16 events"));
        for (std::size_t i = 0; i < 5; ++i) {
            CHECK(batch->at(i).id == 16 + i);
        }
        CHECK(batch->at(1).text == "17");
    };
    check(queue);
    CHECK(queue.dropped() == 16);
    {
        auto again = open(path, limits);
        check(again);
        REQUIRE(again.forget(17));
        push(again, "21");
        CHECK(ids(again) == std::vector<std::uint64_t>{18, 19, 20, 21});
    }
    // Bytes are bounded as well.
    auto small = open(scratch / "small", {.events = 100, .bytes = 10'000});
    for (int i = 0; i < 100; ++i) {
        push(small, std::string(1'000, 'x'));
    }
    CHECK(small.size() < 10);
    CHECK(small.batch(1)->at(0).kind == "events.dropped");
    CHECK(ids(small).back() == 100);
}

TEST_CASE("event queue: whatever part of a write a crash leaves, what was before it is there",
          "[events]") {
    const tests::ScratchDirectory scratch;
    const auto path = scratch / "events";
    std::uintmax_t before = 0;
    {
        auto queue = open(path);
        push(queue, "one");
        push(queue, "two");
        before = fs::file_size(path);
        push(queue, "three");
    }
    const auto whole = read_file(path, 1'000'000);
    REQUIRE(whole);
    for (auto length = before; length < whole->size(); ++length) {
        REQUIRE(replace_file(path, ByteSpan(*whole).first(length)));
        auto queue = open(path, {}, "bb");
        CAPTURE(length);
        REQUIRE(ids(queue) == std::vector<std::uint64_t>{1, 2});
        REQUIRE(queue.stream() == "aa");
        REQUIRE(queue.fault().empty());
        push(queue, "again");
        REQUIRE(ids(queue) == std::vector<std::uint64_t>{1, 2, 3});
    }
}

TEST_CASE("event queue: one that the disk changed goes on as another stream", "[events]") {
    const tests::ScratchDirectory scratch;
    const auto path = scratch / "events";
    {
        auto queue = open(path);
        for (int i = 0; i < 5; ++i) {
            push(queue, std::string(100, 'x'));
        }
    }
    auto bytes = *read_file(path, 1'000'000);
    bytes[bytes.size() / 2] ^= 0x40U;
    REQUIRE(replace_file(path, bytes));
    auto queue = open(path, {}, "bb");
    CHECK(queue.stream() == "bb");
    CHECK_FALSE(queue.fault().empty());
    CHECK(queue.size() < 5);
    push(queue, "on");
    CHECK(queue.batch(100)->back().text == "on");
    REQUIRE(replace_file(path, as_bytes(std::string_view("no queue at all"))));
    CHECK(open(path, {}, "cc").stream() == "cc");
}

TEST_CASE("event queue: its file does not grow with what went through it", "[events]") {
    const tests::ScratchDirectory scratch;
    const auto path = scratch / "events";
    auto queue = open(path);
    for (std::uint64_t i = 1; i <= 3'000; ++i) {
        push(queue, std::string(500, 'x'));
        REQUIRE(queue.forget(i));
    }
    CHECK(fs::file_size(path) < 400'000);
    auto again = open(path);
    push(again, "last");
    CHECK(ids(again) == std::vector<std::uint64_t>{3'001});
}

TEST_CASE("event queue: what it is given is cut to what a report may bear", "[events]") {
    const tests::ScratchDirectory scratch;
    auto queue = open(scratch / "events");
    push(queue, std::string(5'000, '\xff'));
    const auto event = queue.batch(1)->at(0);
    CHECK(event.text == std::string(api::sync_text_bytes_max, '?'));
    const auto read = decode_event(as_bytes(encode_event(event)), "test");
    REQUIRE(read);
    CHECK(*read == event);
}

} // namespace slipway::agent
