#include "agent/io/host_install.h"

#include <unordered_set>

#include "agent/io/artifact_packs.h"
#include "agent/io/file_ops.h"
#include "agent/io/metadata_refresh.h"
#include "agent/io/space_reservation.h"
#include "common/core/errc.h"

namespace slipway::agent {
namespace {

MetadataRequest metadata_request(const InstallRequest& request) {
    return {.artifact = request.artifact,
            .seeders = request.seeders,
            .trusted_root = request.trusted_root,
            .now = request.now,
            .tls = request.fetcher.tls};
}

std::vector<ChunkRef> chunks_not_installed(const Tree& tree, const InstalledContent& installed) {
    std::vector<ChunkRef> wanted;
    std::unordered_set<ChunkKey> seen;
    for (const auto number : tree.files) {
        const auto& entry = tree.entries[number];
        for (std::size_t i = 0; i < entry.chunks.size(); ++i) {
            const auto chunk = chunk_of(entry, i);
            if (!installed.chunks().contains(chunk.key) && seen.insert(chunk.key).second) {
                wanted.push_back(chunk);
            }
        }
    }
    return wanted;
}

} // namespace

HostInstall::HostInstall(const HostLayout& host, FileOps& files, Progress& progress,
                         SharedPacks* shared)
    : host_(host), files_(files), progress_(progress), shared_(shared) {
    progress_.watch(&timer_);
}

HostInstall::~HostInstall() {
    progress_.watch(nullptr);
}

PackSource& HostInstall::source() {
    return *source_;
}

StageTimes HostInstall::times() const {
    auto times = timer_.times();
    if (source_) {
        times.fetched_bytes = totals().fetched_bytes;
        times.had_bytes = totals().had_bytes;
    }
    return times;
}

const FetchTotals& HostInstall::totals() const {
    return use_ ? use_->totals() : fetcher_->totals();
}

Result<> HostInstall::prepare(const InstallRequest& request) {
    if (shared_ != nullptr) {
        use_ = std::make_unique<SharedPacks::Use>(*shared_);
        use_->on_bytes = [this](std::uint64_t bytes) { progress_.add(bytes); };
        use_->on_note = [this](std::string_view text) { progress_.note(text); };
        use_->on_turn = [this] { timer_.turn_comes(); };
        source_ = std::make_unique<TimedSource>(*use_, timer_, true);
    } else {
        fetcher_ =
            std::make_unique<PackFetcher>(host_, request.seeders, request.fetcher, progress_);
        source_ = std::make_unique<TimedSource>(*fetcher_, timer_, false);
    }
    for (const auto& directory : {host_.packs(), host_.trust()}) {
        if (auto made = files_.make_directory(directory); !made) {
            return made;
        }
    }
    return {};
}

Result<InstallResult> HostInstall::run(const InstallRequest& request, std::stop_token stop) {
    if (auto prepared = prepare(request); !prepared) {
        return tl::unexpected(std::move(prepared.error()));
    }
    const BuildRequest build{
        .artifact = request.artifact,
        .service = request.service,
        .metadata = [&] { return refresh_metadata(host_, metadata_request(request), progress_); },
        .lock_timeout = request.lock_timeout,
        .now = request.now,
        .activate = request.activate};
    return Installer(host_, files_, progress_)
        .run(build, source(), std::move(stop))
        .map([&](InstallResult result) {
            result.fetch = totals();
            return result;
        });
}

Result<StageResult> HostInstall::stage(const InstallRequest& request,
                                       const std::vector<PackRequest>& also, std::stop_token stop) {
    auto metadata = prepare(request).and_then([&] {
        progress_.phase("metadata", 0);
        auto wanted = metadata_request(request);
        wanted.keep = host_.mirror();
        return refresh_metadata(host_, wanted, progress_);
    });
    if (!metadata) {
        return tl::unexpected(std::move(metadata.error()));
    }
    return fetch_packs(request, *metadata, stop)
        .and_then([&] { return also.empty() ? Result<>{} : source().fetch(also, stop); })
        .map([&] {
            progress_.finish();
            return StageResult{ReleaseId::of(request.artifact, metadata->digest), metadata->digest,
                               totals()};
        });
}

Result<> HostInstall::fetch_packs(const InstallRequest& request, const ArtifactMetadata& metadata,
                                  std::stop_token stop) {
    const ReleaseStore store(files_, host_.service(request.service));
    auto installed = InstalledContent::read(store);
    const auto records = store.installed();
    if (!installed || !records) {
        return tl::unexpected(installed ? records.error() : installed.error());
    }
    std::vector<Sha256Digest> have;
    for (const auto& record : *records) {
        have.push_back(record.digest);
    }
    ArtifactPacks packs(metadata.packs, source(), host_, std::move(have));
    const auto& manifest = metadata.manifest;
    progress_.phase("plan", 0);
    return packs.get_chunk(manifest.index, manifest.index_bytes, *installed, stop)
        .and_then([&](const Bytes& index) {
            return read_tree(index, "file index of " + request.artifact.text());
        })
        .and_then([&](const Tree& tree) {
            return packs.plan(chunks_not_installed(tree, *installed), *installed, stop);
        })
        .and_then([&](const Plan& plan) {
            return packs.missing_bytes(plan, stop).and_then([&](std::uint64_t bytes) {
                progress_.phase("fetch", bytes);
                return packs.fetch(plan, stop); // Reserves the blocks first.
            });
        });
}

Result<> HostInstall::share(std::chrono::seconds duration, std::stop_token stop) {
    return fetcher_ ? fetcher_->share(duration, std::move(stop)) : Result<>{};
}

} // namespace slipway::agent
