#include "tests/common/repository/sample_repository.h"

#include <algorithm>

#include "common/core/errc.h"
#include "common/delta/codec.h"
#include "common/format/index.h"

namespace slipway::tests {
namespace fs = std::filesystem;

SampleRepository::SampleRepository() {
    const auto made =
        trust::init_repository(path(), scratch_ / "repo.keys", std::chrono::system_clock::now());
    REQUIRE(made);
}

PublishRequest SampleRepository::request(const std::string& id, const fs::path& tree) const {
    PublishRequest request;
    request.repository = path();
    request.keys = scratch_ / "repo.keys";
    request.tree = tree;
    request.id = *ArtifactId::parse(id);
    request.now = std::chrono::system_clock::now();
    return request;
}

Result<PublishResult> SampleRepository::publish(const std::string& id, const fs::path& tree) const {
    return slipway::publish(request(id, tree), {});
}

ArtifactMetadata SampleRepository::load(const std::string& id) const {
    const ScratchDirectory trusted;
    auto repository = LocalRepository::open(path(), trusted / "trust");
    REQUIRE(repository);
    auto metadata = repository->load(*ArtifactId::parse(id));
    REQUIRE(metadata);
    return *metadata;
}

std::vector<std::string> SampleRepository::pack_files() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(path() / "packs")) {
        names.push_back(entry.path().filename().string());
    }
    std::ranges::sort(names);
    return names;
}

std::uint64_t SampleHost::install(const ArtifactMetadata& artifact) {
    const ChunkRef index{ChunkKey::of(artifact.manifest.index), artifact.manifest.index_bytes};
    auto moved = fetch(artifact, {index});
    const auto index_bytes = gather({index});
    REQUIRE(sha256(index_bytes) == artifact.manifest.index);
    entries_.clear();
    std::vector<ChunkRef> wanted;
    const auto read =
        for_each_entry(index_bytes, "index", [&](const IndexEntry& entry) -> Result<> {
            entries_.push_back(entry);
            for (std::size_t i = 0; i < entry.chunks.size(); ++i) {
                wanted.push_back({ChunkKey::of(entry.chunks[i]), chunk_length(entry.bytes, i)});
            }
            return {};
        });
    REQUIRE(read);
    CHECK(read->tree_bytes == artifact.manifest.tree_bytes);
    moved += fetch(artifact, wanted);
    have_.push_back(artifact.digest);
    return moved;
}

std::uint64_t SampleHost::fetch(const ArtifactMetadata& artifact,
                                const std::vector<ChunkRef>& wanted) {
    std::unordered_set<ChunkKey> available;
    for (const auto& [key, bytes] : chunks_) {
        available.insert(key);
    }
    std::vector<PackEntry> packs;
    std::vector<PlanPack> plan_packs;
    Result<Plan> plan = fail(Errc::not_found, "no packs");
    for (const auto& round : toc_rounds(artifact.packs, have_)) {
        for (const auto number : round) {
            packs.push_back(artifact.packs.packs[number]);
            const auto toc = shelf_.toc(packs.back());
            REQUIRE(toc);
            plan_packs.push_back({*toc});
        }
        plan = make_plan({wanted, &available, nullptr, plan_packs});
        if (plan) {
            break;
        }
    }
    REQUIRE(plan);
    for (const auto& planned : plan->blocks) {
        const auto& block = plan_packs[planned.pack].toc->blocks[planned.block];
        const auto pack = read_file(shelf_.path(packs[planned.pack].id), 1U << 30U);
        REQUIRE(pack);
        Bytes raw(block.raw_bytes());
        const auto encoded = ByteSpan(*pack).subspan(block.offset, block.encoded_bytes);
        REQUIRE(decode_block(block.codec, encoded, gather(block.bases), raw));
        REQUIRE(for_each_chunk(block, raw, [&](const ChunkRef& chunk, ByteSpan bytes) -> Result<> {
            REQUIRE(is_chunk(chunk, bytes));
            chunks_.try_emplace(chunk.key, bytes.begin(), bytes.end());
            return {};
        }));
    }
    return plan->fetch_bytes;
}

Bytes SampleHost::gather(const std::vector<ChunkRef>& chunks) const {
    Bytes all;
    for (const auto& chunk : chunks) {
        const auto& bytes = chunks_.at(chunk.key);
        all.insert(all.end(), bytes.begin(), bytes.end());
    }
    return all;
}

std::string SampleHost::content(const IndexEntry& file) const {
    std::string content;
    for (const auto& digest : file.chunks) {
        const auto& bytes = chunks_.at(ChunkKey::of(digest));
        REQUIRE(sha256(bytes) == digest);
        content += as_text(bytes);
    }
    return content;
}

} // namespace slipway::tests
