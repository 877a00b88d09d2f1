#include "common/io/log.h"

#include <cerrno> // program_invocation_short_name
#include <cstdlib>
#include <vector>

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "common/core/errc.h"
#include "common/core/journal_entry.h"
#include "common/io/journal_socket.h"

namespace slipway {
namespace {

spdlog::level::level_enum spdlog_level(LogLevel level) {
    switch (level) {
    case LogLevel::debug:
        return spdlog::level::debug;
    case LogLevel::info:
        return spdlog::level::info;
    case LogLevel::warning:
        return spdlog::level::warn;
    case LogLevel::error:
        break;
    }
    return spdlog::level::err;
}

int priority_of(LogLevel level) { // syslog(3)
    switch (level) {
    case LogLevel::debug:
        return 7;
    case LogLevel::info:
        return 6;
    case LogLevel::warning:
        return 4;
    case LogLevel::error:
        break;
    }
    return 3;
}

// Under systemd the journal has time and level itself and reads the level from a "<N>" in front
// (sd-daemon(3)); elsewhere the line carries both.
std::shared_ptr<spdlog::logger> make_logger() {
    auto logger = spdlog::stderr_logger_mt("slipway");
    if (std::getenv("JOURNAL_STREAM") != nullptr) {
        logger->set_pattern("%v");
    } else {
        logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc);
    }
    logger->flush_on(spdlog::level::debug);
    return logger;
}

spdlog::logger& logger() {
    static const auto instance = make_logger();
    return *instance;
}

std::string journal_prefix(LogLevel level) {
    static const bool journal = std::getenv("JOURNAL_STREAM") != nullptr;
    return journal ? "<" + std::to_string(priority_of(level)) + ">" : "";
}

// Whether the journal took it with its fields.
bool sent_to_journal(LogLevel level, std::string_view event, std::string_view line,
                     LogFields fields) {
    static const auto journal = JournalSocket::if_stderr_is_journal();
    if (!journal || !logger().should_log(spdlog_level(level))) {
        return false;
    }
    std::vector<std::pair<std::string_view, std::string_view>> all(fields.begin(), fields.end());
    return journal->send(
        journal_entry(program_invocation_short_name, priority_of(level), event, line, all));
}

std::string in_quotes(std::string_view value) {
    std::string out = "\"";
    for (const char c : printable(value)) {
        if (c == '"' || c == '\\') {
            out += '\\';
        }
        out += c;
    }
    return out + "\"";
}

} // namespace

void log_event(LogLevel level, std::string_view event, LogFields fields) {
    std::string line(event);
    for (const auto& [key, value] : fields) {
        line += " " + std::string(key) + "=" + in_quotes(value);
    }
    if (sent_to_journal(level, event, line, fields)) {
        return;
    }
    line.insert(0, journal_prefix(level));
    logger().log(spdlog_level(level), spdlog::string_view_t(line.data(), line.size()));
}

void set_log_level(LogLevel level) {
    logger().set_level(spdlog_level(level));
}

} // namespace slipway
