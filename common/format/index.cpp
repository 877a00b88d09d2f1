#include "common/format/index.h"

#include <algorithm>
#include <cassert>

#include "common/core/errc.h"
#include "common/format/index_rules.h"

namespace slipway {
namespace {

constexpr std::string_view index_magic = "SLIPIDX1";
constexpr std::size_t sink_piece_bytes = std::size_t{64} * 1024;

// Kinds as they stand in the file. A linked file has a kind of its own.
constexpr std::uint8_t wire_end = 0;
constexpr std::uint8_t wire_linked_file = 5;

// Names hold neither '/' nor zero, so with '/' counted as zero the order of whole paths is the
// order of their components.
int rank(char c) {
    return c == '/' ? 0 : static_cast<unsigned char>(c);
}

std::size_t shared_length(std::string_view left, std::string_view right) {
    const auto [at, unused] = std::mismatch(
        left.begin(),
        left.begin() + static_cast<std::ptrdiff_t>(std::min(left.size(), right.size())),
        right.begin());
    return static_cast<std::size_t>(at - left.begin());
}

} // namespace

std::uint64_t chunk_count(std::uint64_t file_bytes) {
    return file_bytes / chunk_bytes_max + (file_bytes % chunk_bytes_max != 0 ? 1 : 0);
}

std::uint64_t chunk_length(std::uint64_t file_bytes, std::uint64_t i) {
    assert(i < chunk_count(file_bytes));
    return std::min(chunk_bytes_max, file_bytes - i * chunk_bytes_max);
}

bool index_order(std::string_view left, std::string_view right) {
    const auto shared = shared_length(left, right);
    if (shared == left.size() || shared == right.size()) {
        return left.size() < right.size();
    }
    return rank(left[shared]) < rank(right[shared]);
}

struct IndexWriter::State {
    Sink sink;
    IndexRules rules;
    Bytes pending;

    Result<> flush() {
        auto written = sink(pending);
        pending.clear();
        return written;
    }
};

IndexWriter::IndexWriter(Sink sink) : state_(std::make_unique<State>()) {
    state_->sink = std::move(sink);
    ByteWriter(state_->pending).raw(as_bytes(index_magic));
}
IndexWriter::~IndexWriter() = default;

Result<> IndexWriter::add(const IndexEntry& entry) {
    const auto shared = shared_length(state_->rules.last_path(), entry.path);
    if (const auto broken = state_->rules.check(entry)) {
        return fail(Errc::failed, "'" + entry.path + "' cannot be in a file index: " + *broken);
    }
    ByteWriter out(state_->pending);
    out.u8(entry.linked ? wire_linked_file : static_cast<std::uint8_t>(entry.kind));
    out.varint(shared);
    out.varint(entry.path.size() - shared);
    out.raw(as_bytes(std::string_view(entry.path).substr(shared)));
    if (entry.kind == EntryKind::symlink || entry.kind == EntryKind::hard_link) {
        out.varint(entry.target.size());
        out.raw(as_bytes(entry.target));
    } else {
        out.varint(entry.mode);
    }
    if (entry.kind == EntryKind::file) {
        out.varint(entry.bytes);
        for (const auto& digest : entry.chunks) {
            out.raw(digest.bytes);
        }
    }
    return state_->pending.size() < sink_piece_bytes ? Result<>{} : state_->flush();
}

Result<IndexSummary> IndexWriter::finish() {
    if (const auto broken = state_->rules.finish()) {
        return fail(Errc::failed, "the file index is not whole: " + *broken);
    }
    const auto& summary = state_->rules.summary();
    ByteWriter out(state_->pending);
    out.u8(wire_end);
    out.varint(summary.entries);
    out.varint(summary.files);
    out.varint(summary.tree_bytes);
    return state_->flush().map([&] { return summary; });
}

struct IndexReader::State {
    ByteReader in;
    IndexRules rules;
    bool begun = false;
    bool ended = false;

