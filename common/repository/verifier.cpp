#include "common/repository/verifier.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <set>

#include <fcntl.h>

#include "common/core/errc.h"
#include "common/core/merkle.h"
#include "common/format/index.h"
#include "common/format/plan.h"
#include "common/io/parallel.h"
#include "common/repository/chunk_vault.h"
#include "common/repository/lineage.h"
#include "common/repository/ordered_work.h"
#include "common/repository/workspace.h"
#include "common/swarm/metainfo.h"

namespace slipway {
namespace fs = std::filesystem;
namespace {

constexpr std::uint64_t decode_memory_bytes = 160ULL * 1024 * 1024;

class Verification {
public:
    Verification(LocalRepository& repository, const Workspace& workspace, Progress* progress,
                 std::stop_token stop)
        : repository_(repository), workspace_(workspace), progress_(progress),
          stop_(std::move(stop)), shelf_(repository.directory()) {}

    Result<VerifyReport> run() {
        load_artifacts();
        return hash_packs().and_then([&] { return decode_packs(); }).map([&] {
            check_artifacts();
            std::ranges::sort(report_.damage);
            return std::move(report_);
        });
    }

private:
    void found(const std::string& what) {
        const std::scoped_lock lock(mutex_);
        report_.damage.push_back(what);
    }
    void found(const Error& error) { found(describe(error)); }

    void load_artifacts() {
        for (const auto& listing : repository_.listings()) {
            auto metadata = repository_.load(listing.id);
            if (!metadata) {
                found(metadata.error());
                continue;
            }
            ++report_.artifacts;
            for (const auto& pack : metadata->packs.packs) {
                packs_.try_emplace(pack.id, pack);
            }
            artifacts_.push_back(std::move(*metadata));
        }
        report_.packs = packs_.size();
    }

    Result<> hash_packs() {
        std::vector<PackEntry> packs;
        std::uint64_t total = 0;
        for (const auto& [id, pack] : packs_) {
            packs.push_back(pack);
            total += id.bytes;
        }
        phase("hash packs", total);
        auto done = parallel_for(packs.size(), worker_count(), stop_, [&](std::size_t i) {
            if (auto good = hash_pack(packs[i]); !good) {
                found(good.error());
            }
            return Result<>{};
        });
        report_.bytes = total;
        return done;
    }

    Result<> hash_pack(const PackEntry& pack) {
        const auto path = shelf_.path(pack.id);
        auto read = open_file(path, O_RDONLY).and_then([&](const Fd& fd) {
            return hash_content(fd.get(), pack, path);
        });
        if (!read) {
            return read;
        }
        const auto metainfo_path = path.string() + ".torrent";
        return read_file(metainfo_path, swarm::metainfo_bytes_max(pack.id.bytes))
            .and_then([&](const Bytes& metainfo) {
                return swarm::verify_metainfo(metainfo, pack.id, metainfo_path);
            })
            .map([](const std::vector<Sha256Digest>&) {});
    }

    Result<> hash_content(int fd, const PackEntry& pack, const fs::path& path) {
        Bytes buffer(std::size_t{1024} * 1024);
        MerkleBuilder pieces;
        for (std::uint64_t at = 0; at < pack.id.bytes;) {
            const auto now = std::min<std::uint64_t>(buffer.size(), pack.id.bytes - at);
            const auto piece = std::span(buffer).first(now);
            if (auto read = pread_all(fd, piece, at, path); !read) {
                return read;
            }
            pieces.update(piece);
            at += now;
            add(now);
        }
        std::array<std::uint8_t, 1> more{};
        const bool longer = pread_all(fd, more, pack.id.bytes, path).has_value();
        if (longer || pieces.finish().root != pack.id.root) {
            return fail(Errc::verification_failed,
                        path.string() + " does not have the pieces root that it is named by");
        }
        return {};
    }

    /// Full blocks first, then patches against chunks that the vault decodes again from full ones.
    Result<> decode_packs() {
        std::uint64_t total = 0;
        for (const auto& [id, pack] : packs_) {
            const auto toc = shelf_.toc(pack);
            if (!toc) {
                found(toc.error());
                continue;
            }
            tocs_.emplace(id, *toc);
            for (const auto& block : (*toc)->blocks) {
                total += block.raw_bytes();
            }
        }
        phase("decode", total);
        for (const auto& [id, toc] : tocs_) {
            if (auto done = decode_pack(packs_.at(id), *toc); !done) {
                return done;
            }
        }
        return {};
    }

    Result<> decode_pack(const PackEntry& pack, const PackToc& toc) {
        ChunkVault vault(shelf_, workspace_.temporary());
        std::vector<ChunkRef> bases;
        for (const auto& block : toc.blocks) {
            bases.insert(bases.end(), block.bases.begin(), block.bases.end());
        }
        if (!bases.empty()) {
            if (auto filled = vault.fill(full_packs(), bases, stop_); !filled) {
                if (is_of_this_machine(filled.error())) {
                    return filled;
                }
                found(within("bases of " + shelf_.path(pack.id).string(), filled.error()));
                return {};
            }
        }
        const auto path = shelf_.path(pack.id);
        const auto fd = open_file(path, O_RDONLY);
        if (!fd) {
            return {}; // hash_pack() has reported it.
        }
        OrderedWork<int> order;
        order.count = toc.blocks.size();
        order.workers = worker_count();
        order.memory_bytes_max = decode_memory_bytes;
        order.memory = [&](std::size_t i) {
            const auto& block = toc.blocks[i];
            return block.encoded_bytes + block.raw_bytes() + block.base_bytes();
        };
        order.work = [&](std::size_t i) {
            if (auto good = decode(toc.blocks[i], fd->get(), path, vault.places()); !good) {
                found(within(path.string() + ": block at byte " +
                                 std::to_string(toc.blocks[i].offset),
                             good.error()));
            }
            return Result<int>(0);
        };
        order.held = [](int) { return std::uint64_t{0}; };
        order.take = [&](std::size_t i, int) {
            report_.chunks += toc.blocks[i].chunks.size();
            return Result<>{};
        };
        return run_in_order(order, stop_);
    }

