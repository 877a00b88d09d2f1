#include "common/repository/content.h"

#include <algorithm>
#include <tuple>

#include "common/core/errc.h"
#include "common/io/parallel.h"
#include "common/repository/change_check.h"

namespace slipway {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t read_bytes = std::size_t{256} * 1024;

} // namespace

Result<Content> Content::scan(Tree tree, const fs::path& temporary, Progress* progress,
                              const std::stop_token& stop) {
    Content content(std::move(tree));
    const auto& names = content.tree_.names();
    std::uint64_t total = 0;
    std::vector<std::size_t> files;
    content.first_digest_.push_back(0);
    for (std::size_t i = 0; i < names.size(); ++i) {
        std::uint64_t chunks = 0;
        if (names[i].kind == EntryKind::file) {
            chunks = chunk_count(names[i].stamp.bytes);
            total += names[i].stamp.bytes;
            files.push_back(i);
        }
        content.first_digest_.push_back(content.first_digest_.back() + chunks);
    }
    content.digests_.resize(content.first_digest_.back());
    content.checks_.resize(content.first_digest_.back());
    if (auto fits = content.check_index_length(); !fits) {
        return tl::unexpected(fits.error());
    }
    if (progress != nullptr) {
        progress->phase("hash", total);
    }
    auto hashed = parallel_for(files.size(), worker_count(), stop, [&](std::size_t i) {
        return content.hash_file(files[i], progress);
    });
    if (!hashed) {
        return tl::unexpected(hashed.error());
    }
    if (auto written = content.write_index(temporary); !written) {
        return tl::unexpected(written.error());
    }
    content.list_chunks();
    return content;
}

Result<> Content::hash_file(std::size_t number, Progress* progress) {
    thread_local Bytes buffer(read_bytes);
    thread_local Sha256 hash;
    const auto& name = tree_.names()[number];
    const auto fd = tree_.open(name);
    if (!fd) {
        return tl::unexpected(fd.error());
    }
    ChangeCheck check;
    auto chunk = first_digest_[number];
    for (std::uint64_t at = 0; at < name.stamp.bytes;) {
        const auto now = std::min<std::uint64_t>(buffer.size(), name.stamp.bytes - at);
        const auto piece = std::span(buffer).first(now);
        if (auto read = pread_all(fd->get(), piece, at, tree_.shown(name)); !read) {
            return read.error().code == Errc::verification_failed
                       ? fail(Errc::changed, tree_.shown(name))
                       : read;
        }
        hash.update(piece);
        check.update(piece);
        at += now;
        // Runs are a multiple of the buffer, so a piece never spans two.
        if (at % chunk_bytes_max == 0 || at == name.stamp.bytes) {
            digests_[chunk] = hash.finish();
            checks_[chunk] = check.finish();
            ++chunk;
        }
        if (progress != nullptr) {
            progress->add(now);
        }
    }
    return tree_.check_unchanged(name, fd->get());
}

IndexEntry Content::entry_of(std::size_t number) const {
    const auto& name = tree_.names()[number];
    IndexEntry entry;
    entry.path = name.path;
    entry.kind = name.kind;
    entry.mode = name.mode;
    entry.linked = name.linked;
    entry.target = name.kind == EntryKind::hard_link ? tree_.names()[name.first].path : name.target;
    if (name.kind == EntryKind::file) {
        entry.bytes = name.stamp.bytes;
        const auto own = digests(number);
        entry.chunks.assign(own.begin(), own.end());
    }
    return entry;
}

Result<> Content::write_index(const fs::path& temporary) {
    auto file = TemporaryFile::create(temporary, "index");
    if (!file) {
        return tl::unexpected(file.error());
    }
    index_ = std::move(*file);
    Sha256 hash;
    return write_entries([&](ByteSpan piece) {
               hash.update(piece);
               index_bytes_ += piece.size();
               return write_all(index_.fd(), piece, index_.path());
           })
        .map([&](const IndexSummary& summary) {
            summary_ = summary;
            index_digest_ = hash.finish();
        });
}

