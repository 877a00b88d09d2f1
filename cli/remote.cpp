#include "cli/remote.h"

#include <chrono>
#include <cstdlib>
#include <system_error>

#include "cli/output.h"
#include "common/core/errc.h"
#include "common/io/file_ops.h"
#include "common/trust/metadata.h"

namespace slipway::cli {
namespace fs = std::filesystem;
namespace {

Result<fs::path> make_temporary_directory() {
    std::error_code error;
    auto pattern = (fs::temp_directory_path(error) / "slipway.XXXXXX").string();
    if (error || ::mkdtemp(pattern.data()) == nullptr) {
        return fail_errno("make a temporary directory " + pattern);
    }
    return fs::path(pattern);
}

} // namespace

Result<std::shared_ptr<tls::Credentials>> load_credentials(const tls::TlsFiles& files) {
    if (!files.given()) {
        return tls::check_complete(files).map([] { return std::shared_ptr<tls::Credentials>(); });
    }
    return tls::Credentials::load(files);
}

Result<std::unique_ptr<Remote>> Remote::open(const std::string& location,
                                             const std::string& trusted_root,
                                             const tls::TlsFiles& tls) {
    auto credentials = load_credentials(tls);
    if (!credentials) {
        return tl::unexpected(credentials.error());
    }
    std::unique_ptr<Remote> remote(new Remote(location, std::move(*credentials)));
    auto directory = make_temporary_directory();
    if (!directory) {
        return tl::unexpected(directory.error());
    }
    remote->metadata_ = std::move(*directory);
    auto root = trusted_root.empty()
                    ? remote->source_.fetch_metadata("1.root.json", trust::limits::root_bytes)
                    : read_file(trusted_root, trust::limits::root_bytes);
    if (!root) {
        return tl::unexpected(
            within(trusted_root.empty() ? "no repository at " + location : "read the trusted root",
                   root.error()));
    }
    if (trusted_root.empty() && !remote->source_.is_directory()) {
        print_note("note: nothing vouches for " + location +
                   "; --trust ROOT.json names the root that you trust");
    }
    remote->client_ = std::make_unique<trust::Client>(remote->metadata_ / "trust", remote->source_,
                                                      std::chrono::system_clock::now());
    return remote->client_->trust_root(*root)
        .and_then([&] { return remote->client_->refresh(); })
        .map([&] { return std::move(remote); });
}

Remote::~Remote() {
    std::error_code ignored; // A left-over of a few KiB in the system's temporary directory.
    if (!metadata_.empty()) {
        fs::remove_all(metadata_, ignored);
    }
}

} // namespace slipway::cli
