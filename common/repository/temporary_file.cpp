#include "common/repository/temporary_file.h"

#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/core/errc.h"

namespace slipway {
namespace fs = std::filesystem;

Result<TemporaryFile> TemporaryFile::create(const fs::path& directory, std::string_view stem) {
    TemporaryFile file;
    auto path = temporary_name(directory, stem);
    return open_file(path, O_RDWR | O_CREAT | O_EXCL, 0600).map([&](Fd fd) {
        file.fd_ = std::move(fd);
        file.path_ = std::move(path);
        return std::move(file);
    });
}

TemporaryFile::~TemporaryFile() {
    if (!path_.empty()) {
        ::unlink(path_.c_str());
    }
}

TemporaryFile& TemporaryFile::operator=(TemporaryFile&& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(path_, other.path_);
    return *this;
}

Result<> TemporaryFile::keep_as(const fs::path& final_path) {
    if (::fchmod(fd_.get(), 0644) != 0 || ::fsync(fd_.get()) != 0) {
        return fail_errno("sync " + path_.string());
    }
    if (::rename(path_.c_str(), final_path.c_str()) != 0) {
        return fail_errno("rename " + path_.string() + " to " + final_path.string());
    }
    path_.clear();
    return fsync_directory(final_path.parent_path());
}

Result<> sweep_temporary_files(const fs::path& directory) {
    std::error_code error;
    for (fs::directory_iterator it(directory, error), end; !error && it != end;
         it.increment(error)) {
        if (is_temporary_name(it->path().filename().string())) {
            fs::remove(it->path(), error);
        }
    }
    if (error && error != std::errc::no_such_file_or_directory) {
        return fail(error, "sweep " + directory.string());
    }
    return {};
}

} // namespace slipway
