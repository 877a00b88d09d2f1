#include "agent/explain.h"

#include <algorithm>
#include <ctime>
#include <iomanip>
#include <iostream>

#include <nlohmann/json.hpp>

#include "agent/core/timeline_json.h"
#include "agent/io/daemon_sockets.h"
#include "agent/io/timeline_book.h"
#include "common/core/errc.h"
#include "common/core/progress_text.h"
#include "common/trust/utc_time.h"

namespace slipway::agent {
namespace {

using nlohmann::json;

// What the daemon says of the installation that it made last, or is at.
std::optional<Timeline> live_timeline(const json& daemon, const std::string& service) {
    const json::json_pointer at("/services/" + service + "/installation");
    if (!daemon.is_object() || !daemon.contains(at) || !daemon.at(at).is_object()) {
        return std::nullopt;
    }
    const auto text = json{{"version", 1}, {"installations", {daemon.at(at)}}}.dump();
    auto read = decode_timelines(as_bytes(text), "daemon");
    return read ? std::optional(std::move(read->front())) : std::nullopt;
}

std::vector<Timeline> known_timelines(const HostLayout& host, const json& daemon,
                                      const std::string& service) {
    auto known = timelines_on_disk(host, service);
    if (auto live = live_timeline(daemon, service)) {
        std::erase_if(known, [&](const Timeline& one) {
            return one.artifact == live->artifact && one.began_unix_s == live->began_unix_s &&
                   one.ahead == live->ahead;
        });
        known.push_back(std::move(*live));
        std::ranges::stable_sort(known, {}, &Timeline::began_unix_s);
    }
    return known;
}

// The last installation, the staging that it rests on, and a staging that came after it.
std::vector<Timeline> chosen(const std::vector<Timeline>& known) {
    std::vector<Timeline> chosen;
    const auto last = std::ranges::find_if(known.rbegin(), known.rend(),
                                           [](const Timeline& one) { return !one.ahead; });
    if (last != known.rend()) {
        const auto before = std::ranges::find_if(last, known.rend(), [&](const Timeline& one) {
            return one.ahead && one.artifact == last->artifact;
        });
        if (before != known.rend()) {
            chosen.push_back(*before);
        }
        chosen.push_back(*last);
    }
    if (!known.empty() && known.back().ahead) {
        chosen.push_back(known.back());
    }
    return chosen;
}

void print_part(const Timeline& timeline, Part part, std::chrono::milliseconds time) {
    const auto total = std::max<std::int64_t>(1, timeline.total().count());
    std::cout << "  " << std::left << std::setw(10) << to_string(part) << std::right << std::setw(9)
              << human_duration(time) << std::setw(5) << time.count() * 100 / total << " %";
    if (part == Part::transfer) {
        std::cout << "  " << human_bytes(timeline.fetched_bytes);
    }
    std::cout << '\n';
}

void print(const std::string& service, const Timeline& timeline) {
    const std::chrono::sys_seconds began{std::chrono::seconds(timeline.began_unix_s)};
    std::cout << service << ": " << timeline.artifact << (timeline.ahead ? " (ahead)" : "") << ": "
              << (timeline.outcome.empty() ? "goes on" : printable(timeline.outcome)) << ", "
              << human_duration(timeline.total()) << " from " << trust::format_utc(began) << '\n';
    for (const auto& [part, time] : timeline.times) {
        print_part(timeline, part, time);
    }
    if (!timeline.why.empty()) {
        std::cout << "  why: " << printable(timeline.why) << '\n';
    }
    for (const auto& reason : reasons_of(timeline)) {
        std::cout << "  " << printable(reason) << '\n';
    }
}

} // namespace

Result<> explain(const HostLayout& host, const std::optional<std::string>& service, bool json) {
    auto names = explained_services(host);
    if (!names) {
        return tl::unexpected(std::move(names.error()));
    }
    if (service) {
        if (std::ranges::count(*names, *service) == 0) {
            return fail(Errc::not_found, "service " + *service + " on this host");
        }
        names = std::vector{*service};
    }
    const auto answer = ask_daemon(host.root / "agent.sock"); // None may run.
    const auto daemon = answer ? nlohmann::json::parse(*answer, nullptr, false) : nlohmann::json();
    auto all = nlohmann::json::array();
    bool any = false;
    for (const auto& name : *names) {
        auto one = nlohmann::json::array();
        for (const auto& timeline : chosen(known_timelines(host, daemon, name))) {
            any = true;
            one.push_back(timeline_json(timeline));
            if (!json) {
                print(name, timeline);
            }
        }
        all.push_back({{"service", name}, {"installations", std::move(one)}});
    }
    if (json) {
        std::cout << nlohmann::json{{"services", std::move(all)}}.dump(
                         -1, ' ', false, nlohmann::json::error_handler_t::replace)
                  << '\n';
    } else if (!any) {
        std::cout << "nothing is known of installations in " << printable(host.root.string())
                  << '\n';
    }
    std::cout << std::flush;
    return {};
}

void note_installation(const HostLayout& host, const InstallRequest& request,
                       const StageTimes& times, std::int64_t began_unix_s) {
    Timeline timeline{.artifact = request.artifact.text(),
                      .began_unix_s = std::max<std::int64_t>(0, began_unix_s),
                      .told_unix_s = std::max<std::int64_t>(0, std::time(nullptr)),
                      .times = times.times,
                      .fetched_bytes = times.fetched_bytes,
                      .had_bytes = times.had_bytes,
                      .outcome = "installed",
                      .remarks = times.remarks};
    if (auto kept = add_timeline(host, request.service, std::move(timeline)); !kept) {
        std::cerr << "slipway-agent: explain will not know of this installation: "
                  << describe(kept.error()) << '\n';
    }
}

} // namespace slipway::agent
