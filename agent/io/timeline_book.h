#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "agent/core/service_timelines.h"
#include "agent/io/desired_source.h"
#include "agent/io/host_layout.h"

namespace slipway::agent {

/// Where the time of each service's installations went, as the daemon saw it. Every change is in
/// ROOT/explain/SERVICE.json, so that it is known while no daemon runs, and goes on after a crash.
/// The file is replaced by a rename and not synced: after a power cut it may be gone, which costs
/// nothing but the explanation. Thread-safe.
class TimelineBook final : public DaemonListener {
public:
    /// `host` must outlive it.
    explicit TimelineBook(const HostLayout& host) : host_(host) {}

    void state_changed(const std::string& service, const InstallState& state) override;
    void reported(const std::string& /*service*/, const Report& /*report*/) override {}
    /// Into what the time divides that the service's step `stage` took.
    void staged(const std::string& service, StageTimes times);
    /// The last installation of a service, with the time up to now if it goes on.
    [[nodiscard]] std::optional<Timeline> last(const std::string& service) const;

private:
    [[nodiscard]] ServiceTimelines& timelines(const std::string& service);
    const HostLayout& host_;
    mutable std::mutex mutex_;
    std::map<std::string, ServiceTimelines> services_;
};

/// Adds an installation that was made by hand to ROOT/services/SERVICE/explain.json, which belongs
/// to who installs there. Not synced, and nothing is changed while another process does the same.
[[nodiscard]] Result<> add_timeline(const HostLayout& host, const std::string& service,
                                    Timeline timeline);

/// Services of which there is something to say, sorted.
[[nodiscard]] Result<std::vector<std::string>> explained_services(const HostLayout& host);

/// What both files say of a service, oldest first. One that is missing or damaged says nothing.
[[nodiscard]] std::vector<Timeline> timelines_on_disk(const HostLayout& host,
                                                      const std::string& service);

} // namespace slipway::agent
