#include "agent/io/service_actions.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>

#include "agent/io/low_priority.h"
#include "agent/io/probes.h"
#include "agent/io/release_commands.h"
#include "agent/io/release_store.h"
#include "agent/io/self_restart.h"
#include "agent/io/unit_control.h"
#include "common/core/errc.h"
#include "common/core/progress_text.h"
#include "common/format/manifest.h"
#include "common/io/file_ops.h"
#include "common/trust/utc_time.h"

namespace slipway::agent {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds lock_patience{30};
constexpr Milliseconds look_at_unit{1'000};
// Each build may find another base of this host damaged; fetching again repairs it.
constexpr unsigned builds_max = 3;

std::string now_text() {
    return trust::format_utc(
        std::chrono::time_point_cast<std::chrono::seconds>(std::chrono::system_clock::now()));
}

Milliseconds since(Clock::time_point began) {
    return std::chrono::round<Milliseconds>(Clock::now() - began);
}

void wait(Milliseconds delay, const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any woken;
    std::unique_lock lock(mutex);
    woken.wait_for(lock, stop, delay, [] { return false; });
}

} // namespace

ServiceActions::ServiceActions(ServiceParts parts)
    : parts_(std::move(parts)), hooks_(parts_.hook_cgroups) {
    parts_.install.service = parts_.name;
    parts_.install.activate = false;
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
        return restart(*action.release, stop).map(none);
    case Step::probe:
        return hold(*action.release, false, stop).map(none);
    case Step::bake:
        return hold(*action.release, true, stop).map(none);
    case Step::pre_switch:
        return hook(Hook::pre_switch, *action.release, stop).map(none);
    case Step::post_switch:
        return hook(Hook::post_switch, *action.release, stop).map(none);
    case Step::pre_stop:
        return hook_of_outgoing(Hook::pre_stop, *action.release, stop).map(none);
    case Step::on_rollback:
        return hook_of_outgoing(Hook::on_rollback, *action.release, stop).map(none);
    }
    return none();
}

Result<RunSpec> ServiceActions::spec_of(const Release& release) const {
    if (parts_.config.run) {
        return *parts_.config.run;
    }
    const auto file = parts_.host.service(parts_.name).record(release.id()) / record_file::manifest;
    return read_file(file, manifest_bytes_max)
        .and_then([&](const Bytes& bytes) { return decode_manifest(bytes, file.string()); })
        .map([](const Manifest& manifest) { return run_spec_of(manifest); });
}

std::map<std::string, std::string> ServiceActions::variables(const Release& release) const {
    return {{"SLIPWAY_SERVICE", parts_.name},
            {"SLIPWAY_ARTIFACT", release.artifact.text()},
            {"SLIPWAY_RELEASE", release.id().text}};
}

Result<> ServiceActions::hook(Hook hook, const Release& release, const std::stop_token& stop) {
    return spec_of(release).and_then([&](const RunSpec& spec) -> Result<> {
        const auto program = spec.hooks.find(hook);
        if (program == spec.hooks.end()) {
            return {};
        }
        const HookRequest request{std::string(to_string(hook)), program->second,
                                  parts_.host.service(parts_.name).release(release.id()),
                                  variables(release)};
        return hooks_.run(request, stop).and_then([](const HookOutcome& outcome) -> Result<> {
            return outcome.ok ? Result<>() : fail(Errc::failed, outcome.message);
        });
    });
}

// Of the release that `incoming` takes over from. After a crash behind the switch there is none.
Result<> ServiceActions::hook_of_outgoing(Hook hook, const Release& incoming,
                                          const std::stop_token& stop) {
    return current_release(parts_.host, parts_.name)
        .and_then([&](const std::optional<Release>& outgoing) -> Result<> {
            return !outgoing || *outgoing == incoming ? Result<>()
                                                      : this->hook(hook, *outgoing, stop);
        });
}

SupervisedCommand ServiceActions::command_of(const RunSpec& spec, const Release& release) const {
    return {.service = parts_.name,
            .command = *spec.command,
            .release = parts_.host.service(parts_.name).release(release.id()),
            .variables = variables(release)};
}

Result<> ServiceActions::keep_command() {
    return current_release(parts_.host, parts_.name)
        .and_then([&](const std::optional<Release>& release) -> Result<> {
            if (!release) {
                return {};
            }
            return spec_of(*release).and_then([&](const RunSpec& spec) {
                return spec.command ? parts_.command.keep(*release, command_of(spec, *release))
                                    : Result<>();
            });
        });
}