    State(ByteSpan bytes, std::string what) : in(bytes, std::move(what)) {}
    Result<> begin();
    Result<> end();
    Result<std::string> read_path();
    Result<std::string> read_text(std::string_view field);
    Result<> read_chunks(IndexEntry& entry);
    Result<IndexEntry> read_entry(std::uint8_t wire_kind);
};

Result<> IndexReader::State::begin() {
    const auto magic = in.raw(index_magic.size(), "the magic");
    if (!magic || as_text(*magic) != index_magic) {
        return in.malformed("not a file index of version 1");
    }
    begun = true;
    return {};
}

Result<> IndexReader::State::end() {
    const auto& summary = rules.summary();
    for (const auto expected : {summary.entries, summary.files, summary.tree_bytes}) {
        const auto value = in.varint(tree_bytes_max, "the summary");
        if (!value) {
            return tl::unexpected(value.error());
        }
        if (*value != expected) {
            return in.malformed("the summary does not fit the entries");
        }
    }
    if (!in.at_end()) {
        return in.malformed("bytes after the end");
    }
    if (const auto broken = rules.finish()) {
        return in.malformed(*broken);
    }
    ended = true;
    return {};
}

Result<std::string> IndexReader::State::read_path() {
    const auto& last = rules.last_path();
    const auto shared = in.varint(last.size(), "a shared path length");
    if (!shared) {
        return tl::unexpected(shared.error());
    }
    return in.varint(path_bytes_max - *shared, "a path length")
        .and_then([&](std::uint64_t length) { return in.raw(length, "a path"); })
        .and_then([&](ByteSpan rest) -> Result<std::string> {
            std::string path = last.substr(0, *shared);
            path += as_text(rest);
            // One form for one tree: the shared part is as long as it can be.
            if (shared_length(last, path) != *shared) {
                return in.malformed("a shared path length is too short");
            }
            return path;
        });
}

Result<std::string> IndexReader::State::read_text(std::string_view field) {
    return in.varint(path_bytes_max, field)
        .and_then([&](std::uint64_t length) { return in.raw(length, field); })
        .map([](ByteSpan bytes) { return std::string(as_text(bytes)); });
}

Result<> IndexReader::State::read_chunks(IndexEntry& entry) {
    return in.varint(file_bytes_max, "a file's length")
        .and_then([&](std::uint64_t bytes) {
            entry.bytes = bytes;
            return in.raw(chunk_count(bytes) * sizeof(Sha256Digest), "a file's digests");
        })
        .map([&](ByteSpan digests) {
            entry.chunks.resize(digests.size() / sizeof(Sha256Digest));
            for (std::size_t i = 0; i < entry.chunks.size(); ++i) {
                const auto digest = digests.subspan(i * sizeof(Sha256Digest), sizeof(Sha256Digest));
                std::ranges::copy(digest, entry.chunks[i].bytes.begin());
            }
        });
}

Result<IndexEntry> IndexReader::State::read_entry(std::uint8_t wire_kind) {
    if (wire_kind > wire_linked_file) {
        return in.malformed("unknown kind of entry");
    }
    IndexEntry entry;
    entry.linked = wire_kind == wire_linked_file;
    entry.kind = entry.linked ? EntryKind::file : static_cast<EntryKind>(wire_kind);
    auto path = read_path();
    if (!path) {
        return tl::unexpected(path.error());
    }
    entry.path = std::move(*path);
    Result<> rest;
    if (entry.kind == EntryKind::symlink || entry.kind == EntryKind::hard_link) {
        rest = read_text("a link's target").map([&](std::string text) {
            entry.target = std::move(text);
        });
    } else {
        rest = in.varint(07777, "a mode").map([&](std::uint64_t mode) {
            entry.mode = static_cast<std::uint32_t>(mode);
        });
    }
    if (rest && entry.kind == EntryKind::file) {
        rest = read_chunks(entry);
    }
    if (!rest) {
        return tl::unexpected(rest.error());
    }
    return entry;
}

IndexReader::IndexReader(ByteSpan bytes, std::string what)
    : state_(std::make_unique<State>(bytes, std::move(what))) {}
IndexReader::~IndexReader() = default;
IndexReader::IndexReader(IndexReader&&) noexcept = default;
IndexReader& IndexReader::operator=(IndexReader&&) noexcept = default;

Result<std::optional<IndexEntry>> IndexReader::next() {
    assert(!state_->ended);
    if (!state_->begun) {
        if (auto begun = state_->begin(); !begun) {
            return tl::unexpected(begun.error());
        }
    }
    const auto wire_kind = state_->in.u8();
    if (!wire_kind) {
        return tl::unexpected(wire_kind.error());
    }
    if (*wire_kind == wire_end) {
        return state_->end().map([] { return std::optional<IndexEntry>(); });
    }
    auto entry = state_->read_entry(*wire_kind);
    if (!entry) {
        return tl::unexpected(entry.error());
    }
    if (const auto broken = state_->rules.check(*entry)) {
        return state_->in.malformed("'" + entry->path + "': " + *broken);
    }
    return std::optional<IndexEntry>(std::move(*entry));
}

const IndexSummary& IndexReader::summary() const {
    return state_->rules.summary();
}

Result<IndexSummary> for_each_entry(ByteSpan index, std::string_view what,
                                    const std::function<Result<>(const IndexEntry&)>& visit) {
    IndexReader reader(index, std::string(what));
    while (true) {
        auto entry = reader.next();
        if (!entry) {
            return tl::unexpected(entry.error());
        }
        if (!*entry) {
            return reader.summary();
        }
        if (auto visited = visit(**entry); !visited) {
            return tl::unexpected(visited.error());
        }
    }
}

} // namespace slipway
