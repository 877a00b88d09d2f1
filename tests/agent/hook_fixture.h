#pragma once

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <unistd.h>

#include "agent/io/hook_runner.h"

namespace slipway::agent {

/// A hook that is a shell's script.
inline HookRequest shell(const std::filesystem::path& release, const std::string& script,
                         std::chrono::milliseconds deadline = std::chrono::seconds(5)) {
    HookRequest request{.name = "pre-switch", .program = {}, .release = release, .variables = {}};
    request.program.argv = {"/bin/sh", "-c", script};
    request.program.deadline = deadline;
    return request;
}

/// A directory of cgroup v2 that this test may use, or nothing.
class Cgroups {
public:
    Cgroups() {
        for (const std::filesystem::path mount : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
            auto pattern = (mount / "slipway-test-XXXXXX").string();
            if (std::filesystem::exists(mount / "cgroup.procs") &&
                ::mkdtemp(pattern.data()) != nullptr) {
                path_ = pattern;
                return;
            }
        }
    }
    ~Cgroups() {
        if (!path_.empty()) {
            ::rmdir(path_.c_str());
        }
    }
    Cgroups(const Cgroups&) = delete;
    Cgroups& operator=(const Cgroups&) = delete;
    [[nodiscard]] const std::filesystem::path& path() const { return path_; }

    /// Whether what is made in the directory is limited in memory and tasks. Where they are cgroup
    /// v1's, no controller can be had here.
    [[nodiscard]] bool have_controllers() const {
        if (path_.empty()) {
            return false;
        }
        for (const auto& directory : {path_.parent_path(), path_}) {
            for (const auto* const controller : {"+memory", "+pids"}) {
                std::ofstream(directory / "cgroup.subtree_control") << controller;
            }
        }
        std::ifstream in(path_ / "cgroup.subtree_control");
        const std::string enabled(std::istreambuf_iterator<char>(in), {});
        return enabled.find("memory") != std::string::npos &&
               enabled.find("pids") != std::string::npos;
    }

private:
    std::filesystem::path path_;
};

/// Processes that run in `directory` or know it from their environment.
inline std::vector<std::string> processes_of(const std::filesystem::path& directory) {
    std::vector<std::string> out;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
        const auto cwd = std::filesystem::read_symlink(entry.path() / "cwd", error);
        std::ifstream in(entry.path() / "environ");
        const std::string environment(std::istreambuf_iterator<char>(in), {});
        if (cwd == directory || environment.find(directory.string()) != std::string::npos) {
            out.push_back(entry.path().filename());
        }
    }
    return out;
}

} // namespace slipway::agent
