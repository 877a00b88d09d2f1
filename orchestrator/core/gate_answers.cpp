#include "orchestrator/core/gate_answers.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include <nlohmann/json.hpp>

#include "common/core/errc.h"

namespace slipway::orchestrator {
namespace {

using Json = nlohmann::json;
constexpr std::size_t why_bytes_max = 1'000;
constexpr std::size_t samples_max = 10'000;

MetricReading missing(std::string why) {
    why.resize(std::min(why.size(), why_bytes_max));
    return {{}, printable(why)};
}

GateAnswer answer(GateVerdict verdict, std::string why) {
    why = printable(why);
    why.resize(std::min(why.size(), why_bytes_max));
    return {verdict, std::move(why)};
}

std::optional<double> number(std::string_view text) {
    double value = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failed != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) {
        return std::nullopt;
    }
    return value;
}

/// Adds `[time, "value"]`; gives why it does not count, or nothing.
std::string take(MetricReading& reading, const Json& pair,
                 std::map<std::string, std::string> labels, std::int64_t now_unix_ms,
                 std::chrono::milliseconds stale_after) {
    if (!pair.is_array() || pair.size() != 2 || !pair[0].is_number() || !pair[1].is_string()) {
        return "a sample is malformed";
    }
    const auto off_ms = std::abs(pair[0].get<double>() * 1'000 - static_cast<double>(now_unix_ms));
    if (!(off_ms <= static_cast<double>(stale_after.count()))) {
        return "a sample's time is more than " + std::to_string(stale_after.count()) +
               " ms away: stale data, or a wrong clock";
    }
    const auto value = number(pair[1].get_ref<const std::string&>());
    if (!value) {
        return "a value is " + pair[1].get<std::string>();
    }
    reading.samples.push_back({std::move(labels), *value});
    return {};
}

std::map<std::string, std::string> labels_of(const Json& series) {
    std::map<std::string, std::string> labels;
    const auto metric = series.find("metric");
    if (metric != series.end() && metric->is_object()) {
        for (const auto& [name, value] : metric->items()) {
            labels[name] = value.is_string() ? value.get<std::string>() : "";
        }
    }
    return labels;
}

MetricReading read_data(const Json& data, std::int64_t now_unix_ms,
                        std::chrono::milliseconds stale_after) {
    const auto type = data.is_object() ? data.value("resultType", "") : "";
    const auto found = data.is_object() ? data.find("result") : data.end();
    if (type.empty() || found == data.end() || !found->is_array()) {
        return missing("the answer has no result");
    }
    MetricReading reading;
    if (type == "scalar") {
        if (auto why = take(reading, *found, {}, now_unix_ms, stale_after); !why.empty()) {
            return missing(why);
        }
        return reading;
    }
    if (type != "vector") {
        return missing("the query gives a " + type + "; use one that gives an instant vector");
    }
    if (found->empty()) {
        return missing("the query gives no data");
    }
    if (found->size() > samples_max) {
        return missing("the query gives " + std::to_string(found->size()) + " samples; at most " +
                       std::to_string(samples_max));
    }
    for (const auto& series : *found) {
        const auto value = series.is_object() ? series.find("value") : series.end();
        auto why = series.is_object() && value != series.end()
                       ? take(reading, *value, labels_of(series), now_unix_ms, stale_after)
                       : "a sample is malformed";
        if (!why.empty()) {
            return missing(why);
        }
    }
    return reading;
}

std::string say(double value) {
    std::array<char, 32> text{};
    const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
    return {text.data(), end};
}

std::string_view host_of(std::string_view rest) {
    rest = rest.substr(0, rest.find_first_of("/?"));
    if (rest.starts_with('[')) {
        return rest.substr(0, rest.find(']') + 1);
    }
    return rest.substr(0, rest.find(':'));
}

bool is_this_machine(std::string_view host) {
    return host == "localhost" || host == "[::1]" ||
           (host.starts_with("127.") && host.find_first_not_of("0123456789.") == host.npos);
}

} // namespace

MetricReading parse_metric_answer(int status, std::string_view body, std::int64_t now_unix_ms,
                                  std::chrono::milliseconds stale_after) {
    const auto answer = Json::parse(body, nullptr, false);
    if (!answer.is_object()) {
        return missing("status " + std::to_string(status) + " with a body that is no JSON object");
    }
    try {
        if (status != 200 || answer.value("status", "") != "success") {
            return missing("status " + std::to_string(status) + ": " +
                           answer.value("errorType", "") + ": " + answer.value("error", ""));
        }
        if (const auto warnings = answer.find("warnings");
            warnings != answer.end() && !(warnings->is_array() && warnings->empty())) {
            return missing("the server warns: " + warnings->dump());
        }
        const auto data = answer.find("data");
        if (data == answer.end()) {
            return missing("the answer has no data");
        }
        return read_data(*data, now_unix_ms, stale_after);
    } catch (const Json::exception& wrong) {
        return missing(std::string("the answer is malformed: ") + wrong.what());
    }
}

GateAnswer judge_limits(const MetricReading& reading, const MetricLimits& limits) {
    if (!reading.missing.empty() || reading.samples.empty()) {
        return {GateVerdict::hold,
                "no data: " + (reading.missing.empty() ? "no samples" : reading.missing)};
    }
    if (!limits.min && !limits.max) {
        return {GateVerdict::hold, "the gate has no limit"};
    }
    double least = reading.samples.front().value;
    double most = least;
    for (const auto& sample : reading.samples) {
        if (!std::isfinite(sample.value)) {
            return {GateVerdict::hold, "no data: a value is no number"};
        }
        least = std::min(least, sample.value);
        most = std::max(most, sample.value);
    }
    if (limits.max && !(most <= *limits.max)) {
        return {GateVerdict::fail, say(most) + " > max " + say(*limits.max)};
    }
    if (limits.min && !(least >= *limits.min)) {
        return {GateVerdict::fail, say(least) + " < min " + say(*limits.min)};
    }
    return {GateVerdict::pass, std::to_string(reading.samples.size()) + " samples from " +
                                   say(least) + " to " + say(most)};
}

GateAnswer parse_gate_answer(int status, std::string_view body) {
    if (status < 200 || status > 299) {
        return answer(GateVerdict::hold, "the gate answered with status " + std::to_string(status));
    }
    const auto json = nlohmann::json::parse(body, nullptr, false);
    const auto verdict = json.is_object() ? json.find("verdict") : json.end();
    if (!json.is_object() || verdict == json.end()) {
        return answer(GateVerdict::hold, "the gate's answer has no verdict");
    }
    const auto reason = json.find("reason");
    const auto why = reason != json.end() && reason->is_string() ? reason->get<std::string>() : "";
    if (*verdict == "pass") {
        return answer(GateVerdict::pass, why);
    }
    if (*verdict == "fail") {
        return answer(GateVerdict::fail, why);
    }
    return answer(GateVerdict::hold,
                  *verdict == "hold" ? why : "the gate's verdict is none of pass, fail and hold");
}

Result<> check_outgoing_url(std::string_view url, bool plain_http) {
    const auto refuse = [&](const char* rule) {
        return fail(Errc::usage, "URL '" + printable(url.substr(0, 200)) + "': " + rule);
    };
    constexpr std::string_view http = "http://";
    constexpr std::string_view https = "https://";
    if (!url.starts_with(http) && !url.starts_with(https)) {
        return refuse("use http:// or https://");
    }
    if (url.size() > 2'000 ||
        std::any_of(url.begin(), url.end(), [](char byte) { return byte <= ' ' || byte > '~'; }) ||
        url.find_first_of("#\\") != std::string_view::npos) {
        return refuse("at most 2000 printable bytes, without '#' and '\\'");
    }
    const auto rest = url.substr(url.starts_with(https) ? https.size() : http.size());
    if (rest.substr(0, rest.find_first_of("/?")).find('@') != std::string_view::npos) {
        return fail(Errc::usage, "a URL with a user or password: use a token file");
    }
    const auto host = host_of(rest);
    if (host.empty()) {
        return refuse("name a host");
    }
    if (host.starts_with("169.254.") || host.starts_with("[fe80:")) {
        return refuse("link-local addresses are not asked");
    }
    if (url.starts_with(http) && !plain_http && !is_this_machine(host)) {
        return refuse("plain http only to this machine; use https, or allow it in the"
                      " configuration");
    }
    return {};
}

} // namespace slipway::orchestrator
