#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/result.h"

namespace slipway::config {

/// A key's value from elsewhere than the file.
struct Override {
    std::string key;   ///< "listen", "tls.key".
    std::string value; ///< As in the file; a text may come without its quotes.
    std::string from; ///< Where it was said, for messages: "--set listen", "SLIPWAY_SEEDER_LISTEN".
};

/// "KEY=VALUE" of a flag. Error: Errc::usage.
[[nodiscard]] Result<Override> parse_override(std::string_view text);

/// The overrides among the variables of an environment ("NAME=VALUE"): those whose name begins with
/// `prefix` ("SLIPWAY_SEEDER_"). The rest of the name is the key in upper case, with two
/// underscores for a dot: SLIPWAY_SEEDER_TLS__KEY is tls.key.
[[nodiscard]] std::vector<Override> overrides_of(std::span<const std::string> environment,
                                                 std::string_view prefix);

/// One table of a configuration, which is read by taking keys by their names. What is wrong is
/// collected in the document with line and key; a key that nobody has taken when the table goes is
/// wrong too, because a misspelt limit would be no limit.
///
/// Must not outlive the call of read_document() that gave it. Copying and moving: as it is returned
/// only.
class Table {
public:
    struct State;
    explicit Table(std::unique_ptr<State> state);
    ~Table();
    Table(Table&& other) noexcept;
    Table& operator=(Table&&) = delete;
    Table(const Table&) = delete;
    Table& operator=(const Table&) = delete;

    /// Each leaves `into` as it is, the default, where the key is missing or wrong.
    void take(const char* key, std::string& into);
    void take(const char* key, bool& into);
    /// At most 64 texts.
    void take(const char* key, std::vector<std::string>& into);
    /// A whole number within bounds; `Number` may be a duration.
    template <typename Number>
    void take_count(const char* key, Number& into, std::int64_t min, std::int64_t max) {
        if (const auto number = count(key, min, max)) {
            into = Number(*number);
        }
    }
    /// One of `words`.
    void take_word(const char* key, std::string& into, std::span<const char* const> words);

    [[nodiscard]] bool has(const char* key) const;
    /// The table below a key; nothing where the key is missing.
    [[nodiscard]] std::optional<Table> table(const char* key);
    /// Keys of this table that nobody has taken: for tables whose keys are names.
    [[nodiscard]] std::vector<std::string> names() const;
    /// All of this table as JSON; takes every key.
    [[nodiscard]] std::string json();

    /// Adds to what is wrong, with the key's line: complain("listen", "must be IP:PORT").
    void complain(std::string_view key, std::string_view why);

private:
    [[nodiscard]] std::optional<std::int64_t> count(const char* key, std::int64_t min,
                                                    std::int64_t max);
    std::unique_ptr<State> state_;
};

/// The PEM files of a daemon, the same in every configuration; see tls::TlsFiles.
struct TlsPaths {
    std::string certificate, key, authority, revoked;
    bool operator==(const TlsPaths&) const = default;
};
/// The table `tls` of `table`.
[[nodiscard]] TlsPaths take_tls(Table& table);

inline constexpr std::size_t document_bytes_max = std::size_t{256} * 1024;

/// Parses a TOML document, applies `overrides` (a later one wins) and hands its root to `read`.
/// Errors: Errc::usage with every mistake, in the order of their lines:
/// "/etc/slipway/seeder.toml: line 3: lisen is not known; line 9: tls.key must be a text".
[[nodiscard]] Result<> read_document(std::string_view text, std::string_view what,
                                     std::span<const Override> overrides,
                                     const std::function<void(Table&)>& read);

} // namespace slipway::config
