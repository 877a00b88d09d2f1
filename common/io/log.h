#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace slipway {

enum class LogLevel { debug, info, warning, error };

/// key="value" pairs of an event, in the order given.
using LogFields = std::initializer_list<std::pair<std::string_view, std::string>>;

/// Writes one line for one event: `pack.shared pack="3f…" bytes="123"`. Values are quoted and
/// control bytes escaped. Thread-safe. To stderr; where that is the journal's, each field on its
/// own and with the event's message id (docs/events.md, which lists all).
void log_event(LogLevel level, std::string_view event, LogFields fields = {});

/// Lines below `level` are dropped. Default: info.
void set_log_level(LogLevel level);

} // namespace slipway
