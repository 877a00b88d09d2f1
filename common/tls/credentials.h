#pragma once

#include <memory>
#include <mutex>

#include "common/core/identity.h"
#include "common/io/http_client.h"
#include "common/tls/files.h"

namespace slipway::tls {

/// What a party shows to its peers and checks them with, read from files that may be replaced at
/// any time.
///
/// The files are looked at (stat) whenever a connection is made, and read again when one of them
/// changed. A connection keeps what it began with. Files that do not fit together or do not parse,
/// also for the moment between two renames of a rotation, change nothing: what was loaded before
/// stays in use, one warning is logged, and the next change is looked at again.
///
/// Fail-closed: a revocation list that is configured but has expired, or lacks an authority in use,
/// lets nobody in; the refusal says so. Nothing here ends a connection that stands.
///
/// Thread-safe. Blocking for some small local files.
class Credentials final : public HttpTls {
public:
    /// Errors: Errc::usage for flags that are missing; Errc::not_found, Errc::failed naming the
    /// file: unreadable, not PEM, encrypted, a key that others may read or of another certificate,
    /// a certificate that names no identity.
    [[nodiscard]] static Result<std::shared_ptr<Credentials>> load(TlsFiles files);
    ~Credentials() override;
    Credentials(const Credentials&) = delete;
    Credentials& operator=(const Credentials&) = delete;

    /// Who this party is.
    [[nodiscard]] Identity self();
    /// For the connections that a server accepts from now on; see check_clients().
    [[nodiscard]] std::shared_ptr<ssl_ctx_st> server_context();
    /// For a connection of a client; see check_server().
    [[nodiscard]] Result<> prepare(ssl_ctx_st* context, std::string& refusal) override;

    struct Loaded; ///< One reading of the files; complete in the .cpp only.

private:
    explicit Credentials(TlsFiles files) : files_(std::move(files)) {}
    [[nodiscard]] std::shared_ptr<const Loaded> current();

    const TlsFiles files_;
    std::mutex mutex_;
    FileStamps seen_{};
    std::shared_ptr<const Loaded> loaded_;
};

} // namespace slipway::tls
