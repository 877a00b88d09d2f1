#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "common/repository/reader.h"
#include "common/tls/credentials.h"

namespace slipway::cli {

/// The credentials that the flags name, or none if there are no such flags.
[[nodiscard]] Result<std::shared_ptr<tls::Credentials>>
load_credentials(const tls::TlsFiles& files);

/// A repository that is read, in a directory or behind a URL, with its metadata verified.
class Remote {
public:
    /// `trusted_root`: the root.json that the reader has from elsewhere. Without it the
    /// repository's own first root is taken, and a note on stderr says that nothing vouches for it.
    /// `tls`: for an https URL; not given: the system's authorities.
    [[nodiscard]] static Result<std::unique_ptr<Remote>>
    open(const std::string& location, const std::string& trusted_root, const tls::TlsFiles& tls);
    ~Remote();
    Remote(const Remote&) = delete;
    Remote& operator=(const Remote&) = delete;

    [[nodiscard]] RepositorySource& source() { return source_; }
    [[nodiscard]] trust::Client& trusted() { return *client_; }

private:
    Remote(const std::string& location, std::shared_ptr<HttpTls> tls)
        : source_(location, std::move(tls)) {}
    RepositorySource source_;
    std::filesystem::path metadata_; ///< A temporary directory; nothing is kept between runs.
    std::unique_ptr<trust::Client> client_;
};

} // namespace slipway::cli
