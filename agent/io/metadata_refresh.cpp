#include "agent/io/metadata_refresh.h"

#include "agent/core/seeder_info.h"
#include "agent/io/kept_repository.h"
#include "common/core/errc.h"
#include "common/io/file_ops.h"
#include "common/trust/metadata.h"

namespace slipway::agent {
namespace {

constexpr unsigned lock_patience_ms = 60'000;

Result<> trust_given_root(trust::Client& client, const MetadataRequest& request,
                          const HostLayout& host) {
    if (request.trusted_root) {
        return read_file(*request.trusted_root, trust::limits::root_bytes)
            .and_then([&](const Bytes& root) { return client.trust_root(root); });
    }
    std::error_code ec;
    if (!std::filesystem::exists(host.trust() / "root.json", ec)) {
        return fail(Errc::usage, "this host trusts no repository yet: --trust ROOT.json");
    }
    return {};
}

int gravity(const Error& error) {
    return error.code == Errc::verification_failed ? 2 : error.code == Errc::not_found ? 1 : 0;
}

} // namespace

Result<ArtifactMetadata> refresh_metadata(const HostLayout& host, const MetadataRequest& request,
                                          Progress& progress) {
    const auto lock = FileLock::acquire(
        host.trust_lock(), "refresh metadata", lock_patience_ms,
        [&](const std::string& holder) { progress.note("waiting for " + holder); });
    if (!lock) {
        return tl::unexpected(lock.error());
    }
    std::optional<Error> worst;
    std::string reasons;
    for (const auto& seeder : request.seeders) {
        RepositorySource remote(local_directory(seeder).value_or(seeder), request.tls);
        KeepingSource source(remote, request.keep);
        trust::Client client(host.trust(), source, request.now);
        if (auto trusted = trust_given_root(client, request, host); !trusted) {
            return tl::unexpected(std::move(trusted.error())); // No seeder can help with that.
        }
        auto metadata = client.refresh().and_then(
            [&] { return load_artifact(client, source, request.artifact); });
        if (metadata && request.keep) {
            if (auto kept = keep_metadata(host.trust(), *request.keep, client); !kept) {
                return tl::unexpected(std::move(kept.error()));
            }
        }
        if (metadata) {
            return metadata;
        }
        auto why = within("seeder " + seeder, std::move(metadata.error()));
        if (why.code == Errc::cancelled) {
            return tl::unexpected(std::move(why));
        }
        reasons += (reasons.empty() ? "" : "; ") + why.context;
        if (&seeder != &request.seeders.back()) {
            progress.note(describe(why) + "; trying another");
        }
        if (!worst || gravity(why) > gravity(*worst)) {
            worst = std::move(why);
        }
    }
    if (!worst) {
        return fail(Errc::usage, "no seeder was named: --seeder URL");
    }
    worst->context = std::move(reasons);
    return tl::unexpected(std::move(*worst));
}

} // namespace slipway::agent
