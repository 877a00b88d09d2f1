// Apart from reader.cpp, so that a program that reads directories only is linked without a network.
#include <fcntl.h>

#include "common/core/errc.h"
#include "common/format/index.h"
#include "common/io/file_ops.h"
#include "common/repository/reader.h"

namespace slipway {
namespace {

bool is_url(std::string_view location) {
    return location.starts_with("http://") || location.starts_with("https://") ||
           location.starts_with("file://");
}

Error missing_is_not_found(Error error) {
    return error.code == std::errc::no_such_file_or_directory
               ? Error{Errc::not_found, std::move(error.context)}
               : error;
}

} // namespace

RepositorySource::RepositorySource(std::string location, std::shared_ptr<HttpTls> tls)
    : location_(std::move(location)), is_directory_(!is_url(location_)), http_(std::move(tls)) {
    while (location_.size() > 1 && location_.ends_with('/')) {
        location_.pop_back();
    }
}

Result<Bytes> RepositorySource::fetch(const std::string& path, std::uint64_t max_bytes) {
    const auto whole = location_ + "/" + path;
    if (!is_directory_) {
        HttpLimits limits;
        limits.body_bytes_max = max_bytes;
        return http_.get(whole, limits);
    }
    return read_file(whole, max_bytes).map_error(missing_is_not_found);
}

Result<Bytes> RepositorySource::fetch_range(const std::string& path, std::uint64_t offset,
                                            std::uint64_t bytes) {
    // A block of one chunk and, for incompressible ones, its frame: more is not asked for.
    constexpr std::uint64_t range_bytes_max = chunk_bytes_max + 1024ULL * 1024;
    const auto whole = location_ + "/" + path;
    if (bytes == 0 || bytes > range_bytes_max) {
        return fail(Errc::verification_failed,
                    whole + ": a range of " + std::to_string(bytes) + " bytes");
    }
    if (!is_directory_) {
        HttpLimits limits;
        limits.body_bytes_max = bytes;
        return http_.get_range(whole, offset, bytes, limits);
    }
    return open_file(whole, O_RDONLY)
        .map_error(missing_is_not_found)
        .and_then([&](const Fd& fd) -> Result<Bytes> {
            Bytes out(bytes);
            return pread_all(fd.get(), out, offset, whole).map([&] { return std::move(out); });
        });
}

} // namespace slipway
