#include "common/core/journal_entry.h"

#include <algorithm>
#include <cstdint>

#include "common/core/sha256.h"

namespace slipway {
namespace {

constexpr std::size_t key_bytes_max = 64; // journald's own limit.
constexpr std::size_t message_id_digits = 32;

// Empty if journald would drop the field: keys are A-Z, 0-9 and _, and begin with a letter, as what
// begins with _ is for what journald itself knows.
std::string journal_key(std::string_view name) {
    std::string key;
    for (const char c : name) {
        const bool lower = c >= 'a' && c <= 'z';
        const bool kept = (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        key += lower ? static_cast<char>(c - 'a' + 'A') : kept ? c : '_';
    }
    const bool right =
        !key.empty() && key.size() <= key_bytes_max && key[0] >= 'A' && key[0] <= 'Z';
    return right ? key : "";
}

} // namespace

std::string message_id(std::string_view event) {
    const auto text = "slipway event " + std::string(event);
    return sha256(as_bytes(text)).hex().substr(0, message_id_digits);
}

void JournalEntry::add(std::string_view name, std::string_view value) {
    const auto key = journal_key(name);
    if (key.empty()) {
        return;
    }
    value = value.substr(0, journal_value_bytes_max);
    if (value.find('\n') == value.npos) {
        bytes_.append(key).append("=").append(value) += '\n';
        return;
    }
    bytes_.append(key) += '\n';
    for (unsigned shift = 0; shift < 64; shift += 8) { // Little-endian, whatever the host is.
        bytes_ += static_cast<char>((static_cast<std::uint64_t>(value.size()) >> shift) & 0xffU);
    }
    bytes_.append(value) += '\n';
}

std::string
journal_entry(std::string_view program, int priority, std::string_view event,
              std::string_view message,
              const std::vector<std::pair<std::string_view, std::string_view>>& fields) {
    JournalEntry entry;
    entry.add("MESSAGE", message);
    entry.add("PRIORITY", std::to_string(priority));
    entry.add("SYSLOG_IDENTIFIER", program);
    entry.add("MESSAGE_ID", message_id(event));
    entry.add("SLIPWAY_EVENT", event);
    for (const auto& [key, value] : fields) {
        entry.add("SLIPWAY_" + std::string(key), value);
    }
    return entry.bytes();
}

} // namespace slipway
