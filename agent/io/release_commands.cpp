#include "agent/io/release_commands.h"

#include <algorithm>
#include <set>
#include <sys/stat.h>

#include "agent/core/retention.h"
#include "common/core/errc.h"
#include "common/format/manifest.h"
#include "common/format/pack.h"
#include "common/io/file_ops.h"

namespace slipway::agent {
namespace fs = std::filesystem;
namespace {

// Blocks that removing `path` frees: files that other names share stay.
std::uint64_t bytes_freed(const fs::path& path) {
    struct stat info{};
    if (::lstat(path.c_str(), &info) != 0) {
        return 0;
    }
    std::uint64_t bytes =
        S_ISDIR(info.st_mode) || info.st_nlink == 1 ? std::uint64_t(info.st_blocks) * 512 : 0;
    if (S_ISDIR(info.st_mode)) {
        std::error_code ec;
        for (fs::recursive_directory_iterator it(path, ec);
             !ec && it != fs::recursive_directory_iterator(); it.increment(ec)) {
            if (::lstat(it->path().c_str(), &info) == 0 &&
                (S_ISDIR(info.st_mode) || info.st_nlink == 1)) {
                bytes += std::uint64_t(info.st_blocks) * 512;
            }
        }
    }
    return bytes;
}

} // namespace

ReleaseCommands::ReleaseCommands(const HostLayout& host, FileOps& files, Progress& progress,
                                 std::string now, std::chrono::seconds lock_timeout)
    : host_(host), files_(files), progress_(progress), now_(std::move(now)),
      lock_timeout_(lock_timeout) {}

ReleaseStore ReleaseCommands::store(const std::string& service) const {
    return {files_, host_.service(service)};
}

Result<std::vector<std::string>>
ReleaseCommands::services(const std::optional<std::string>& service) const {
    if (!service) {
        return host_.service_names();
    }
    std::error_code ec;
    if (!fs::is_directory(host_.service(*service).directory, ec)) {
        return fail(Errc::not_found, "service " + *service + " in " + host_.root.string());
    }
    return std::vector{*service};
}

Result<FileLock> ReleaseCommands::lock(const std::string& service, const std::string& purpose) {
    const auto patience = std::chrono::duration_cast<std::chrono::milliseconds>(lock_timeout_);
    return FileLock::acquire(
        host_.service(service).lock(), purpose, static_cast<unsigned>(patience.count()),
        [&](const std::string& holder) { progress_.note("waiting for " + holder); });
}

// Looking must not wait for a long install, nor need the right to write.
void ReleaseCommands::recover_if_free(const std::string& service) {
    if (const auto held = FileLock::acquire(host_.service(service).lock(), "recover", 0)) {
        if (const auto recovered = store(service).recover(now_); !recovered) {
            progress_.note("recover service " + service + ": " + describe(recovered.error()));
        }
    }
}

Result<std::vector<ServiceStatus>>
ReleaseCommands::status(const std::optional<std::string>& service) {
    auto names = services(service);
    if (!names) {
        return tl::unexpected(std::move(names.error()));
    }
    std::vector<ServiceStatus> all;
    for (const auto& name : *names) {
        recover_if_free(name);
        const auto releases = store(name);
        auto history = releases.history(now_);
        if (!history) {
            return tl::unexpected(std::move(history.error()));
        }
        auto installed = releases.installed();
        if (!installed) {
            return tl::unexpected(std::move(installed.error()));
        }
        ServiceStatus status{name, {}, {}, {}, std::move(*installed)};
        for (const auto& record : status.releases) {
            if (record.id() == history->current()) {
                status.current = record;
                status.since = history->activations.back().at;
            } else if (record.id() == history->previous()) {
                status.previous = record;
            }
        }
        if (history->current() && !status.current) {
            return fail(Errc::verification_failed, "the current release " +
                                                       history->current()->text + " of service " +
                                                       name + " is not whole; install it again");
        }
        all.push_back(std::move(status));
    }
    return all;
}

Result<VerifiedRelease> ReleaseCommands::verify_one(const ReleaseStore& releases,
                                                    const ReleaseId& id, std::stop_token stop) {
    const auto directory = releases.paths().record(id);
    const auto named = "release " + id.text + " of service " + releases.paths().name;
    if (!releases.is_whole(id)) {
        return fail(Errc::not_found, named);
    }
    const auto record = releases.record(id);
    if (!record) {
        return tl::unexpected(record.error());
    }
    auto manifest_bytes = read_file(directory / record_file::manifest, manifest_bytes_max);
    if (!manifest_bytes) {
        return tl::unexpected(std::move(manifest_bytes.error()));
    }
    if (sha256(*manifest_bytes) != record->digest) {
        return fail(Errc::verification_failed,
                    (directory / record_file::manifest).string() + " is not the release's");
    }
    const auto manifest = decode_manifest(*manifest_bytes, named);
    auto index = MappedFile::open(directory / record_file::index);
    if (!manifest || !index) {
        return tl::unexpected(!manifest ? manifest.error() : index.error());
    }
    if (sha256(index->bytes()) != manifest->index) {
        return fail(Errc::verification_failed,
                    (directory / record_file::index).string() + " is not the release's");
    }
    return read_tree(index->bytes(), named)
        .and_then([&](const Tree& tree) {
            progress_.phase("verify " + id.text, tree.bytes);
            return verify_tree(releases.paths().release(id), tree, {}, progress_, std::move(stop));
        })
        .map([&](std::vector<TreeFault> faults) {
            progress_.finish();
            return VerifiedRelease{releases.paths().name, id, std::move(faults)};
        });
}

Result<std::vector<VerifiedRelease>>
ReleaseCommands::verify(const std::optional<std::string>& service,
                        const std::optional<ReleaseId>& release, bool all, std::stop_token stop) {
    auto states = status(service);
    if (!states) {
        return tl::unexpected(std::move(states.error()));
    }
    std::vector<VerifiedRelease> verified;
    for (const auto& state : *states) {
        std::vector<ReleaseId> ids;
        for (const auto& record : state.releases) {
            const auto id = record.id();
            const bool is_current = state.current && id == state.current->id();
            if (release ? id == *release : all || is_current) {
                ids.push_back(id);
            }
        }
        for (const auto& id : ids) {
            auto one = verify_one(store(state.service), id, stop);
            if (!one) {
                return tl::unexpected(std::move(one.error()));
            }
            verified.push_back(std::move(*one));
        }
    }
    if (verified.empty()) {
        return fail(Errc::not_found, release ? "release " + release->text : "an installed release");
    }
    return verified;
}

Result<ReleaseCommands::RolledBack> ReleaseCommands::roll_back(const std::string& service,
                                                               const std::optional<ReleaseId>& to,
                                                               bool verify, std::stop_token stop) {
    if (auto known = services(service); !known) {
        return tl::unexpected(std::move(known.error()));
    }
    const auto held = lock(service, "rollback");
    if (!held) {
        return tl::unexpected(held.error());
    }
    auto releases = store(service);
    auto history = releases.recover(now_);
    if (!history) {
        return tl::unexpected(std::move(history.error()));
    }
    auto after = after_rollback(*history, to, now_);
    if (!after) {
        return tl::unexpected(within("service " + service, std::move(after.error())));
    }
    const auto target = after->back().release;
    if (verify) {
        auto checked = verify_one(releases, target, std::move(stop));
        if (!checked) {
            return tl::unexpected(std::move(checked.error()));
        }
        if (!checked->faults.empty()) {
            const auto& first = checked->faults.front();
            return fail(Errc::verification_failed, "release " + target.text + ": " + first.path +
                                                       " " + first.why + "; nothing was changed");
        }
    }
    RolledBack done{*history->current(), target};
    return releases.activate(*history, *after).map([&] { return std::move(done); });
}

Result<> ReleaseCommands::switch_to(const std::string& service, const ReleaseId& release) {
    if (auto known = services(service); !known) {
        return tl::unexpected(std::move(known.error()));
    }
    const auto held = lock(service, "switch");
    if (!held) {
        return tl::unexpected(held.error());
    }
    auto releases = store(service);
    const auto history = releases.recover(now_);
    if (!history) {
        return tl::unexpected(history.error());
    }
    if (!releases.is_whole(release)) {
        return fail(Errc::not_found, "release " + release.text + " of service " + service);
    }
    if (history->current() == release) {
        return {};
    }
    // To a release that ran before it is a way back: what came after is forgotten.
    const auto back = after_rollback(*history, release, now_);
    return releases.activate(*history, back ? *back : after_install(*history, release, now_));
}

Result<std::vector<Removed>> ReleaseCommands::collect_releases(const std::string& service,
                                                               std::size_t keep_more, bool dry_run,
                                                               const std::vector<ReleaseId>& also,
                                                               std::vector<ReleaseRecord>& kept) {
    auto releases = store(service);
    std::vector<Removed> removed;
    for (const auto& path : releases.leftovers()) {
        removed.push_back({"leftover " + path.string(), bytes_freed(path)});
    }
    const auto history = dry_run ? releases.history(now_) : releases.recover(now_);
    const auto installed = releases.installed();
    if (!history || !installed) {
        return tl::unexpected(!history ? history.error() : installed.error());
    }
    std::vector<InstalledRelease> candidates;
    for (const auto& record : *installed) {
        candidates.push_back({record.id(), record.installed_at});
    }
    const auto keep = releases_to_keep(*history, candidates, keep_more, also);
    for (const auto& record : *installed) {
        const auto id = record.id();
        if (keep.contains(id)) {
            kept.push_back(record);
            continue;
        }
        removed.push_back({"release " + id.text + " of service " + service,
                           bytes_freed(releases.paths().release(id))});
        if (dry_run) {
            continue;
        }
        if (auto gone = releases.remove(id); !gone) {
            return tl::unexpected(std::move(gone.error()));
        }
    }
    if (!dry_run) { // The history forgets what is gone.
        if (auto recovered = releases.recover(now_); !recovered) {
            return tl::unexpected(std::move(recovered.error()));
        }
    }
    return removed;
}

Result<std::vector<Removed>>
ReleaseCommands::collect_packs(const std::vector<std::pair<std::string, ReleaseRecord>>& kept,
                               bool dry_run) {
    std::set<std::string> referenced;
    for (const auto& [service, record] : kept) {
        const auto file = host_.service(service).record(record.id()) / record_file::pack_map;
        auto bytes = read_file(file, pack_map_bytes_max);
        auto map = bytes ? decode_pack_map(*bytes, file.string())
                         : tl::unexpected(std::move(bytes.error()));
        if (!map) {
            continue; // A pack too many goes, and is fetched again when it is needed.
        }
        for (const auto& entry : map->packs) {
            referenced.insert(entry.id.name());
            referenced.insert(entry.id.name() + ".torrent");
        }
    }
    std::vector<Removed> removed;
    std::error_code ec;
    for (fs::directory_iterator it(host_.packs(), ec); !ec && it != fs::directory_iterator();
         it.increment(ec)) {
        const auto name = it->path().filename().string();
        if (referenced.contains(name)) {
            continue;
        }
        removed.push_back({(is_temporary_name(name) ? "leftover " : "pack ") + it->path().string(),
                           bytes_freed(it->path())});
        if (!dry_run) {
            if (auto gone = files_.remove(it->path()); !gone) {
                return tl::unexpected(std::move(gone.error()));
            }
        }
    }
    return removed;
}

Result<std::vector<Removed>>
ReleaseCommands::collect_garbage(const std::optional<std::string>& service, std::size_t keep_more,
                                 bool dry_run) {
    auto chosen = services(service);
    auto all = services(std::nullopt);
    if (!chosen || !all) {
        return tl::unexpected(!chosen ? chosen.error() : all.error());
    }
    std::vector<FileLock> locks; // In the order of names: two collectors cannot block each other.
    std::vector<std::pair<std::string, ReleaseRecord>> kept;
    std::vector<Removed> removed;
    bool all_locked = true;
    for (const auto& name : *all) {
        const bool is_chosen = std::ranges::find(*chosen, name) != chosen->end();
        auto held =
            is_chosen ? lock(name, "gc") : FileLock::acquire(host_.service(name).lock(), "gc", 0);
        if (!held && is_chosen) {
            return tl::unexpected(std::move(held.error()));
        }
        if (!held) {
            all_locked = false;
            continue;
        }
        locks.push_back(std::move(*held));
        std::vector<ReleaseRecord> records;
        if (is_chosen) {
            auto collected = collect_releases(name, keep_more, dry_run, {}, records);
            if (!collected) {
                return collected;
            }
            removed.insert(removed.end(), collected->begin(), collected->end());
        } else if (auto installed = store(name).installed()) {
            records = std::move(*installed);
        }
        for (auto& record : records) {
            kept.emplace_back(name, std::move(record));
        }
    }
    if (!all_locked) {
        progress_.note("packs are left alone: another service is being installed");
        return removed;
    }
    return collect_packs(kept, dry_run).map([&](const std::vector<Removed>& packs) {
        removed.insert(removed.end(), packs.begin(), packs.end());
        return std::move(removed);
    });
}

Result<std::vector<Removed>> ReleaseCommands::collect_service(const std::string& service,
                                                              std::size_t keep_more,
                                                              const std::vector<ReleaseId>& also) {
    if (auto known = services(service); !known) {
        return tl::unexpected(std::move(known.error()));
    }
    const auto held = lock(service, "gc");
    if (!held) {
        return tl::unexpected(held.error());
    }
    std::vector<ReleaseRecord> kept;
    return collect_releases(service, keep_more, false, also, kept);
}

} // namespace slipway::agent