    Result<> decode(const Block& block, int fd, const fs::path& path, const ChunkPlaces& bases) {
        Bytes encoded(block.encoded_bytes);
        Bytes raw(block.raw_bytes());
        auto done = pread_all(fd, encoded, block.offset, path)
                        .and_then([&] { return decode_block_into(block, encoded, bases, raw); })
                        .and_then([&] {
                            return for_each_chunk(
                                block, raw, [](const ChunkRef& chunk, ByteSpan bytes) -> Result<> {
                                    return is_chunk(chunk, bytes)
                                               ? Result<>{}
                                               : fail(Errc::verification_failed,
                                                      "chunk " + to_hex(chunk.key.bytes) + "...");
                                });
                        });
        add(raw.size());
        return done;
    }

    /// Each artifact's index, and that its chunks are there in full.
    void check_artifacts() {
        for (const auto& artifact : artifacts_) {
            if (auto good = check_artifact(artifact); !good) {
                found(within(artifact.manifest.id.text(), good.error()));
            }
        }
    }

    Result<> check_artifact(const ArtifactMetadata& artifact) {
        const auto& manifest = artifact.manifest;
        const ChunkRef index{ChunkKey::of(manifest.index), manifest.index_bytes};
        std::vector<PackEntry> base_packs;
        std::vector<PlanPack> plan_packs;
        for (const auto& pack : artifact.packs.packs) {
            const auto toc = tocs_.find(pack.id);
            if (pack.role == PackRole::base && toc != tocs_.end()) {
                base_packs.push_back(pack);
                plan_packs.push_back({toc->second});
            }
        }
        ChunkVault vault(shelf_, workspace_.temporary());
        return vault.fill(base_packs, {index}, stop_)
            .and_then([&] { return vault.read(index); })
            .and_then([&](const ChunkBytes& bytes) {
                return check_index(artifact, bytes.bytes(), plan_packs);
            });
    }

    static Result<> check_index(const ArtifactMetadata& artifact, ByteSpan index,
                                const std::vector<PlanPack>& packs) {
        const auto& manifest = artifact.manifest;
        std::vector<ChunkRef> wanted;
        const auto what = "file index of " + manifest.id.text();
        if (sha256(index) != manifest.index) {
            return fail(Errc::verification_failed, what + " has another digest");
        }
        return for_each_entry(index, what,
                              [&](const IndexEntry& entry) -> Result<> {
                                  for (std::size_t i = 0; i < entry.chunks.size(); ++i) {
                                      wanted.push_back({ChunkKey::of(entry.chunks[i]),
                                                        chunk_length(entry.bytes, i)});
                                  }
                                  return {};
                              })
            .and_then([&](const IndexSummary& summary) -> Result<> {
                if (summary.entries != manifest.entries || summary.files != manifest.files ||
                    summary.tree_bytes != manifest.tree_bytes) {
                    return fail(Errc::verification_failed, what + " and manifest disagree");
                }
                return make_plan({wanted, nullptr, nullptr, packs}).map([](const Plan&) {});
            });
    }

    [[nodiscard]] std::vector<PackEntry> full_packs() const {
        std::vector<PackEntry> packs;
        for (const auto& [id, pack] : packs_) {
            if (pack.role == PackRole::base && tocs_.contains(id)) {
                packs.push_back(pack);
            }
        }
        return packs;
    }

    static bool is_of_this_machine(const Error& error) {
        return error.code != Errc::verification_failed && error.code != Errc::not_found &&
               error.code != std::errc::no_such_file_or_directory;
    }

    void phase(const char* name, std::uint64_t bytes) {
        if (progress_ != nullptr) {
            progress_->phase(name, bytes);
        }
    }
    void add(std::uint64_t bytes) {
        if (progress_ != nullptr) {
            progress_->add(bytes);
        }
    }

    LocalRepository& repository_;
    const Workspace& workspace_;
    Progress* progress_;
    std::stop_token stop_;
    PackShelf shelf_;
    std::vector<ArtifactMetadata> artifacts_;
    std::map<PackId, PackEntry> packs_;
    std::map<PackId, const PackToc*> tocs_;
    std::mutex mutex_;
    VerifyReport report_;
};

} // namespace

Result<VerifyReport> verify_repository(const fs::path& repository, Progress* progress,
                                       const std::stop_token& stop) {
    constexpr unsigned patience_ms = 600'000;
    auto workspace = Workspace::open(repository, "verify", patience_ms, progress);
    if (!workspace) {
        return tl::unexpected(workspace.error());
    }
    auto local = LocalRepository::open(repository, workspace->temporary() / "trust");
    if (!local) {
        return tl::unexpected(local.error());
    }
    return Verification(*local, *workspace, progress, stop).run();
}

} // namespace slipway
