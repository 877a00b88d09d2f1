#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace slipway {

/// What stands for an event in the system's journal (MESSAGE_ID, sd-journal(3)): 32 hexadecimal
/// digits, the first half of the SHA-256 of "slipway event NAME". The same for all versions and
/// programs; docs/events.md lists them.
[[nodiscard]] std::string message_id(std::string_view event);

/// One entry in the native protocol of systemd's journal
/// (systemd.io/JOURNAL_NATIVE_PROTOCOL): `KEY=value` lines, and a value of several lines with its
/// length before it. A key becomes upper case and `_`; one that the journal would not take is left
/// out; a value is cut to journal_value_bytes_max.
class JournalEntry {
public:
    void add(std::string_view key, std::string_view value);
    [[nodiscard]] const std::string& bytes() const { return bytes_; }

private:
    std::string bytes_;
};
inline constexpr std::size_t journal_value_bytes_max = std::size_t{8} * 1024;

/// The entry of an event: MESSAGE, PRIORITY, SYSLOG_IDENTIFIER, MESSAGE_ID, SLIPWAY_EVENT, and
/// SLIPWAY_KEY for each field.
[[nodiscard]] std::string
journal_entry(std::string_view program, int priority, std::string_view event,
              std::string_view message,
              const std::vector<std::pair<std::string_view, std::string_view>>& fields);

} // namespace slipway
