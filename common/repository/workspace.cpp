#include "common/repository/workspace.h"

#include <system_error>

#include "common/core/errc.h"
#include "common/repository/temporary_file.h"

namespace slipway {
namespace fs = std::filesystem;

Result<Workspace> Workspace::open(const fs::path& repository, std::string_view purpose,
                                  unsigned patience_ms, Progress* progress) {
    std::error_code error;
    if (!fs::is_directory(repository / "metadata", error)) {
        return fail(Errc::not_found, "no repository at " + repository.string() +
                                         "; 'slipway repo init --repo DIR' makes one");
    }
    auto lock = FileLock::acquire(repository / ".lock", purpose, patience_ms,
                                  [&](const std::string& holder) {
                                      if (progress != nullptr) {
                                          progress->note("waiting for " + holder);
                                      }
                                  });
    if (!lock) {
        return tl::unexpected(lock.error());
    }
    const auto temporary = repository / "tmp";
    fs::remove_all(temporary, error);
    for (const auto& directory : {temporary / "trust", repository / "packs"}) {
        if (!error) {
            fs::create_directories(directory, error);
        }
    }
    if (error) {
        return fail(error, "prepare " + temporary.string());
    }
    Workspace workspace(std::move(*lock), temporary);
    for (const auto& directory :
         {repository / "packs", repository / "metadata", repository / "staged"}) {
        if (!fs::exists(directory, error)) {
            continue; // Nothing is staged.
        }
        if (auto swept = sweep_temporary_files(directory); !swept) {
            return tl::unexpected(swept.error());
        }
    }
    return workspace;
}

Workspace::~Workspace() {
    if (!temporary_.empty()) {
        std::error_code ignored; // The next one to open the workspace sweeps what is left.
        fs::remove_all(temporary_, ignored);
    }
}

} // namespace slipway