Result<std::size_t> ServiceActions::collect(const std::vector<ReleaseId>& needed,
                                            std::size_t keep_more) {
    if (!parts_.installer.empty()) {
        InstallerRequest request;
        request.op = InstallerOp::collect_garbage;
        request.keep = keep_more;
        request.also = needed;
        return ask_installer(std::move(request), {})
            .and_then([](const InstallerReply& reply) -> Result<std::size_t> {
                return reply.kind == ReplyKind::done ? Result<std::size_t>(reply.removed)
                                                     : tl::unexpected(error_of(reply));
            });
    }
    RealFileOps files;
    Progress progress(ProgressStyle::none);
    return ReleaseCommands(parts_.host, files, progress, now_text(), lock_patience)
        .collect_service(parts_.name, keep_more, needed)
        .map([](const std::vector<Removed>& removed) { return removed.size(); });
}

ServiceHealth ServiceActions::health() const {
    const auto release = current_release(parts_.host, parts_.name);
    if (!release || !*release) {
        return {};
    }
    const auto spec = spec_of(**release);
    if (spec && spec->command) {
        const auto command = parts_.command.health();
        return command ? ServiceHealth{command->failed, command->restarts, 0} : ServiceHealth{};
    }
    if (spec && spec->unit) {
        const auto unit = UnitControl::open().and_then(
            [&](UnitControl units) { return units.status(spec->unit->name); });
        return unit ? ServiceHealth{unit->health().failed, 0, unit->restarts} : ServiceHealth{};
    }
    return {};
}

Result<> ServiceActions::restart(const Release& release, const std::stop_token& stop) {
    return spec_of(release).and_then([&](const RunSpec& spec) -> Result<> {
        if (spec.command) {
            return parts_.command.restart(release, command_of(spec, release));
        }
        parts_.command.stop(); // The release before may have had one.
        if (!spec.unit) {
            return {};
        }
        return UnitControl::open().and_then([&](UnitControl units) {
            // A unit that cannot be looked at is told by apply().
            const auto self = units.status(spec.unit->name).and_then([&](const UnitStatus& unit) {
                return self_restart(unit, parts_.host.service(parts_.name), release.id());
            });
            if (self == SelfRestart::done) {
                return Result<>();
            }
            if (!self && self.error().code == Errc::failed) {
                return Result<>(tl::unexpected(self.error()));
            }
            return units.apply(*spec.unit, stop).map([](const UnitStatus& /*status*/) {});
        });
    });
}

// Probes until the release is ready or, with `bake`, was ready for its bake time.
Result<> ServiceActions::hold(const Release& release, bool bake, const std::stop_token& stop) {
    auto spec = spec_of(release);
    if (!spec) {
        return tl::unexpected(std::move(spec.error()));
    }
    if (spec->command) { // After a crash of the daemon nothing of it is left.
        if (auto kept = parts_.command.keep(release, command_of(*spec, release)); !kept) {
            return kept;
        }
    }
    if (bake) {
        for (auto& probe : spec->probes) {
            probe.start_period = Milliseconds(0); // It started already.
        }
    }
    ProbeContext context{.release = parts_.host.service(parts_.name).release(release.id()),
                         .variables = variables(release),
                         .unit = spec->unit ? spec->unit->name : "",
                         .bus = {},
                         .authority = parts_.config.probe_authority,
                         .hooks = &hooks_};
    ProbeVerdict verdict(*spec, Clock::now());
    while (!stop.stop_requested()) {
        see_unit(*spec, verdict);
        for (const auto number : verdict.due(Clock::now())) {
            const auto result = run_probe(spec->probes[number], context, stop);
            verdict.probed(number, result, Clock::now());
        }
        verdict.tick(Clock::now());
        if (verdict.state() == ProbeVerdict::State::failed) {
            return fail(Errc::failed, verdict.reason());
        }
        if (bake ? verdict.state() == ProbeVerdict::State::healthy : verdict.ready()) {
            return {};
        }
        const auto most = Clock::now() + look_at_unit;
        const auto next = std::min(verdict.next().value_or(most), most);
        wait(std::chrono::ceil<Milliseconds>(next - Clock::now()), stop);
    }
    return fail(Errc::cancelled, "probe of service " + parts_.name);
}

void ServiceActions::see_unit(const RunSpec& spec, ProbeVerdict& verdict) const {
    if (const auto health = parts_.command.health(); health && spec.command) {
        verdict.unit_seen(*health, Clock::now());
    }
    if (!spec.unit) {
        return;
    }
    const auto status = UnitControl::open().and_then(
        [&](UnitControl units) { return units.status(spec.unit->name); });
    if (status) { // What cannot be seen proves nothing.
        verdict.unit_seen(status->health(), Clock::now());
    }
}

