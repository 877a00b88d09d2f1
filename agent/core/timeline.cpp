#include "agent/core/timeline.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <optional>

#include <nlohmann/json.hpp>

#include "agent/core/timeline_json.h"
#include "common/core/errc.h"
#include "common/core/names.h"
#include "common/core/progress_text.h"
#include "common/trust/canonical_json.h"

namespace slipway::agent {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr std::array<std::string_view, part_count> part_names{
    "metadata", "plan",   "space",   "turn",  "peers", "transfer", "build", "verify",
    "hook",     "switch", "restart", "probe", "bake",  "pause",    "down",  "other"};

// A year: no sum of parts of a file overflows.
constexpr std::int64_t part_ms_max = std::int64_t{366} * 24 * 3600 * 1000;
constexpr std::int64_t unix_s_max = std::int64_t{1} << 40;

std::optional<Part> part_from(std::string_view name) {
    const auto* const found = std::ranges::find(part_names, name);
    return found == part_names.end() ? std::nullopt
                                     : std::optional(static_cast<Part>(found - part_names.begin()));
}

json to_json(const Timeline& timeline) {
    json times = json::object();
    for (const auto& [part, time] : timeline.times) {
        times[std::string(to_string(part))] =
            std::clamp<std::int64_t>(time.count(), 0, part_ms_max);
    }
    return {{"artifact", timeline.artifact},
            {"ahead", timeline.ahead},
            {"began_unix_s", timeline.began_unix_s},
            {"told_unix_s", timeline.told_unix_s},
            {"ms", std::move(times)},
            {"fetched_bytes", timeline.fetched_bytes},
            {"had_bytes", timeline.had_bytes},
            {"failed_tries", timeline.failed_tries},
            {"outcome", timeline.outcome},
            {"why", timeline.why},
            {"remarks", timeline.remarks}};
}

// What a file holds that this program did not write: each value is looked at before it is used.
class Reader {
public:
    explicit Reader(const json& value) : value_(value) {}

    std::string text(const char* key, std::size_t bytes_max) {
        const auto* found = find(key);
        if (found == nullptr || !found->is_string()) {
            right = false;
            return {};
        }
        auto text = found->get<std::string>();
        right = right && text.size() <= bytes_max;
        return text;
    }
    std::uint64_t count(const char* key, std::uint64_t max) {
        const auto* found = find(key);
        if (found == nullptr || !found->is_number_unsigned() || found->get<std::uint64_t>() > max) {
            right = false;
            return 0;
        }
        return found->get<std::uint64_t>();
    }
    bool flag(const char* key) {
        const auto* found = find(key);
        right = right && found != nullptr && found->is_boolean();
        return right && found->get<bool>();
    }
    PartTimes times(const char* key) {
        PartTimes times;
        const auto* found = find(key);
        if (found == nullptr || !found->is_object()) {
            right = false;
            return times;
        }
        Reader inner(*found);
        for (const auto& [name, value] : found->items()) {
            const auto part = part_from(name);
            const auto ms = inner.count(name.c_str(), static_cast<std::uint64_t>(part_ms_max));
            if (!part) {
                right = false;
                return times;
            }
            times[*part] = milliseconds(ms);
        }
        right = right && inner.right;
        return times;
    }
    std::vector<std::string> texts(const char* key) {
        std::vector<std::string> texts;
        const auto* found = find(key);
        if (found == nullptr || !found->is_array() || found->size() > remarks_max) {
            right = false;
            return texts;
        }
        for (const auto& one : *found) {
            right = right && one.is_string() &&
                    one.get_ref<const std::string&>().size() <= remark_bytes_max;
            if (right) {
                texts.push_back(one.get<std::string>());
            }
        }
        return texts;
    }

