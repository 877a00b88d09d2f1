#include "agent/io/installer_operations.h"

#include <algorithm>
#include <malloc.h>

#include "agent/io/installer.h"
#include "agent/io/release_commands.h"
#include "agent/io/stored_packs.h"
#include "common/trust/utc_time.h"

namespace slipway::agent {
namespace {

constexpr std::chrono::seconds wait_for_lock{30};
constexpr unsigned trust_patience_ms = 60'000;

std::string rfc3339(trust::TimePoint now) {
    return trust::format_utc(std::chrono::time_point_cast<std::chrono::seconds>(now));
}

// The agent's copy is a mirror like any other: nothing of it is believed.
Result<ArtifactMetadata> verified_metadata(const HostLayout& host, const ArtifactId& artifact,
                                           trust::TimePoint now) {
    const auto lock =
        FileLock::acquire(host.installer_trust() / "lock", "verify metadata", trust_patience_ms);
    if (!lock) {
        return tl::unexpected(lock.error());
    }
    RepositoryDirectory mirror(host.mirror().string());
    trust::Client client(host.installer_trust(), mirror, now);
    return client.refresh().and_then([&] { return load_artifact(client, mirror, artifact); });
}

void list_missing(InstallerReply& reply, const std::vector<PackRequest>& lacking) {
    for (const auto& request : lacking) {
        for (const auto& range : request.wanted) {
            if (reply.missing.size() < listed_max) { // The next round names the rest.
                reply.missing.emplace_back(request.pack, range);
            }
        }
    }
}

} // namespace

InstallerOperations::InstallerOperations(HostLayout host, FileOps& files)
    : host_(std::move(host)), files_(files) {}

Result<> InstallerOperations::trust(ByteSpan root) {
    return files_.make_directory(host_.installer_trust()).and_then([&] {
        RepositoryDirectory mirror(host_.mirror().string());
        return trust::Client(host_.installer_trust(), mirror, {}).trust_root(root);
    });
}

InstallerReply InstallerOperations::perform(const InstallerRequest& request, trust::TimePoint now,
                                            const OnPhase& on_phase, const std::stop_token& stop) {
    const auto time = rfc3339(now);
    Result<InstallerReply> reply;
    switch (request.op) {
    case InstallerOp::build:
        return build(request, now, on_phase, stop);
    case InstallerOp::switch_to:
        reply = switch_to(request, time);
        break;
    case InstallerOp::roll_back:
        reply = roll_back(request, time, stop);
        break;
    case InstallerOp::collect_garbage:
        reply = collect(request, time);
        break;
    case InstallerOp::status:
        reply = status(request);
        break;
    case InstallerOp::hello:
    case InstallerOp::cancel:
        break;
    }
    if (!reply) {
        return failure(request.id, reply.error());
    }
    reply->id = request.id;
    return std::move(*reply);
}

InstallerReply InstallerOperations::build(const InstallerRequest& request, trust::TimePoint now,
                                          const OnPhase& on_phase, const std::stop_token& stop) {
    Progress quiet(ProgressStyle::none);
    StoredPacks packs(host_);
    const BuildRequest build{
        .artifact = *request.artifact,
        .service = request.service,
        .digest = request.digest,
        .metadata = [&] { return verified_metadata(host_, *request.artifact, now); },
        .lock_timeout = wait_for_lock,
        .now = now,
        .activate = false,
        .on_phase = on_phase};
    const auto built = Installer(host_, files_, quiet).run(build, packs, stop);
    ::malloc_trim(0); // What the threads of a build freed is not kept for weeks of waiting.
    if (!built) {
        auto reply = failure(request.id, built.error());
        list_missing(reply, packs.lacking());
        return reply;
    }
    InstallerReply reply;
    reply.id = request.id;
    reply.release = built->release;
    return reply;
}

Result<InstallerReply> InstallerOperations::switch_to(const InstallerRequest& request,
                                                      const std::string& now) {
    Progress quiet(ProgressStyle::none);
    return ReleaseCommands(host_, files_, quiet, now, wait_for_lock)
        .switch_to(request.service, *request.release)
        .map([&] {
            InstallerReply reply;
            reply.release = request.release;
            return reply;
        });
}

Result<InstallerReply> InstallerOperations::roll_back(const InstallerRequest& request,
                                                      const std::string& now,
                                                      const std::stop_token& stop) {
    const auto current = ReleaseStore(files_, host_.service(request.service)).current();
    if (!current) {
        return tl::unexpected(current.error());
    }
    InstallerReply reply;
    reply.release = *current;
    const bool is_there = request.release && *current == request.release;
    const bool has_left = request.from && *current != request.from;
    if (is_there || has_left) {
        return reply; // Asked for again after it was done.
    }
    Progress quiet(ProgressStyle::none);
    return ReleaseCommands(host_, files_, quiet, now, wait_for_lock)
        .roll_back(request.service, request.release, false, stop)
        .map([&](const ReleaseCommands::RolledBack& done) {
            reply.release = done.to;
            return reply;
        });
}

Result<InstallerReply> InstallerOperations::collect(const InstallerRequest& request,
                                                    const std::string& now) {
    Progress quiet(ProgressStyle::none);
    return ReleaseCommands(host_, files_, quiet, now, wait_for_lock)
        .collect_service(request.service, request.keep, request.also)
        .map([](const std::vector<Removed>& removed) {
            InstallerReply reply;
            reply.removed = removed.size();
            return reply;
        });
}

Result<InstallerReply> InstallerOperations::status(const InstallerRequest& request) const {
    const ReleaseStore store(files_, host_.service(request.service));
    const auto current = store.current();
    const auto installed = store.installed();
    if (!current || !installed) {
        return tl::unexpected(current ? installed.error() : current.error());
    }
    InstallerReply reply;
    reply.release = *current;
    if (const auto history = store.history("")) {
        reply.previous = history->previous();
    }
    for (const auto& record : *installed) {
        if (reply.releases.size() < listed_max) {
            reply.releases.push_back(record.id());
        }
    }
    return reply;
}

} // namespace slipway::agent
