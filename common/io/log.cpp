#include "common/io/log.h"

#include <cstdlib>

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "common/core/errc.h"

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

std::string_view journal_prefix(LogLevel level) {
    static const bool journal = std::getenv("JOURNAL_STREAM") != nullptr;
    if (!journal) {
        return "";
    }
    switch (level) {
    case LogLevel::debug:
        return "<7>";
    case LogLevel::info:
        return "<6>";
    case LogLevel::warning:
        return "<4>";
    case LogLevel::error:
        break;
    }
    return "<3>";
}

std::string quoted(std::string_view value) {
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
    std::string line = std::string(journal_prefix(level)) + std::string(event);
    for (const auto& [key, value] : fields) {
        line += " " + std::string(key) + "=" + quoted(value);
    }
    logger().log(spdlog_level(level), spdlog::string_view_t(line.data(), line.size()));
}

void set_log_level(LogLevel level) {
    logger().set_level(spdlog_level(level));
}

} // namespace slipway
