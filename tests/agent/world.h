#pragma once

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/core/tree.h"
#include "agent/io/block_decoder.h"
#include "agent/io/read_back.h"
#include "agent/io/release_store.h"
#include "agent/io/tree_builder.h"
#include "agent/io/tree_verifier.h"
#include "common/delta/codec.h"
#include "common/format/plan.h"
#include "tests/fakes/temporary_directory.h"

namespace slipway::agent::world {

inline IndexEntry directory(std::string path, std::uint32_t mode = 0755) {
    IndexEntry entry;
    entry.path = std::move(path);
    entry.kind = EntryKind::directory;
    entry.mode = mode;
    return entry;
}
inline IndexEntry file(std::string path, const std::string& content, std::uint32_t mode = 0644) {
    IndexEntry entry;
    entry.path = std::move(path);
    entry.mode = mode;
    entry.bytes = content.size();
    for (std::size_t at = 0; at < content.size(); at += chunk_bytes_max) {
        entry.chunks.push_back(sha256(as_bytes(content.substr(at, chunk_bytes_max))));
    }
    return entry;
}
inline IndexEntry link(std::string path, std::string target, EntryKind kind) {
    IndexEntry entry;
    entry.path = std::move(path);
    entry.kind = kind;
    entry.target = std::move(target);
    return entry;
}

inline Bytes index_of(const std::vector<IndexEntry>& entries) {
    Bytes bytes;
    IndexWriter writer([&](ByteSpan piece) -> Result<> {
        bytes.insert(bytes.end(), piece.begin(), piece.end());
        return {};
    });
    for (const auto& entry : entries) {
        if (!writer.add(entry)) {
            return {};
        }
    }
    (void)writer.finish();
    return bytes;
}

/// A pack in memory: blocks are added one by one.
class Pack {
public:
    void add(const std::vector<std::string>& chunks) {
        std::string raw;
        for (const auto& chunk : chunks) {
            raw += chunk;
        }
        add_block(encode_full(as_bytes(raw), {}), {}, chunks);
    }
    void add_patch(const std::string& base, const std::string& chunk) {
        add_block(encode_patch(as_bytes(chunk), as_bytes(base), {}), {base}, {chunk});
    }
    [[nodiscard]] PackBytes bytes() const { return {&toc_, bytes_, "test"}; }
    [[nodiscard]] const PackToc& toc() const { return toc_; }
    Bytes& raw() { return bytes_; }

private:
    static ChunkRef ref(const std::string& chunk) {
        return {ChunkKey::of(sha256(as_bytes(chunk))), chunk.size()};
    }
    void add_block(const Encoded& encoded, const std::vector<std::string>& bases,
                   const std::vector<std::string>& chunks) {
        Block block;
        block.offset = bytes_.size();
        block.encoded_bytes = encoded.bytes.size();
        block.codec = encoded.codec;
        for (const auto& base : bases) {
            block.bases.push_back(ref(base));
        }
        for (const auto& chunk : chunks) {
            block.chunks.push_back(ref(chunk));
        }
        bytes_.insert(bytes_.end(), encoded.bytes.begin(), encoded.bytes.end());
        toc_.blocks.push_back(std::move(block));
    }
    PackToc toc_;
    Bytes bytes_ = {'S', 'L', 'I', 'P', 'P', 'A', 'K', '1'};
};

/// One host, and releases built on it the way that the installer does.
struct Host {
    fakes::TemporaryDirectory home;
    RealFileOps disk;
    ServicePaths paths{"web", home.path() / "services/web"};
    ReleaseStore store{disk, paths};
    Progress progress{ProgressStyle::none};
    std::unique_ptr<ReadBack> read_back;

    struct Built {
        BuildReport report;
        int rounds = 0;
        std::vector<TreeFault> faults;
    };

