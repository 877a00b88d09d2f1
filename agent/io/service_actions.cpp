#include "agent/io/service_actions.h"

#include <condition_variable>
#include <mutex>

#include "agent/io/command_run.h"
#include "agent/io/release_commands.h"
#include "agent/io/release_store.h"
#include "common/core/errc.h"
#include "common/trust/utc_time.h"

namespace slipway::agent {
namespace {

using Clock = std::chrono::steady_clock;

constexpr unsigned lock_patience_ms = 30'000;

std::string now_text() {
    return trust::format_utc(
        std::chrono::time_point_cast<std::chrono::seconds>(std::chrono::system_clock::now()));
}

// False if the stop came first.
bool wait(std::chrono::milliseconds delay, const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any woken;
    std::unique_lock lock(mutex);
    woken.wait_for(lock, stop, delay, [] { return false; });
    return !stop.stop_requested();
}

} // namespace

ServiceActions::ServiceActions(const HostLayout& host, std::string service, ServiceConfig config,
                               InstallRequest install)
    : host_(host), service_(std::move(service)), config_(std::move(config)),
      install_(std::move(install)) {
    install_.service = service_;
    install_.stage_only = true;
}

Event ServiceActions::perform(const Perform& action, const std::stop_token& stop) {
    auto ended = run(action, stop);
    if (ended) {
        return Done{action.number, std::move(*ended)};
    }
    // A disk or a lock in the way of the switch says nothing about the release.
    const bool release_is_bad = action.step != Step::stage && action.step != Step::switch_to &&
                                ended.error().code != Errc::cancelled;
    return Failed{action.number,
                  std::string(to_string(action.step)) + ": " + describe(ended.error()),
                  release_is_bad};
}

Result<std::optional<Release>> ServiceActions::run(const Perform& action,
                                                   const std::stop_token& stop) {
    const auto none = [] { return std::optional<Release>(); };
    switch (action.step) {
    case Step::stage:
        return stage(*action.wanted, stop);
    case Step::switch_to:
        return switch_to(*action.release).map(none);
    case Step::restart:
        if (config_.restart.empty()) {
            return none();
        }
        return run_command(config_.restart, host_.service(service_).release(action.release->id()),
                           config_.restart_deadline, stop)
            .map(none);
    case Step::probe:
        return probe(*action.release, stop).map(none);
    case Step::bake:
        return bake(*action.release, stop).map(none);
    default:
        return none(); // Hooks: none are configured.
    }
}

Result<std::optional<Release>> ServiceActions::stage(const api::Wanted& wanted,
                                                     const std::stop_token& stop) {
    if (const auto present = installed(wanted, stop)) {
        return present;
    }
    auto request = install_;
    request.artifact = wanted.artifact;
    request.now = std::chrono::system_clock::now();
    RealFileOps files;
    Progress progress(ProgressStyle::none);
    return Installer(host_, files, progress).run(request, stop).map([&](const auto& result) {
        return std::optional(Release{wanted.artifact, result.digest});
    });
}

// A release that is on the disk, whole and right, needs no seeder: an order to go back must work
// when everything else is down.
std::optional<Release> ServiceActions::installed(const api::Wanted& wanted,
                                                 const std::stop_token& stop) {
    RealFileOps files;
    Progress progress(ProgressStyle::none);
    ReleaseCommands commands(host_, files, progress, now_text(), std::chrono::seconds(0));
    const auto status = commands.status(service_);
    if (!status) {
        return std::nullopt;
    }
    for (const auto& record : status->front().releases) {
        if (record.artifact == wanted.artifact &&
            (!wanted.digest || *wanted.digest == record.digest)) {
            const auto verified = commands.verify(service_, record.id(), false, stop);
            if (verified && verified->front().faults.empty()) {
                return Release{record.artifact, record.digest};
            }
        }
    }
    return std::nullopt;
}

Result<> ServiceActions::switch_to(const Release& release) {
    const auto paths = host_.service(service_);
    const auto id = release.id();
    const auto held =
        FileLock::acquire(paths.lock(), "switch to " + release.artifact.text(), lock_patience_ms);
    if (!held) {
        return tl::unexpected(held.error());
    }
    RealFileOps files;
    ReleaseStore store(files, paths);
    const auto now = now_text();
    auto history = store.recover(now);
    if (!history) {
        return tl::unexpected(std::move(history.error()));
    }
    if (history->current() == id) {
        return {};
    }
    if (!store.is_whole(id)) {
        return fail(Errc::not_found, "release " + id.text + " of service " + service_);
    }
    // To a release that ran before it is a way back: what came after is forgotten.
    const auto back = after_rollback(*history, id, now);
    return store.activate(*history, back ? *back : after_install(*history, id, now));
}

Result<> ServiceActions::probe(const Release& release, const std::stop_token& stop) {
    if (config_.probe.empty()) {
        return {};
    }
    const auto directory = host_.service(service_).release(release.id());
    const auto until = Clock::now() + config_.start_period;
    unsigned in_a_row = 0;
    while (true) {
        auto answer = run_command(config_.probe, directory, config_.probe_timeout, stop);
        in_a_row = answer ? in_a_row + 1 : 0;
        if (in_a_row >= config_.successes) {
            return {};
        }
        if (!answer && Clock::now() >= until) {
            return fail(Errc::failed, "not ready within " +
                                          std::to_string(config_.start_period.count()) +
                                          " s: " + answer.error().context);
        }
        if (!wait(config_.interval, stop)) {
            return fail(Errc::cancelled, "probe of " + service_);
        }
    }
}

Result<> ServiceActions::bake(const Release& release, const std::stop_token& stop) {
    const auto directory = host_.service(service_).release(release.id());
    const auto until = Clock::now() + config_.bake;
    unsigned in_a_row = 0;
    while (Clock::now() < until) {
        if (!wait(config_.interval, stop)) {
            return fail(Errc::cancelled, "bake of " + service_);
        }
        if (config_.probe.empty()) {
            continue;
        }
        auto answer = run_command(config_.probe, directory, config_.probe_timeout, stop);
        in_a_row = answer ? 0 : in_a_row + 1;
        if (in_a_row >= config_.failures) {
            return answer;
        }
    }
    return {};
}

Result<std::optional<Release>> current_release(const HostLayout& host, const std::string& service) {
    RealFileOps files;
    const ReleaseStore store(files, host.service(service));
    return store.current().and_then(
        [&](const std::optional<ReleaseId>& id) -> Result<std::optional<Release>> {
            if (!id) {
                return std::nullopt;
            }
            return store.record(*id).map([](const ReleaseRecord& record) {
                return std::optional(Release{record.artifact, record.digest});
            });
        });
}

} // namespace slipway::agent