    bool right = true;

private:
    [[nodiscard]] const json* find(const char* key) const {
        const auto found = value_.is_object() ? value_.find(key) : value_.end();
        return found == value_.end() ? nullptr : &*found;
    }
    const json& value_;
};

std::optional<Timeline> timeline_from(const json& value) {
    Reader reader(value);
    Timeline timeline{
        .artifact = reader.text("artifact", 256),
        .ahead = reader.flag("ahead"),
        .began_unix_s = static_cast<std::int64_t>(reader.count("began_unix_s", unix_s_max)),
        .told_unix_s = static_cast<std::int64_t>(reader.count("told_unix_s", unix_s_max)),
        .times = reader.times("ms"),
        .fetched_bytes = reader.count("fetched_bytes", UINT64_MAX),
        .had_bytes = reader.count("had_bytes", UINT64_MAX),
        .failed_tries = reader.count("failed_tries", UINT64_MAX),
        .outcome = reader.text("outcome", 64),
        .why = reader.text("why", timeline_reason_bytes_max),
        .remarks = reader.texts("remarks")};
    if (!reader.right || !ArtifactId::parse(timeline.artifact)) {
        return std::nullopt;
    }
    return timeline;
}

milliseconds time_of(const Timeline& timeline, Part part) {
    const auto found = timeline.times.find(part);
    return found == timeline.times.end() ? milliseconds(0) : found->second;
}

std::string rate_text(const Timeline& timeline) {
    const auto ms = static_cast<std::uint64_t>(time_of(timeline, Part::transfer).count());
    return ms == 0 ? "" : human_bytes(timeline.fetched_bytes / ms * 1000);
}

std::string meaning_of(const Timeline& timeline, Part part) {
    switch (part) {
    case Part::turn:
        return "another service of this host was fetching";
    case Part::peers:
        return "no seeder and no peer sent anything meanwhile";
    case Part::transfer:
        return human_bytes(timeline.fetched_bytes) + " came at " + rate_text(timeline) + "/s";
    case Part::pause:
        return std::to_string(timeline.failed_tries) + " tries failed, the last one by: " +
               (timeline.why.empty() ? "unknown" : timeline.why);
    case Part::down:
        return "the agent did not run";
    case Part::verify:
        return "the disk had to take and give back all that was built";
    case Part::probe:
        return "the service took so long to answer";
    case Part::bake:
        return "the release is to hold for that time";
    case Part::hook:
        return "programs of the release ran";
    default:
        return "";
    }
}

} // namespace

std::string_view to_string(Part part) {
    return part_names.at(static_cast<std::size_t>(part));
}

void add_remark(std::vector<std::string>& remarks, std::string_view remark) {
    auto text = printable(remark.substr(0, remark_bytes_max / 4)); // A byte may become four.
    if (remarks.size() < remarks_max && std::ranges::count(remarks, text) == 0) {
        remarks.push_back(std::move(text));
    }
}

milliseconds Timeline::total() const {
    return std::accumulate(times.begin(), times.end(), milliseconds(0),
                           [](milliseconds sum, const auto& one) { return sum + one.second; });
}

std::vector<std::string> reasons_of(const Timeline& timeline) {
    std::vector<std::string> reasons;
    const auto total = timeline.total();
    std::vector<std::pair<milliseconds, Part>> parts;
    for (const auto& [part, time] : timeline.times) {
        parts.emplace_back(time, part);
    }
    std::ranges::stable_sort(parts, std::ranges::greater(),
                             [](const auto& one) { return one.first; });
    for (const auto& [time, part] : parts) {
        const auto meaning = meaning_of(timeline, part);
        if (!meaning.empty() && time * 4 >= total && time > milliseconds(0)) { // A quarter of it.
            reasons.push_back(std::string(to_string(part)) + " took " + human_duration(time) +
                              ": " + meaning);
        }
    }
    reasons.insert(reasons.end(), timeline.remarks.begin(), timeline.remarks.end());
    return reasons;
}

json timeline_json(const Timeline& timeline) {
    auto value = to_json(timeline);
    value["total_ms"] = timeline.total().count();
    value["reasons"] = reasons_of(timeline);
    return value;
}

std::string encode_timelines(const std::vector<Timeline>& timelines) {
    json all = json::array();
    for (const auto& timeline : timelines) {
        all.push_back(to_json(timeline));
    }
    return json{{"version", 1}, {"installations", std::move(all)}}.dump(
               -1, ' ', false, json::error_handler_t::replace) +
           "\n";
}

Result<std::vector<Timeline>> decode_timelines(ByteSpan text, std::string_view what) {
    return parse_json(text, timelines_bytes_max, what)
        .and_then([&](const json& value) -> Result<std::vector<Timeline>> {
            const auto malformed =
                fail(Errc::verification_failed,
                     std::string(what) + ": not where the time of installations went");
            if (!value.is_object() || value.value("version", json()) != 1 ||
                !value.contains("installations") || !value["installations"].is_array() ||
                value["installations"].size() > timelines_kept) {
                return malformed;
            }
            std::vector<Timeline> timelines;
            for (const auto& one : value["installations"]) {
                auto timeline = timeline_from(one);
                if (!timeline) {
                    return malformed;
                }
                timelines.push_back(std::move(*timeline));
            }
            return timelines;
        });
}

} // namespace slipway::agent
