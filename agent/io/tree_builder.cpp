#include "agent/io/tree_builder.h"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <tuple>
#include <unistd.h>

#include "agent/io/file_copy.h"
#include "common/core/errc.h"
#include "common/io/parallel.h"

namespace slipway::agent {
namespace fs = std::filesystem;
namespace {

// Files that are written through a mapping or in parts; the others are written in one go.
bool is_large(const IndexEntry& entry) {
    return entry.chunks.size() > 1 || entry.bytes > solid_block_bytes_max;
}

// One call a file would be spent on handing out work: workers take runs of files.
constexpr std::size_t files_per_task = 64;

// What is written in one piece goes to the disk while the next is being decoded.
constexpr std::uint64_t early_writeback_bytes = std::uint64_t{1024} * 1024;

} // namespace

bool TreeBuilder::before(const Target& left, const Target& right) {
    return std::tie(left.key, left.file, left.chunk) < std::tie(right.key, right.file, right.chunk);
}

TreeBuilder::TreeBuilder(WalkerPool walkers, const Tree& tree, InstalledContent& installed,
                         Progress& progress)
    : walkers_(std::move(walkers)), tree_(tree), installed_(installed), progress_(progress),
      origins_(tree.entries.size(), Origin::none) {
    for (const auto file : tree.files) {
        const auto& chunks = tree.entries[file].chunks;
        for (std::uint32_t i = 0; i < chunks.size(); ++i) {
            targets_.push_back({ChunkKey::of(chunks[i]), file, i});
        }
    }
    std::ranges::sort(targets_, before);
}

Result<std::unique_ptr<TreeBuilder>> TreeBuilder::start(const fs::path& directory, const Tree& tree,
                                                        InstalledContent& installed,
                                                        Progress& progress) {
    return WalkerPool::open(directory).map([&](WalkerPool walkers) {
        return std::unique_ptr<TreeBuilder>(
            new TreeBuilder(std::move(walkers), tree, installed, progress));
    });
}

std::span<const TreeBuilder::Target> TreeBuilder::targets_of(const ChunkKey& key) const {
    const auto [begin, end] = std::ranges::equal_range(targets_, key, {}, &Target::key);
    return {begin, end};
}
std::span<TreeBuilder::Target> TreeBuilder::targets_of(const ChunkKey& key) {
    const auto [begin, end] = std::ranges::equal_range(targets_, key, {}, &Target::key);
    return {begin, end};
}

void TreeBuilder::mark(std::uint32_t file, bool placed) {
    const auto& chunks = tree_.entries[file].chunks;
    for (std::uint32_t i = 0; i < chunks.size(); ++i) {
        const Target sought{ChunkKey::of(chunks[i]), file, i};
        std::ranges::lower_bound(targets_, sought, before)->placed = placed;
    }
}

std::vector<ChunkRef> TreeBuilder::wanted() const {
    std::vector<ChunkRef> refs;
    for (const auto& target : targets_) {
        if (!target.placed && !installed_.chunks().contains(target.key) &&
            (refs.empty() || refs.back().key != target.key)) {
            refs.push_back(chunk_of(tree_.entries[target.file], target.chunk));
        }
    }
    return refs;
}

Space TreeBuilder::needed() const {
    constexpr std::uint64_t block_bytes = 4096;
    Space space;
    for (const auto& entry : tree_.entries) {
        if (entry.kind == EntryKind::hard_link) {
            continue;
        }
        if (entry.kind == EntryKind::file) {
            const auto match = installed_.find_file(entry);
            if (match && match->same_mode) {
                continue;
            }
            space.bytes += (entry.bytes + block_bytes - 1) / block_bytes * block_bytes;
        } else if (entry.kind == EntryKind::directory) {
            space.bytes += block_bytes;
        }
        ++space.inodes;
    }
    return space;
}

bool TreeBuilder::is_missing(const ChunkKey& key) const {
    const std::scoped_lock lock(mutex_);
    return !std::ranges::all_of(targets_of(key), &Target::placed);
}

std::optional<ChunkPlace> TreeBuilder::place_of(const ChunkKey& key) const {
    const std::scoped_lock lock(mutex_);
    for (const auto& target : targets_of(key)) {
        if (target.placed) {
            const auto& entry = tree_.entries[target.file];
            return ChunkPlace{fs::path(walkers_.name()) / entry.path,
                              target.chunk * chunk_bytes_max,
                              chunk_length(entry.bytes, target.chunk)};
        }
    }
    return std::nullopt;
}

bool TreeBuilder::is_complete() const {
    return std::ranges::all_of(targets_, &Target::placed);
}

void TreeBuilder::give_back(std::uint64_t bytes) {
    if (reservation_ != nullptr) {
        reservation_->give_back(bytes);
    }
}

void TreeBuilder::distrust_later(const IndexEntry& entry) {
    const std::scoped_lock lock(mutex_);
    for (const auto& digest : entry.chunks) {
        corrupt_.push_back(ChunkKey::of(digest));
    }
}

void TreeBuilder::apply_distrust() {
    for (const auto& key : corrupt_) {
        installed_.distrust(key);
    }
    corrupt_.clear();
}

Result<> TreeBuilder::make_directories() {
    for (const auto number : tree_.directories) {
        const auto& entry = tree_.entries[number];
        const auto made = walkers_.at(entry.path, [&](int parent, const char* name) -> Result<> {
            if (::mkdirat(parent, name, 0700) != 0) {
                return fail_errno("create directory " + entry.path);
            }
            return {};
        });
        if (!made) {
            return made;
        }
    }
    return {};
}

Result<> TreeBuilder::link_installed(std::stop_token stop) {
    const auto tasks = (tree_.files.size() + files_per_task - 1) / files_per_task;
    auto placed = parallel_for(tasks, worker_count(), std::move(stop), [&](std::size_t task) {
        const auto end = std::min(tree_.files.size(), (task + 1) * files_per_task);
        Result<> done;
        for (auto i = task * files_per_task; done && i < end; ++i) {
            if (origins_[tree_.files[i]] == Origin::none) {
                done = place_file(tree_.files[i]);
            }
        }
        return done;
    });
    apply_distrust();
    return placed;
}

Result<> TreeBuilder::place_file(std::uint32_t file) {
    const auto& entry = tree_.entries[file];
    if (entry.chunks.empty()) {
        return make_empty(entry).map([&] { file_placed(file, Origin::written, {}); });
    }
    const auto match = installed_.find_file(entry);
    if (!match) {
        return {};
    }
    bool linked = false;
    if (match->same_mode) {
        const auto tried = walkers_.at(entry.path, [&](int parent, const char* name) -> Result<> {
            linked = ::linkat(AT_FDCWD, match->file.c_str(), parent, name, 0) == 0;
            return {}; // EMLINK, EPERM, EXDEV: a copy does as well.
        });
        if (!tried) {
            return tried;
        }
    }
    if (linked) {
        file_placed(file, Origin::linked, match->seals);
        return {};
    }
    return copy_file(file, *match);
}

Result<> TreeBuilder::copy_file(std::uint32_t file, const InstalledContent::Match& from) {
    const auto& entry = tree_.entries[file];
    const auto source = open_file(from.file, O_RDONLY | O_NOFOLLOW);
    if (!source) {
        distrust_later(entry); // Taken away by hand: fetch it.
        return {};
    }
    give_back(entry.bytes);
    return walkers_.at(entry.path, [&](int parent, const char* name) -> Result<> {
        const Fd to(
            ::openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
        if (!to) {
            return fail_errno("create " + entry.path);
        }
        if (auto copied = clone_or_copy(source->get(), to.get(), entry.bytes, entry.path);
            !copied) {
            return copied;
        }
        if (::fchmod(to.get(), installed_mode(entry)) != 0) {
            return fail_errno("change the mode of " + entry.path);
        }
        file_placed(file, Origin::copied, from.seals);
        return {};
    });
}

void TreeBuilder::file_placed(std::uint32_t file, Origin origin, std::span<const Seal> seals) {
    const auto& entry = tree_.entries[file];
    {
        const std::scoped_lock lock(mutex_);
        origins_[file] = origin;
        mark(file, true);
        if (origin == Origin::linked) {
            ++report_.linked_files;
            report_.linked_bytes += entry.bytes;
        } else if (origin == Origin::copied) {
            ++report_.copied_files;
            report_.copied_bytes += entry.bytes;
        }
    }
    progress_.add(entry.bytes);
    for (std::uint32_t i = 0; i < entry.chunks.size(); ++i) {
        tell({file, i, origin != Origin::linked, {}, seals.empty() ? Seal{} : seals[i]});
    }
}

void TreeBuilder::tell(const PlacedChunk& placed) const {
    if (on_placed_) {
        on_placed_(placed);
    }
}

Result<> TreeBuilder::make_empty(const IndexEntry& entry) {
    return write_whole(entry, {});
}

Result<> TreeBuilder::make_large(std::uint32_t file) {
    const auto& entry = tree_.entries[file];
    origins_[file] = Origin::written;
    give_back(entry.bytes);
    return walkers_.at(entry.path, [&](int parent, const char* name) -> Result<> {
        const Fd fd(
            ::openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
        if (!fd) {
            return fail_errno("create " + entry.path);
        }
        const auto length = static_cast<off_t>(entry.bytes);
        if (::fallocate(fd.get(), 0, 0, length) != 0 &&
            (errno != EOPNOTSUPP || ::ftruncate(fd.get(), length) != 0)) {
            return fail_errno("make room for " + entry.path);
        }
        return {};
    });
}

Result<> TreeBuilder::copy_chunks(std::stop_token stop) {
    std::vector<ChunkKey> keys;
    for (const auto& target : targets_) {
        if (target.placed) {
            continue;
        }
        if (is_large(tree_.entries[target.file]) && origins_[target.file] == Origin::none) {
            if (auto made = make_large(target.file); !made) {
                return made;
            }
        }
        if (installed_.chunks().contains(target.key) &&
            (keys.empty() || keys.back() != target.key)) {
            keys.push_back(target.key);
        }
    }
    auto copied = parallel_for(keys.size(), worker_count(), std::move(stop),
                               [&](std::size_t i) { return copy_chunk(keys[i]); });
    apply_distrust();
    return copied;
}

Result<> TreeBuilder::copy_chunk(const ChunkKey& key) {
    const auto place = installed_.find_chunk(key);
    const auto bytes = place ? place->map() : fail(Errc::not_found, "chunk");
    const auto digest = bytes ? sha256(bytes->bytes()) : Sha256Digest{};
    if (!bytes || ChunkKey::of(digest) != key) {
        const std::scoped_lock lock(mutex_);
        corrupt_.push_back(key);
        return {};
    }
    return place_chunk(digest, bytes->bytes()).map([&] {
        const std::scoped_lock lock(mutex_);
        report_.copied_bytes += bytes->bytes().size();
    });
}

Result<> TreeBuilder::place_chunk(const Sha256Digest& digest, ByteSpan bytes) {
    for (auto& target : targets_of(ChunkKey::of(digest))) {
        {
            const std::scoped_lock lock(mutex_);
            if (std::exchange(target.placed, true)) {
                continue;
            }
        }
        const auto& entry = tree_.entries[target.file];
        if (entry.chunks[target.chunk] != digest ||
            chunk_length(entry.bytes, target.chunk) != bytes.size()) {
            return fail(Errc::verification_failed, entry.path + ": wrong content");
        }
        auto written = is_large(entry) ? write_part(target, bytes) : write_whole(entry, bytes);
        if (!written) {
            return written;
        }
        if (!is_large(entry)) {
            const std::scoped_lock lock(mutex_);
            origins_[target.file] = Origin::written;
        }
        progress_.add(bytes.size());
        tell({target.file, target.chunk, true, bytes});
    }
    return {};
}

Result<> TreeBuilder::write_whole(const IndexEntry& entry, ByteSpan bytes) {
    give_back(bytes.size());
    return walkers_.at(entry.path, [&](int parent, const char* name) -> Result<> {
        const Fd fd(
            ::openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
        if (!fd) {
            return fail_errno("create " + entry.path);
        }
        if (auto written = write_all(fd.get(), bytes, entry.path); !written) {
            return written;
        }
        if (::fchmod(fd.get(), installed_mode(entry)) != 0) {
            return fail_errno("change the mode of " + entry.path);
        }
        if (bytes.size() >= early_writeback_bytes) {
            (void)::sync_file_range(fd.get(), 0, 0, SYNC_FILE_RANGE_WRITE);
        }
        return {};
    });
}

Result<> TreeBuilder::write_part(const Target& target, ByteSpan bytes) {
    const auto& entry = tree_.entries[target.file];
    const auto offset = target.chunk * chunk_bytes_max;
    return walkers_.at(entry.path, [&](int parent, const char* name) -> Result<> {
        const Fd fd(::openat(parent, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC));
        if (!fd) {
            return fail_errno("open " + entry.path);
        }
        auto written = pwrite_all(fd.get(), bytes, offset, entry.path);
        (void)::sync_file_range(fd.get(), static_cast<off_t>(offset),
                                static_cast<off_t>(bytes.size()), SYNC_FILE_RANGE_WRITE);
        return written;
    });
}

Result<std::optional<ChunkTarget>> TreeBuilder::open_target(const ChunkKey& key) {
    const auto targets = targets_of(key);
    std::unique_lock lock(mutex_);
    const auto free = std::ranges::find_if(targets, [&](const Target& target) {
        return !target.placed && is_large(tree_.entries[target.file]);
    });
    lock.unlock();
    if (free == targets.end()) {
        return std::nullopt;
    }
    const auto& entry = tree_.entries[free->file];
    ChunkTarget target{{},
                       free->chunk * chunk_bytes_max,
                       chunk_length(entry.bytes, free->chunk),
                       free->file,
                       free->chunk};
    return walkers_
        .at(entry.path,
            [&](int parent, const char* name) -> Result<> {
                target.fd = Fd(::openat(parent, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC));
                return target.fd ? Result<>{} : fail_errno("open " + entry.path);
            })
        .map([&] { return std::optional(std::move(target)); });
}

Result<> TreeBuilder::place_written(const ChunkTarget& target, const Sha256Digest& digest) {
    const auto& entry = tree_.entries[target.file];
    if (entry.chunks[target.chunk] != digest) {
        return fail(Errc::verification_failed, entry.path + ": wrong content");
    }
    (void)::sync_file_range(target.fd.get(), static_cast<off_t>(target.offset),
                            static_cast<off_t>(target.bytes), SYNC_FILE_RANGE_WRITE);
    const auto targets = targets_of(ChunkKey::of(digest));
    {
        const std::scoped_lock lock(mutex_);
        const Target sought{ChunkKey::of(digest), target.file, target.chunk};
        std::ranges::lower_bound(targets, sought, before)->placed = true;
        origins_[target.file] = Origin::written;
    }
    progress_.add(target.bytes);
    tell({target.file, target.chunk, true});
    if (targets.size() == 1) {
        return {};
    }
    return MappedFile::map(target.fd.get(), target.offset, target.bytes, false, entry.path)
        .and_then([&](const MappedFile& bytes) { return place_chunk(digest, bytes.bytes()); });
}

} // namespace slipway::agent
