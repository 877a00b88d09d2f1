#include "common/tls/files.h"

#include <sys/stat.h>

#include "common/core/errc.h"

namespace slipway::tls {

Result<> check_complete(const TlsFiles& files) {
    const bool none = files.certificate.empty() && files.key.empty() && files.authority.empty();
    const bool all = !files.certificate.empty() && !files.key.empty() && !files.authority.empty();
    if ((none && files.revoked.empty()) || all) {
        return {};
    }
    return fail(Errc::usage, "--tls-cert, --tls-key and --tls-ca belong together (and --tls-crl "
                             "goes with them)");
}

FileStamps stamps_of(const TlsFiles& files) {
    constexpr std::int64_t ns_per_s = 1'000'000'000;
    FileStamps all{};
    auto stamp = all.begin();
    for (const auto* file : {&files.certificate, &files.key, &files.authority, &files.revoked}) {
        struct stat info{};
        if (::stat(file->c_str(), &info) == 0) {
            *stamp = {static_cast<std::int64_t>(info.st_dev),
                      static_cast<std::int64_t>(info.st_ino), info.st_size,
                      info.st_mtim.tv_sec * ns_per_s + info.st_mtim.tv_nsec};
        }
        ++stamp;
    }
    return all;
}

} // namespace slipway::tls
