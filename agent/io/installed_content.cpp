#include "agent/io/installed_content.h"

#include <algorithm>
#include <fcntl.h>

#include "common/core/errc.h"

namespace slipway::agent {
namespace fs = std::filesystem;
namespace {

// None if they are missing or damaged: the files are then compared by SHA-256.
std::vector<Seal> read_seals(const fs::path& record, std::size_t count) {
    const auto bytes = read_file(record / record_file::seals, seals_bytes(count));
    return bytes ? decode_seals(*bytes, count).value_or(std::vector<Seal>{}) : std::vector<Seal>{};
}

} // namespace

Result<MappedFile> ChunkPlace::map() const {
    return open_file(file, O_RDONLY | O_NOFOLLOW).and_then([&](const Fd& fd) -> Result<MappedFile> {
        std::error_code ec;
        const auto length = fs::file_size(file, ec);
        if (ec || length < offset + bytes) { // Reading past the end of a mapping is SIGBUS.
            return fail(Errc::verification_failed,
                        file.string() + " is shorter than its index says");
        }
        return MappedFile::map(fd.get(), offset, bytes, false, file);
    });
}

Result<InstalledContent> InstalledContent::read(const ReleaseStore& store) {
    InstalledContent content;
    const auto current = store.current();
    if (!current) {
        return tl::unexpected(current.error());
    }
    if (*current && store.is_whole(**current)) {
        content.add_release(store, **current); // First: its files are the ones to link.
    }
    return store.installed().map([&](const std::vector<ReleaseRecord>& records) {
        for (const auto& record : records) {
            if (record.id() != *current) {
                content.add_release(store, record.id());
            }
        }
        return std::move(content);
    });
}

void InstalledContent::add_release(const ReleaseStore& store, const ReleaseId& id) {
    const auto record = store.paths().record(id);
    const auto index = MappedFile::open(record / record_file::index);
    if (!index) {
        return;
    }
    const auto tree = read_tree(index->bytes(), (record / record_file::index).string());
    if (!tree) {
        return;
    }
    const auto root = static_cast<std::uint32_t>(roots_.size());
    roots_.push_back({store.paths().release(id), read_seals(record, chunks_of(*tree))});
    std::size_t seal = 0;
    for (const auto number : tree->files) {
        add_file(root, tree->entries[number], seal);
        seal += tree->entries[number].chunks.size();
    }
    // An index is a chunk too: the next release's is often a patch against it.
    if (!index->bytes().empty() && index->bytes().size() <= chunk_bytes_max) {
        IndexEntry entry;
        entry.path = record_file::index;
        entry.bytes = index->bytes().size();
        entry.chunks = {sha256(index->bytes())};
        roots_.push_back({record, {}});
        add_file(root + 1, entry, 0);
    }
}

void InstalledContent::add_file(std::uint32_t root, const IndexEntry& entry,
                                std::size_t first_seal) {
    if (entry.chunks.empty()) {
        return;
    }
    const auto number = static_cast<std::uint32_t>(files_.size());
    files_.push_back({root, installed_mode(entry), entry.bytes, entry.path, first_seal});
    by_content_.emplace(content_key(entry), number);
    for (std::uint32_t i = 0; i < entry.chunks.size(); ++i) {
        const auto key = ChunkKey::of(entry.chunks[i]);
        by_chunk_.try_emplace(key, ChunkAt{number, i});
        chunks_.insert(key);
    }
}

std::optional<InstalledContent::Match> InstalledContent::find_file(const IndexEntry& entry) const {
    if (std::ranges::any_of(entry.chunks, [&](const Sha256Digest& digest) {
            return !chunks_.contains(ChunkKey::of(digest));
        })) {
        return std::nullopt;
    }
    std::optional<Match> found;
    auto [it, end] = by_content_.equal_range(content_key(entry));
    for (; it != end; ++it) {
        const auto& file = files_[it->second];
        if (file.bytes != entry.bytes) {
            continue;
        }
        const bool same_mode = file.mode == installed_mode(entry);
        // The same path is what the release before had: its mode and neighbours are alike.
        if (!found || (same_mode && (!found->same_mode || file.path == entry.path))) {
            const auto& seals = roots_[file.root].seals;
            found = Match{path_of(file), same_mode,
                          std::span(seals).subspan(seals.empty() ? 0 : file.first_seal,
                                                   seals.empty() ? 0 : entry.chunks.size())};
        }
    }
    return found;
}

std::optional<ChunkPlace> InstalledContent::find_chunk(const ChunkKey& key) const {
    const auto at = by_chunk_.find(key);
    if (at == by_chunk_.end() || !chunks_.contains(key)) {
        return std::nullopt;
    }
    const auto& file = files_[at->second.file];
    return ChunkPlace{path_of(file), at->second.number * chunk_bytes_max,
                      chunk_length(file.bytes, at->second.number)};
}

void InstalledContent::distrust(const ChunkKey& key) {
    chunks_.erase(key);
    distrusted_.insert(key);
}

} // namespace slipway::agent