Result<IndexSummary> Content::write_entries(const std::function<Result<>(ByteSpan)>& write) const {
    IndexWriter writer(write);
    for (std::size_t i = 0; i < tree_.names().size(); ++i) {
        if (auto added = writer.add(entry_of(i)); !added) {
            return tl::unexpected(added.error());
        }
    }
    return writer.finish();
}

Result<> Content::check_index_length() const {
    std::uint64_t bytes = 0; // Digests are not known yet; their length is.
    return write_entries([&](ByteSpan piece) -> Result<> {
               bytes += piece.size();
               return bytes <= index_bytes_max
                          ? Result<>{}
                          : fail(Errc::failed,
                                 "the tree has too many names for one artifact: its " +
                                     std::to_string(tree_.names().size()) +
                                     " names make a file index over 64 MiB, which is room for "
                                     "about a million; publish it as several artifacts");
           })
        .map([](const IndexSummary&) {});
}

void Content::list_chunks() {
    chunks_.push_back({Chunk::index_name, 0});
    for (std::size_t name = 0; name < tree_.names().size(); ++name) {
        for (std::size_t i = 0; i < digests(name).size(); ++i) {
            chunks_.push_back({static_cast<std::uint32_t>(name), static_cast<std::uint32_t>(i)});
        }
    }
    const auto place = [](Chunk chunk) {
        return std::tuple(!chunk.is_index(), chunk.name, chunk.chunk);
    };
    std::ranges::sort(chunks_, {},
                      [&](Chunk chunk) { return std::tuple(digest_of(chunk), place(chunk)); });
    const auto twice = std::ranges::unique(
        chunks_, [&](Chunk left, Chunk right) { return digest_of(left) == digest_of(right); });
    chunks_.erase(twice.begin(), twice.end());
    std::ranges::sort(chunks_, {}, place);
    chunks_.shrink_to_fit();
}

std::span<const Sha256Digest> Content::digests(std::size_t name) const {
    return std::span(digests_).subspan(first_digest_[name],
                                       first_digest_[name + 1] - first_digest_[name]);
}

const Sha256Digest& Content::digest_of(Chunk chunk) const {
    return chunk.is_index() ? index_digest_ : digests(chunk.name)[chunk.chunk];
}

ChunkRef Content::ref_of(Chunk chunk) const {
    const auto bytes = chunk.is_index()
                           ? index_bytes_
                           : chunk_length(tree_.names()[chunk.name].stamp.bytes, chunk.chunk);
    return {ChunkKey::of(digest_of(chunk)), bytes};
}

std::string_view Content::path_of(Chunk chunk) const {
    return chunk.is_index() ? std::string_view{} : tree_.names()[chunk.name].path;
}

Result<> Content::read_into(Chunk chunk, std::span<std::uint8_t> out) const {
    if (chunk.is_index()) {
        return pread_all(index_.fd(), out, 0, index_.path());
    }
    const auto& name = tree_.names()[chunk.name];
    return tree_.read_chunk(name, chunk.chunk, out).and_then([&]() -> Result<> {
        ChangeCheck check;
        check.update(out);
        return check.finish() == checks_[first_digest_[chunk.name] + chunk.chunk]
                   ? Result<>{}
                   : fail(Errc::changed, tree_.shown(name));
    });
}

std::uint64_t Content::total_bytes(std::span<const Chunk> chunks) const {
    std::uint64_t total = 0;
    for (const auto& chunk : chunks) {
        total += ref_of(chunk).bytes;
    }
    return total;
}

Result<> Content::read_all(std::span<const Chunk> chunks, std::span<std::uint8_t> out) const {
    for (const auto& chunk : chunks) {
        const auto bytes = ref_of(chunk).bytes;
        if (auto read = read_into(chunk, out.first(bytes)); !read) {
            return read;
        }
        out = out.subspan(bytes);
    }
    return {};
}

Result<Bytes> Content::read(Chunk chunk) const {
    Bytes bytes(ref_of(chunk).bytes);
    return read_into(chunk, bytes).map([&] { return std::move(bytes); });
}

} // namespace slipway