Result<std::optional<Release>> ServiceActions::stage(const api::Wanted& wanted,
                                                     const std::stop_token& stop) {
    const auto began = Clock::now();
    if (auto present = installed(wanted, stop)) {
        parts_.timelines.staged(parts_.name, {.times = {{Part::verify, since(began)}}});
        return present;
    }
    lower_priority(); // Of this thread, which does nothing else.
    auto request = parts_.install;
    request.artifact = wanted.artifact;
    request.now = std::chrono::system_clock::now();
    RealFileOps files;
    Progress progress(ProgressStyle::none);
    HostInstall install(parts_.host, files, progress, &parts_.packs);
    auto staged = !parts_.installer.empty()
                      ? stage_for_installer(install, progress, request, stop)
                      : install.run(request, stop).map([&](const InstallResult& result) {
                            return std::optional(Release{wanted.artifact, result.digest});
                        });
    auto times = install.times();
    note_limits(times);
    parts_.timelines.staged(parts_.name, std::move(times));
    return staged;
}

void ServiceActions::note_limits(StageTimes& times) const {
    const auto most = parts_.packs.status().limits.download_bytes_per_s;
    const auto transfer = times.times.find(Part::transfer);
    if (most == 0 || transfer == times.times.end()) {
        return;
    }
    const auto ms = static_cast<std::uint64_t>(transfer->second.count());
    if (times.fetched_bytes / ms * 1'000 >= most / 5 * 4) { // Part times are above 0.
        add_remark(times.remarks,
                   "limits.download_bytes_per_s of this host allow " + human_bytes(most) + "/s");
    }
}

// Fetches here, where the network is, and has the release built where the privilege is.
Result<std::optional<Release>> ServiceActions::stage_for_installer(HostInstall& network,
                                                                   Progress& progress,
                                                                   const InstallRequest& request,
                                                                   const std::stop_token& stop) {
    std::vector<PackRequest> also;
    for (unsigned builds = 1;; ++builds) {
        const auto staged = network.stage(request, also, stop);
        if (!staged) {
            return tl::unexpected(staged.error());
        }
        InstallerRequest build;
        build.op = InstallerOp::build;
        build.artifact = request.artifact;
        build.digest = staged->digest;
        const auto reply = ask_installer(std::move(build), stop, [&](const InstallerReply& phase) {
            progress.phase(phase.phase, phase.total_bytes);
        });
        if (!reply) {
            return tl::unexpected(reply.error());
        }
        if (reply->kind == ReplyKind::done) {
            return std::optional(Release{request.artifact, staged->digest});
        }
        if (reply->missing.empty() || builds == builds_max) {
            return tl::unexpected(error_of(*reply));
        }
        also.clear();
        for (const auto& [pack, range] : reply->missing) {
            also.push_back({pack, {range}});
        }
    }
}

Result<InstallerReply>
ServiceActions::ask_installer(InstallerRequest request, const std::stop_token& stop,
                              const InstallerClient::OnProgress& on_progress) const {
    request.service = parts_.name;
    return InstallerClient::connect(parts_.installer).and_then([&](InstallerClient client) {
        const std::stop_callback cancel(stop, [&client] { (void)client.cancel(); });
        return client.ask(std::move(request), on_progress);
    });
}

// A release that is on the disk, whole and right, needs no seeder: an order to go back must work
// when everything else is down.
std::optional<Release> ServiceActions::installed(const api::Wanted& wanted,
                                                 const std::stop_token& stop) {
    RealFileOps files;
    Progress progress(ProgressStyle::none);
    ReleaseCommands commands(parts_.host, files, progress, now_text(), std::chrono::seconds(0));
    const auto status = commands.status(parts_.name);
    if (!status) {
        return std::nullopt;
    }
    for (const auto& record : status->front().releases) {
        if (record.artifact == wanted.artifact &&
            (!wanted.digest || *wanted.digest == record.digest)) {
            const auto verified = commands.verify(parts_.name, record.id(), false, stop);
            if (verified && verified->front().faults.empty()) {
                return Release{record.artifact, record.digest};
            }
        }
    }
    return std::nullopt;
}

Result<> ServiceActions::switch_to(const Release& release) {
    if (!parts_.installer.empty()) {
        InstallerRequest request;
        request.op = InstallerOp::switch_to;
        request.release = release.id();
        return ask_installer(std::move(request), {}).and_then([](const InstallerReply& reply) {
            return reply.kind == ReplyKind::done ? Result<>() : tl::unexpected(error_of(reply));
        });
    }
    RealFileOps files;
    Progress progress(ProgressStyle::none);
    return ReleaseCommands(parts_.host, files, progress, now_text(), lock_patience)
        .switch_to(parts_.name, release.id());
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
