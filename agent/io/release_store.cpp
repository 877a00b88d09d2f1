#include "agent/io/release_store.h"

#include <algorithm>
#include <cassert>

#include "common/core/errc.h"
#include "common/io/file_ops.h"

namespace slipway::agent {
namespace fs = std::filesystem;
namespace {

constexpr unsigned read_only_directory = 0555;

// Two state files, their directory and two symlinks, with room to spare.
constexpr std::uint64_t spare_bytes = std::uint64_t{128} * 1024;

std::vector<fs::path> children(const fs::path& directory) {
    std::vector<fs::path> paths;
    std::error_code ec;
    for (fs::directory_iterator it(directory, ec); !ec && it != fs::directory_iterator();
         it.increment(ec)) {
        paths.push_back(it->path());
    }
    std::ranges::sort(paths);
    return paths;
}

fs::path link_text(const ReleaseId& id) {
    return fs::path("releases") / id.text;
}

} // namespace

ReleaseStore::ReleaseStore(FileOps& files, ServicePaths paths)
    : files_(files), paths_(std::move(paths)) {}

Result<std::optional<ReleaseId>> ReleaseStore::current() const {
    std::error_code ec;
    const auto text = fs::read_symlink(paths_.current(), ec);
    if (ec == std::errc::no_such_file_or_directory) {
        return std::nullopt;
    }
    auto id = ReleaseId::parse(text.filename().string());
    if (ec || !id || text != link_text(*id)) {
        return fail(Errc::failed,
                    paths_.current().string() + " is not a symlink to a release; move it away");
    }
    return std::optional(std::move(*id));
}

bool ReleaseStore::is_whole(const ReleaseId& id) const {
    std::error_code ec;
    const auto tree = fs::symlink_status(paths_.release(id), ec);
    return fs::is_directory(tree) &&
           fs::is_regular_file(paths_.record(id) / record_file::release, ec) &&
           fs::is_regular_file(paths_.record(id) / record_file::index, ec);
}

Result<ReleaseRecord> ReleaseStore::record(const ReleaseId& id) const {
    const auto path = paths_.record(id) / record_file::release;
    return read_file(path, release_record_bytes_max)
        .and_then([&](const Bytes& text) { return decode_release_record(text, path.string()); })
        .and_then([&](ReleaseRecord record) -> Result<ReleaseRecord> {
            if (record.id() != id) {
                return fail(Errc::verification_failed, path.string() + ": of another release");
            }
            return record;
        });
}

Result<std::vector<ReleaseRecord>> ReleaseStore::installed() const {
    std::vector<ReleaseRecord> records;
    for (const auto& path : children(paths_.releases())) {
        auto id = ReleaseId::parse(path.filename().string());
        if (!id || !is_whole(*id)) {
            continue;
        }
        if (auto known = record(*id)) {
            records.push_back(std::move(*known));
        }
    }
    return records;
}

Result<History> ReleaseStore::load() const {
    auto text = read_file(paths_.state(), history_bytes_max);
    if (!text) {
        if (text.error().code == std::errc::no_such_file_or_directory) {
            return History{};
        }
        return tl::unexpected(std::move(text.error()));
    }
    return decode_history(*text, paths_.state().string());
}

Result<History> ReleaseStore::history(const std::string& now) const {
    return current().and_then([&](const std::optional<ReleaseId>& running) -> Result<History> {
        auto stored = load();
        if (!stored) {
            if (stored.error().code != Errc::verification_failed) {
                return stored;
            }
            // A damaged state file must not stop the host: the symlinks tell the last two.
            stored = History{};
            std::error_code ec;
            const auto before = fs::read_symlink(paths_.previous(), ec);
            if (auto id = ReleaseId::parse(before.filename().string())) {
                stored->activations.push_back({std::move(*id), now});
            }
        }
        return reconcile(*stored, running, [&](const ReleaseId& id) { return is_whole(id); }, now);
    });
}

template <typename Change>
Result<> ReleaseStore::with_spare(Change change) {
    auto done = change();
    if (done || done.error().code != std::errc::no_space_on_device) {
        return done;
    }
    return files_.remove(paths_.spare()).and_then(change);
}

Result<> ReleaseStore::write(const History& history) {
    return with_spare(
        [&] { return files_.replace_file(paths_.state(), as_bytes(encode_history(history))); });
}

Result<> ReleaseStore::put(const History& history) {
    return with_spare(
        [&] { return files_.put_file(paths_.state(), as_bytes(encode_history(history))); });
}

Result<> ReleaseStore::point(const fs::path& link, const ReleaseId& to) {
    const auto temporary = temporary_name(paths_.directory, link.filename().string());
    return with_spare([&] { return files_.make_symlink(link_text(to), temporary); }).and_then([&] {
        return with_spare([&] { return files_.rename(temporary, link); });
    });
}

Result<> ReleaseStore::point_previous(const History& history) {
    std::error_code ec;
    const auto text = fs::read_symlink(paths_.previous(), ec);
    const auto previous = history.previous();
    if (!previous) {
        return text.empty() ? Result<>{} : files_.remove(paths_.previous());
    }
    return text == link_text(*previous) ? Result<>{} : point(paths_.previous(), *previous);
}

std::vector<fs::path> ReleaseStore::leftovers() const {
    std::vector<fs::path> paths = children(paths_.staging());
    for (const auto& path : children(paths_.directory)) {
        if (is_temporary_name(path.filename().string())) {
            paths.push_back(path);
        }
    }
    std::error_code ec;
    for (const auto& path : children(paths_.records())) {
        if (!fs::is_directory(fs::symlink_status(paths_.releases() / path.filename(), ec))) {
            paths.push_back(path);
        }
    }
    return paths;
}

Result<History> ReleaseStore::recover(const std::string& now) {
    for (const auto& directory : {paths_.releases(), paths_.records(), paths_.staging()}) {
        if (auto made = files_.make_directory(directory); !made) {
            return tl::unexpected(std::move(made.error()));
        }
    }
    auto reconciled = history(now);
    if (!reconciled) {
        return reconciled;
    }
    for (const auto& path : leftovers()) {
        if (auto removed = files_.remove(path); !removed) {
            return tl::unexpected(std::move(removed.error()));
        }
    }
    if (auto pointed = point_previous(*reconciled); !pointed) {
        return tl::unexpected(std::move(pointed.error()));
    }
    std::error_code ec;
    if (!fs::exists(paths_.spare(), ec)) {
        (void)files_.make_spare(paths_.spare(), spare_bytes); // Later, when there is space again.
    }
    const auto stored = load();
    if (stored && *stored == *reconciled) {
        return reconciled;
    }
    if (stored && stored->intent == reconciled->activations) {
        // As activate() leaves it; it may have been killed before it synced the names.
        return files_.sync_directory(paths_.directory).map([&] { return *reconciled; });
    }
    return files_.sync_directory(paths_.directory)
        .and_then([&] { return write(*reconciled); })
        .map([&] { return *reconciled; });
}

Result<> ReleaseStore::place(const fs::path& staged, const fs::path& at) {
    std::error_code ec;
    const auto placed =
        fs::exists(fs::symlink_status(at, ec))
            ? files_.set_mode(at, 0755).and_then([&] { return files_.exchange(staged, at); })
            : files_.rename(staged, at);
    return placed.and_then([&] { return files_.sync_directory(at.parent_path()); });
}

Result<> ReleaseStore::adopt(const ReleaseId& id, const fs::path& tree, const fs::path& record) {
    return place(record, paths_.record(id))
        .and_then([&] { return place(tree, paths_.release(id)); })
        .and_then([&] { return files_.set_mode(paths_.release(id), read_only_directory); })
        .and_then([&] { return files_.sync_directory(paths_.release(id)); });
}

Result<> ReleaseStore::activate(const History& before, const std::vector<Activation>& after) {
    assert(!after.empty());
    const auto& target = after.back().release;
    if (!is_whole(target)) {
        return fail(Errc::not_found, "release " + target.text + " of service " + paths_.name +
                                         " is not whole on this host");
    }
    const History switching{before.activations, after};
    const History switched{after, std::nullopt};
    // Two flushes, of the history's bytes and of the names: a disk takes milliseconds for each.
    // What was lost of names that were not synced together, reconcile() makes good; the history
    // keeps the intent, which is committed by where `current` leads.
    return make_read_only(target)
        .and_then([&] { return put(switching); })
        .and_then([&] { return point(paths_.current(), target); })
        .and_then([&] { return point_previous(switched); })
        .and_then([&] { return files_.sync_directory(paths_.directory); });
}

// It is not yet only if an earlier run was killed between the two steps of adopt().
Result<> ReleaseStore::make_read_only(const ReleaseId& id) {
    std::error_code ec;
    const auto mode = fs::status(paths_.release(id), ec).permissions();
    return !ec && mode == fs::perms(read_only_directory)
               ? Result<>()
               : files_.set_mode(paths_.release(id), read_only_directory);
}

Result<> ReleaseStore::remove(const ReleaseId& id) {
    const auto gone = temporary_name(paths_.staging(), id.text);
    return files_.set_mode(paths_.release(id), 0700)
        .and_then([&] { return files_.rename(paths_.release(id), gone); })
        .and_then([&] { return files_.sync_directory(paths_.releases()); })
        .and_then([&] { return files_.remove(gone); })
        .and_then([&] { return files_.remove(paths_.record(id)); });
}

} // namespace slipway::agent
