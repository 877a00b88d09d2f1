#include "agent/core/history.h"

#include <catch2/catch.hpp>
#include <rapidcheck.h>

#include "common/core/errc.h"

namespace slipway::agent {
namespace {

ReleaseId id(int number) {
    return {std::to_string(number) + "-0123456789ab"};
}
History history(std::initializer_list<int> numbers) {
    History out;
    for (const int number : numbers) {
        out.activations.push_back({id(number), "2026-01-01T00:00:00Z"});
    }
    return out;
}
bool all_whole(const ReleaseId& /*id*/) {
    return true;
}

} // namespace

TEST_CASE("history: an install pushes, a rollback pops", "[history]") {
    auto past = history({1, 2});
    past.activations = after_install(past, id(3), "now");
    CHECK(past.current() == id(3));
    CHECK(past.previous() == id(2));
    past.activations = *after_rollback(past, {}, "later");
    CHECK(past.current() == id(2));
    CHECK(past.activations.back().at == "later");
    CHECK(past.previous() == id(1));
}

TEST_CASE("history: what is current already is not pushed again", "[history]") {
    CHECK(after_install(history({1, 2}), id(2), "now").size() == 2);
}

TEST_CASE("history: a rollback never leads forward to what was rolled back", "[history]") {
    CHECK(rc::check([](const std::vector<bool>& installs) {
        History past;
        std::vector<int> model;
        int next = 0;
        for (const bool install : installs) {
            if (install) {
                model.push_back(++next);
                past.activations = after_install(past, id(next), "now");
                if (model.size() > activations_max) {
                    model.erase(model.begin());
                }
            } else if (auto popped = after_rollback(past, {}, "now")) {
                past.activations = *popped;
                model.pop_back();
            } else {
                RC_ASSERT(model.size() < 2);
                RC_ASSERT(popped.error().code == Errc::not_found);
            }
            RC_ASSERT(past.activations.size() == model.size());
            const auto expected = model.empty() ? std::nullopt : std::optional(id(model.back()));
            RC_ASSERT(past.current() == expected);
        }
    }));
}

TEST_CASE("history: a rollback can name an earlier release, but only an earlier one", "[history]") {
    CHECK(after_rollback(history({1, 2, 3}), id(1), "now")->size() == 1);
    CHECK(after_rollback(history({1, 2, 3}), id(3), "now").error().code == Errc::not_found);
    CHECK(after_rollback(history({1, 2, 3}), id(9), "now").error().code == Errc::not_found);
}

TEST_CASE("reconcile: an intent counts if and only if current went along", "[history]") {
    auto past = history({1, 2});
    past.intent = history({1, 2, 3}).activations;
    CHECK(reconcile(past, id(2), all_whole, "now") == history({1, 2}));
    CHECK(reconcile(past, id(3), all_whole, "now") == history({1, 2, 3}));
    past.intent = history({1}).activations;
    CHECK(reconcile(past, id(1), all_whole, "now") == history({1}));
    CHECK(reconcile(past, {}, all_whole, "now") == History{});
}

TEST_CASE("reconcile: a current that was set by hand is believed", "[history]") {
    const auto past = reconcile(history({1, 2}), id(7), all_whole, "now");
    CHECK(past.current() == id(7));
    CHECK(past.previous() == id(2));
    CHECK(past.activations.back().at == "now");
}

TEST_CASE("reconcile: a current that was current before is a way back", "[history]") {
    const auto past = reconcile(history({1, 2, 3}), id(1), all_whole, "now");
    CHECK(past.current() == id(1));
    CHECK_FALSE(past.previous());
    CHECK(past.activations.back().at == "now");
    CHECK(reconcile(history({1, 2, 1, 3}), id(1), all_whole, "now").activations.size() == 3);
}

TEST_CASE("reconcile: releases that are gone are no place to roll back to", "[history]") {
    const auto gone = [](const ReleaseId& one) { return one != id(2); };
    CHECK(reconcile(history({1, 2, 3}), id(3), gone, "now") == history({1, 3}));
    CHECK(reconcile(history({3, 2, 3}), id(3), gone, "now") == history({3}));
    CHECK(reconcile(history({1, 2}), id(2), gone, "now") == history({1, 2}));
}

TEST_CASE("history: what is encoded decodes to the same", "[history]") {
    auto past = history({1, 2});
    CHECK(*decode_history(as_bytes(encode_history(past)), "test") == past);
    past.intent = history({1}).activations;
    CHECK(*decode_history(as_bytes(encode_history(past)), "test") == past);
}

TEST_CASE("decode_history: no damage goes past as an exception", "[history]") {
    auto past = history({1, 2});
    past.intent = history({1}).activations;
    const auto text = encode_history(past);
    for (std::size_t i = 0; i < text.size(); ++i) {
        (void)decode_history(as_bytes(text.substr(0, i)), "test");
        for (const int flip : {1, 32, 127}) {
            auto damaged = text;
            damaged[i] = static_cast<char>(damaged[i] ^ flip);
            (void)decode_history(as_bytes(damaged), "test");
        }
    }
    for (const auto* const bad :
         {"[]", "1", "{}", R"({"version":2,"activations":[]})", R"({"version":1,"activations":7})",
          R"({"version":1,"activations":[{"release":"../x","at":""}]})"}) {
        CHECK(decode_history(as_bytes(bad), "test").error().code == Errc::verification_failed);
    }
}

TEST_CASE("release id: parses what it makes and nothing that leaves its directory", "[history]") {
    const auto made = ReleaseId::of({"web", "1.2-rc"}, sha256(as_bytes("x")));
    CHECK(ReleaseId::parse(made.text).value() == made);
    for (const auto* const bad :
         {"", ".", "..", "../1-0123456789ab", "1-0123456789AB", "1-0123456789", "-0123456789ab",
          "a/b-0123456789ab", ".1-0123456789ab"}) {
        CHECK_FALSE(ReleaseId::parse(bad));
    }
}

} // namespace slipway::agent
