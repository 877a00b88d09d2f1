#include "agent/io/own_cgroup.h"

#include <array>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

namespace slipway::agent {
namespace {

namespace fs = std::filesystem;

// The mount of cgroup v2 that starts at the root of what this process sees: proc(5), mountinfo.
std::optional<fs::path> cgroup2_mount() {
    std::ifstream mounts("/proc/self/mountinfo");
    for (std::string line; std::getline(mounts, line);) {
        const auto type = line.find(" - cgroup2 ");
        if (type == std::string::npos) {
            continue;
        }
        std::istringstream fields(line);
        std::string number;
        std::string parent;
        std::string device;
        std::string root;
        std::string at;
        fields >> number >> parent >> device >> root >> at;
        if (root == "/" && at.find('\\') == std::string::npos) {
            return fs::path(at);
        }
    }
    return std::nullopt;
}

// cgroups(7): the line of cgroup v2 has no controllers, "0::/system.slice/slipway-agent.service".
std::optional<std::string> own_name() {
    std::ifstream own("/proc/self/cgroup");
    for (std::string line; std::getline(own, line);) {
        if (line.starts_with("0::/")) {
            return line.substr(4);
        }
    }
    return std::nullopt;
}

bool is_delegated(const fs::path& directory) {
    for (const auto* const name : {"user.delegate", "trusted.delegate"}) {
        std::array<char, 4> value{};
        if (::lgetxattr(directory.c_str(), name, value.data(), value.size()) == 1 &&
            value[0] == '1') {
            return true;
        }
    }
    return false;
}

bool make(const fs::path& directory) {
    return ::mkdir(directory.c_str(), 0755) == 0 || errno == EEXIST;
}

bool write_to(const fs::path& file, const std::string& text) {
    std::ofstream out(file);
    out << text << std::flush;
    return out.good();
}

// Each by itself: one that the host does not have keeps no other from being used.
void enable_controllers(const fs::path& directory) {
    for (const auto* const controller : {"+memory", "+pids"}) {
        (void)write_to(directory / "cgroup.subtree_control", controller);
    }
}

void remove_leftovers(const fs::path& hooks) {
    std::error_code ec;
    for (fs::directory_iterator it(hooks, ec); !ec && it != fs::directory_iterator();
         it.increment(ec)) {
        if (it->path().filename().string().starts_with("hook-")) {
            ::rmdir(it->path().c_str());
        }
    }
}

} // namespace

fs::path divide_own_cgroup() {
    const auto mount = cgroup2_mount();
    const auto name = own_name();
    if (!mount || !name) {
        return {};
    }
    const auto own = *mount / *name;
    const auto hooks = own / "hooks";
    if (!is_delegated(own) || !make(own / "agent") || !make(hooks) ||
        !write_to(own / "agent" / "cgroup.procs", std::to_string(::getpid()))) {
        return {};
    }
    remove_leftovers(hooks);
    enable_controllers(own);
    enable_controllers(hooks);
    return hooks;
}

} // namespace slipway::agent
