#include "agent/io/timeline_book.h"

#include <algorithm>
#include <ctime>
#include <fcntl.h>
#include <unistd.h>

#include "common/core/errc.h"
#include "common/core/names.h"
#include "common/io/file_ops.h"
#include "common/io/log.h"

namespace slipway::agent {
namespace {

namespace fs = std::filesystem;

ServiceTimelines::Moment now() {
    return {std::chrono::steady_clock::now(), std::max<std::int64_t>(0, std::time(nullptr))};
}

std::vector<Timeline> read_timelines(const fs::path& path) {
    return read_file(path, timelines_bytes_max)
        .and_then([&](const Bytes& text) { return decode_timelines(text, path.string()); })
        .value_or(std::vector<Timeline>());
}

// Always by the same name beside the file, so that a killed run leaves one at most. It is made anew
// each time: what somebody else put there is not written to.
Result<> write_timelines(const fs::path& path, const std::vector<Timeline>& timelines) {
    auto beside = path;
    beside += ".new";
    ::unlink(beside.c_str());
    const auto text = encode_timelines(timelines);
    return open_file(beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644)
        .and_then([&](const Fd& fd) { return write_all(fd.get(), as_bytes(text), beside); })
        .and_then([&]() -> Result<> {
            if (::rename(beside.c_str(), path.c_str()) != 0) {
                return fail_errno("rename " + beside.string());
            }
            return {};
        });
}

} // namespace

ServiceTimelines& TimelineBook::timelines(const std::string& service) {
    const auto found = services_.find(service);
    if (found != services_.end()) {
        return found->second;
    }
    return services_.emplace(service, ServiceTimelines(read_timelines(host_.explanation(service))))
        .first->second;
}

void TimelineBook::state_changed(const std::string& service, const InstallState& state) {
    const std::lock_guard lock(mutex_);
    auto& timelines = this->timelines(service);
    const auto moment = now();
    if (!timelines.state_changed(state, moment)) {
        return;
    }
    const auto file = host_.explanation(service);
    std::error_code ec;
    fs::create_directory(file.parent_path(), ec);
    if (auto kept = write_timelines(file, timelines.told(moment)); !kept) {
        log_event(LogLevel::debug, "explain.unwritten",
                  {{"service", service}, {"why", describe(kept.error())}});
    }
}

void TimelineBook::staged(const std::string& service, StageTimes times) {
    const std::lock_guard lock(mutex_);
    timelines(service).staged(std::move(times));
}

std::optional<Timeline> TimelineBook::last(const std::string& service) const {
    const std::lock_guard lock(mutex_);
    const auto found = services_.find(service);
    if (found == services_.end()) {
        return std::nullopt;
    }
    auto told = found->second.told(now());
    return told.empty() ? std::nullopt : std::optional(std::move(told.back()));
}

Result<> add_timeline(const HostLayout& host, const std::string& service, Timeline timeline) {
    const auto file = host.service(service).explanation();
    auto timelines = read_timelines(file);
    timelines.push_back(std::move(timeline));
    if (timelines.size() > timelines_kept) {
        timelines.erase(timelines.begin());
    }
    return write_timelines(file, timelines);
}

Result<std::vector<std::string>> explained_services(const HostLayout& host) {
    return host.service_names().map([&](std::vector<std::string> names) {
        std::error_code ec;
        for (fs::directory_iterator it(host.root / "explain", ec);
             !ec && it != fs::directory_iterator(); it.increment(ec)) {
            const auto name = it->path().stem().string();
            if (it->path().extension() == ".json" && parse_service_name(name)) {
                names.push_back(name);
            }
        }
        std::ranges::sort(names);
        names.erase(std::ranges::unique(names).begin(), names.end());
        return names;
    });
}

std::vector<Timeline> timelines_on_disk(const HostLayout& host, const std::string& service) {
    auto all = read_timelines(host.explanation(service));
    auto by_hand = read_timelines(host.service(service).explanation());
    std::ranges::move(by_hand, std::back_inserter(all));
    std::ranges::stable_sort(all, {}, &Timeline::began_unix_s);
    return all;
}

} // namespace slipway::agent
