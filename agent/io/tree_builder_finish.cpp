// The end of a build: names that are not files, final modes, and files that proved wrong.
#include <cassert>
#include <cerrno>
#include <fcntl.h>
#include <ranges>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/io/tree_builder.h"
#include "common/core/errc.h"

namespace slipway::agent {

Result<> TreeBuilder::make_hard_link(const IndexEntry& entry) {
    return walkers_.at(entry.target, [&](int from, const char* file) {
        const Fd directory(::fcntl(from, F_DUPFD_CLOEXEC, 0));
        return walkers_.at(entry.path, [&](int parent, const char* name) -> Result<> {
            // A name from before reject() may lead to the file that was taken away.
            if (::unlinkat(parent, name, 0) != 0 && errno != ENOENT) {
                return fail_errno("replace " + entry.path);
            }
            if (!directory || ::linkat(directory.get(), file, parent, name, 0) != 0) {
                return fail_errno("link " + entry.path + " to " + entry.target);
            }
            return {};
        });
    });
}

Result<> TreeBuilder::make_symlink(const IndexEntry& entry) {
    return walkers_.at(entry.path, [&](int parent, const char* name) -> Result<> {
        if (::symlinkat(entry.target.c_str(), parent, name) != 0 && errno != EEXIST) {
            return fail_errno("create symlink " + entry.path);
        }
        return {};
    });
}

Result<> TreeBuilder::set_directory_modes(bool final_modes) {
    // From the leaves up: below a directory without its search bit nothing can be opened.
    const auto set = [&](std::uint32_t number) {
        const auto& entry = tree_.entries[number];
        return walkers_.at(entry.path, [&](int parent, const char* name) -> Result<> {
            if (::fchmodat(parent, name, final_modes ? installed_mode(entry) : 0700, 0) != 0) {
                return fail_errno("change the mode of " + entry.path);
            }
            return {};
        });
    };
    for (std::size_t i = 0; i < tree_.directories.size(); ++i) {
        const auto at = final_modes ? tree_.directories.size() - 1 - i : i;
        if (auto done = set(tree_.directories[at]); !done) {
            return done;
        }
    }
    sealed_ = final_modes;
    return {};
}

Result<> TreeBuilder::finish() {
    assert(is_complete());
    if (sealed_) {
        if (auto opened = set_directory_modes(false); !opened) {
            return opened;
        }
    }
    for (const auto file : tree_.files) {
        const auto& entry = tree_.entries[file];
        const bool has_its_mode = entry.chunks.size() <= 1 && entry.bytes <= solid_block_bytes_max;
        if (has_its_mode || origins_[file] != Origin::written) {
            continue;
        }
        const auto done = walkers_.at(entry.path, [&](int parent, const char* name) -> Result<> {
            if (::fchmodat(parent, name, installed_mode(entry), 0) != 0) {
                return fail_errno("change the mode of " + entry.path);
            }
            return {};
        });
        if (!done) {
            return done;
        }
    }
    for (const auto number : tree_.hard_links) {
        if (auto made = make_hard_link(tree_.entries[number]); !made) {
            return made;
        }
    }
    for (const auto number : tree_.symlinks) {
        if (auto made = make_symlink(tree_.entries[number]); !made) {
            return made;
        }
    }
    return set_directory_modes(true);
}

Result<> TreeBuilder::reject(std::uint32_t file) {
    const auto& entry = tree_.entries[file];
    if (origins_[file] != Origin::linked && origins_[file] != Origin::copied) {
        return fail(Errc::failed, entry.path + ": the disk gives back other bytes than were "
                                               "written to it");
    }
    if (sealed_) {
        if (auto opened = set_directory_modes(false); !opened) {
            return opened;
        }
    }
    return walkers_.at(entry.path, [&](int parent, const char* name) -> Result<> {
        if (::unlinkat(parent, name, 0) != 0) {
            return fail_errno("remove " + entry.path);
        }
        origins_[file] = Origin::none;
        for (const auto& digest : entry.chunks) {
            installed_.distrust(ChunkKey::of(digest));
        }
        mark(file, false);
        return {};
    });
}

} // namespace slipway::agent
