#include "orchestrator/io/store_check.h"

#include <set>

#include "common/core/errc.h"

namespace slipway::orchestrator {
namespace {

/// How many bytes a sequence has that begins with `lead` (RFC 3629); 0: none does.
std::size_t sequence_bytes(unsigned char lead) {
    if (lead < 0x80) {
        return 1;
    }
    if (lead >= 0xC2 && lead < 0xE0) {
        return 2;
    }
    if (lead >= 0xE0 && lead < 0xF0) {
        return 3;
    }
    return lead >= 0xF0 && lead < 0xF5 ? 4 : 0;
}

bool is_text(std::string_view text) {
    for (std::size_t at = 0; at < text.size();) {
        const auto byte = [&](std::size_t offset) {
            return static_cast<unsigned char>(text[at + offset]);
        };
        const auto count = sequence_bytes(byte(0));
        if (byte(0) == 0 || count == 0 || count > text.size() - at) {
            return false;
        }
        for (std::size_t offset = 1; offset < count; ++offset) {
            if ((byte(offset) & 0xC0U) != 0x80) {
                return false;
            }
        }
        // Too long a form, a surrogate, or beyond U+10FFFF.
        if ((byte(0) == 0xE0 && byte(1) < 0xA0) || (byte(0) == 0xED && byte(1) > 0x9F) ||
            (byte(0) == 0xF0 && byte(1) < 0x90) || (byte(0) == 0xF4 && byte(1) > 0x8F)) {
            return false;
        }
        at += count;
    }
    return true;
}

/// Adds up what a commit holds, and refuses the first thing that is beyond a limit.
class Tally {
public:
    explicit Tally(const StoreLimits& limits) : limits_(limits) {}

    Result<> body(std::string_view body, const std::string& what) {
        bytes_ += body.size();
        if (body.size() > limits_.body_bytes_max) {
            return fail(Errc::usage, what + ": " + std::to_string(body.size()) +
                                         " bytes; at most " +
                                         std::to_string(limits_.body_bytes_max));
        }
        if (++count_ > limits_.changes_max || bytes_ > limits_.commit_bytes_max) {
            return fail(Errc::usage, "more than " + std::to_string(limits_.changes_max) +
                                         " changes or " + std::to_string(limits_.commit_bytes_max) +
                                         " bytes in one commit");
        }
        if (!is_text(body)) {
            return fail(Errc::usage, what + ": not UTF-8, or with a zero byte");
        }
        return {};
    }
    Result<> key(std::string_view key, const char* what) { return check_key(key, what, limits_); }

private:
    const StoreLimits& limits_;
    std::size_t count_ = 0;
    std::size_t bytes_ = 0;
};

Result<> check_documents(const std::vector<DocumentChange>& documents, Tally& tally) {
    std::set<std::pair<std::string_view, std::string_view>> seen;
    for (const auto& change : documents) {
        auto checked =
            tally.key(change.collection, "collection")
                .and_then([&] { return tally.key(change.key, "key"); })
                .and_then([&] { return tally.body(change.body.value_or(""), change.key); });
        if (!checked) {
            return checked;
        }
        if (!seen.emplace(change.collection, change.key).second) {
            return fail(Errc::usage, "document '" + change.key + "' twice in one commit");
        }
    }
    return {};
}

} // namespace

Result<> check_key(std::string_view key, std::string_view what, const StoreLimits& limits) {
    if (key.size() > limits.key_bytes_max || !is_text(key)) {
        return fail(Errc::usage, std::string(what) + " '" + std::string(key.substr(0, 64)) +
                                     "': at most " + std::to_string(limits.key_bytes_max) +
                                     " bytes of UTF-8");
    }
    return {};
}

Result<> check_changes(const Changes& changes, const StoreLimits& limits) {
    Tally tally(limits);
    for (const auto& record : changes.records) {
        auto checked = tally.key(record.deployment, "deployment")
                           .and_then([&] { return tally.key(record.kind, "kind"); })
                           .and_then([&] { return tally.body(record.body, record.kind); });
        if (!checked) {
            return checked;
        }
    }
    for (const auto& answer : changes.answers) {
        auto checked = tally.key(answer.scope, "scope")
                           .and_then([&] { return tally.key(answer.key, "key"); })
                           .and_then([&] { return tally.key(answer.request, "request"); })
                           .and_then([&] { return tally.body(answer.body, answer.key); });
        if (!checked) {
            return checked;
        }
    }
    for (const auto& message : changes.messages) {
        auto checked = tally.key(message.receiver, "receiver")
                           .and_then([&] { return tally.key(message.id, "id"); })
                           .and_then([&] { return tally.body(message.body, message.id); });
        if (!checked) {
            return checked;
        }
    }
    return check_documents(changes.documents, tally);
}

Result<> check_events(const std::vector<HostEvent>& events, const StoreLimits& limits) {
    Tally tally(limits);
    for (const auto& event : events) {
        auto checked = tally.key(event.host, "host")
                           .and_then([&] { return tally.key(event.stream, "stream"); })
                           .and_then([&] { return tally.body(event.body, event.host); });
        if (!checked) {
            return checked;
        }
    }
    return {};
}

} // namespace slipway::orchestrator
