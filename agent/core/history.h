#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "agent/core/release_id.h"
#include "common/core/bytes.h"

namespace slipway::agent {

/// A release that was made current, and when (RFC 3339, UTC; for people only, nothing is decided
/// by it).
struct Activation {
    ReleaseId release;
    std::string at;
    bool operator==(const Activation&) const = default;
};

/// The stack of activations of one service. An install pushes, a rollback pops: a rollback leads
/// to the release before, a second one further back, none ever forward to what was rolled back.
///
/// `intent` is the stack that a switch in progress leads to. It is written before the symlink
/// `current` is renamed and taken away after; `current` itself is the one truth about what runs.
struct History {
    std::vector<Activation> activations; ///< Oldest first; activations_max at most.
    std::optional<std::vector<Activation>> intent;
    bool operator==(const History&) const = default;

    [[nodiscard]] std::optional<ReleaseId> current() const;
    [[nodiscard]] std::optional<ReleaseId> previous() const;
};
inline constexpr std::size_t activations_max = 64;

/// The stack after `release` is installed.
[[nodiscard]] std::vector<Activation> after_install(const History& history,
                                                    const ReleaseId& release, std::string at);

/// The stack after a rollback to the release before or, with `to`, to the nearest earlier
/// activation of that release. Errc::not_found if there is none.
[[nodiscard]] Result<std::vector<Activation>>
after_rollback(const History& history, const std::optional<ReleaseId>& to, std::string at);

/// What the history is after a crash at any point: the intent is committed if `current` went along
/// with it and dropped if not; a `current` that neither explains was set by hand, or the record of
/// it was lost, and is believed: as a way back if it was current before.
/// Earlier activations of releases that `is_whole` denies are forgotten.
[[nodiscard]] History reconcile(const History& history, const std::optional<ReleaseId>& current,
                                const std::function<bool(const ReleaseId&)>& is_whole,
                                const std::string& now);

inline constexpr std::size_t history_bytes_max = std::size_t{64} * 1024;
[[nodiscard]] std::string encode_history(const History& history);
[[nodiscard]] Result<History> decode_history(ByteSpan json, std::string_view what);

} // namespace slipway::agent
