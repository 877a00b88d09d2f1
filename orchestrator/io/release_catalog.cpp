#include "orchestrator/io/release_catalog.h"

#include "common/core/errc.h"
#include "common/io/file_ops.h"
#include "common/repository/differ.h"
#include "common/trust/metadata.h"

namespace slipway::orchestrator {
namespace {

constexpr std::size_t counted_max = 1'000;

} // namespace

ReleaseCatalog::ReleaseCatalog(Options options)
    : options_(std::move(options)), source_(options_.repository, options_.tls) {}

Result<trust::Client> ReleaseCatalog::refreshed() {
    if (options_.repository.empty()) {
        return fail(Errc::usage,
                    "this orchestrator has no repository: set `repository` in its configuration");
    }
    trust::Client client(options_.directory, source_, std::chrono::system_clock::now());
    if (!client.load_local()) {
        if (options_.trusted_root.empty() && !source_.is_directory()) {
            return fail(Errc::usage,
                        "nothing vouches for " + options_.repository +
                            ": set `trust` in the orchestrator's configuration to its root.json");
        }
        auto root = options_.trusted_root.empty()
                        ? source_.fetch_metadata("1.root.json", trust::limits::root_bytes)
                        : read_file(options_.trusted_root, trust::limits::root_bytes);
        if (!root) {
            return tl::unexpected(within("read the trusted root", root.error()));
        }
        if (auto trusted = client.trust_root(*root); !trusted) {
            return tl::unexpected(trusted.error());
        }
    }
    if (auto fresh = client.refresh(); !fresh) {
        return tl::unexpected(within("repository " + options_.repository, fresh.error()));
    }
    return client;
}

Result<api::Wanted> ReleaseCatalog::find(const ArtifactId& artifact) {
    auto client = refreshed();
    if (!client) {
        return tl::unexpected(client.error());
    }
    auto found = load_artifact(*client, source_, artifact);
    if (!found) {
        return tl::unexpected(within("repository " + options_.repository, found.error()));
    }
    return api::Wanted{artifact, found->digest, 0};
}

Result<std::uint64_t> ReleaseCatalog::bytes_between(const std::string& from, const ArtifactId& to) {
    const auto key = std::pair(from, to.text());
    if (const auto known = counted_.find(key); known != counted_.end()) {
        return known->second;
    }
    const auto old = from.empty() ? Result<ArtifactId>(to) : ArtifactId::parse(from);
    if (!old) {
        return tl::unexpected(old.error());
    }
    auto client = refreshed();
    if (!client) {
        return tl::unexpected(client.error());
    }
    const auto target = load_artifact(*client, source_, to);
    const auto base = load_artifact(*client, source_, *old);
    if (!target) {
        return tl::unexpected(target.error());
    }
    // A release that is no longer in the repository helps nobody.
    const auto diff = diff_artifacts(source_, base ? *base : *target, *target, 0);
    if (!diff) {
        return tl::unexpected(diff.error());
    }
    if (counted_.size() >= counted_max) {
        counted_.clear();
    }
    const auto bytes = from.empty() || !base ? diff->full_bytes : diff->fetch_bytes;
    counted_[key] = bytes;
    return bytes;
}

} // namespace slipway::orchestrator