    /// Builds and adopts version `version`. `pack` must lead to every chunk that is missing.
    Result<Built> build(const std::string& version, const std::vector<IndexEntry>& entries,
                        const Pack& pack) {
        if (auto recovered = store.recover("now"); !recovered) {
            return tl::unexpected(recovered.error());
        }
        const auto index = index_of(entries);
        const auto tree = read_tree(index, version).value();
        auto installed = InstalledContent::read(store).value();
        const auto staged = paths.staging() / "tree";
        std::filesystem::create_directories(staged);
        std::filesystem::create_directories(paths.staging() / "scratch");
        auto builder = TreeBuilder::start(staged, tree, installed, progress).value();
        BlockDecoder decoder(*builder, installed, paths.staging() / "scratch");
        read_back = ReadBack::start(staged, tree, SealKey{1}, progress).value();
        builder->on_placed([&](const PlacedChunk& placed) { read_back->add(placed); });
        if (auto made = builder->make_directories(); !made) {
            return tl::unexpected(made.error());
        }
        Built built;
        for (built.rounds = 1; built.rounds < 5; ++built.rounds) {
            auto right = round(*builder, decoder, tree, installed, pack);
            if (!right) {
                return tl::unexpected(right.error());
            }
            if (*right) {
                break;
            }
        }
        read_back.reset();
        built.report = builder->report();
        return adopt(version, index).map([&] { return built; });
    }

    Result<bool> round(TreeBuilder& builder, BlockDecoder& decoder, const Tree& tree,
                       InstalledContent& installed, const Pack& pack) {
        const PlanPack plan_pack{&pack.toc()};
        const PackBytes bytes = pack.bytes();
        const auto wanted = builder.wanted();
        PlanInput input;
        input.wanted = wanted;
        input.available = &installed.chunks();
        input.distrusted = &installed.distrusted();
        input.packs = {&plan_pack, 1};
        const auto plan = make_plan(input);
        if (!plan) {
            return tl::unexpected(plan.error());
        }
        return builder.link_installed({})
            .and_then([&] { return builder.copy_chunks({}); })
            .and_then([&] { return decoder.decode(*plan, {&bytes, 1}, {}); })
            .and_then([&](bool decoded) -> Result<bool> {
                if (!decoded || !builder.is_complete()) {
                    return false;
                }
                return builder.finish().and_then([&] { return check(builder, tree); });
            });
    }

    Result<bool> check(TreeBuilder& builder, const Tree& tree) {
        read_back->synced();
        auto faults = read_back->finish({});
        const auto names =
            verify_tree(paths.staging() / "tree", tree, {.read_contents = false}, progress, {});
        if (!faults || !names) {
            return tl::unexpected(faults ? names.error() : faults.error());
        }
        faults->insert(faults->end(), names->begin(), names->end());
        for (const auto& fault : *faults) {
            if (fault.entry == TreeFault::none) {
                return fail(std::make_error_code(std::errc::io_error), fault.path);
            }
            if (auto rejected = builder.reject(fault.entry); !rejected) {
                return tl::unexpected(rejected.error());
            }
        }
        return faults->empty();
    }

    Result<> adopt(const std::string& version, const Bytes& index) {
        const ReleaseRecord record{{"web", version}, sha256(index), version, 1, 1};
        const auto staged = paths.staging() / "record";
        std::filesystem::create_directories(staged);
        return replace_file(staged / "index", index)
            .and_then([&] {
                return replace_file(staged / "release.json",
                                    as_bytes(encode_release_record(record)));
            })
            .and_then([&] { return store.adopt(record.id(), paths.staging() / "tree", staged); })
            .and_then([&] { return store.recover("now"); })
            .and_then([&](const History& history) {
                return store.activate(history, after_install(history, record.id(), "now"));
            });
    }

    [[nodiscard]] std::string content(const std::string& path) const {
        std::ifstream in(paths.current() / path, std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }
    [[nodiscard]] std::vector<TreeFault> verify(const std::vector<IndexEntry>& entries) {
        const auto tree = read_tree(index_of(entries), "test").value();
        return verify_tree(paths.current() / "", tree, {}, progress, {}).value();
    }
    /// Overwrites a file of the current release, read-only or not.
    void damage(const std::string& path, const std::string& content) const {
        const auto file = paths.current() / path;
        std::filesystem::permissions(file, std::filesystem::perms::owner_write,
                                     std::filesystem::perm_options::add);
        std::ofstream(file, std::ios::binary | std::ios::trunc) << content;
        std::filesystem::permissions(file, std::filesystem::perms::owner_write,
                                     std::filesystem::perm_options::remove);
    }
};

/// `bytes` that do not compress, the same for the same seed.
inline std::string noise(std::size_t bytes, std::uint64_t seed) {
    std::string text(bytes, '\0');
    for (auto& c : text) {
        seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
        c = static_cast<char>(seed >> 56U);
    }
    return text;
}

} // namespace slipway::agent::world
