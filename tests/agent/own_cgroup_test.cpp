#include "agent/io/own_cgroup.h"

#include <sys/wait.h>
#include <sys/xattr.h>

#include <catch2/catch.hpp>

#include "tests/agent/hook_fixture.h"
#include "tests/scratch_directory.h"

namespace slipway::agent {
namespace {

namespace fs = std::filesystem;

// What a process that lives in `group` says: `work` runs in a child, and what it returns is its
// exit status.
template <typename Work>
int in_cgroup(const fs::path& group, Work work) {
    const auto child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        std::ofstream(group / "cgroup.procs") << ::getpid() << std::flush;
        std::_Exit(work());
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
    return WEXITSTATUS(status);
}

void remove_groups(const fs::path& group) {
    for (const auto* const name : {"hooks/hook-left", "hooks", "agent"}) {
        ::rmdir((group / name).c_str());
    }
}

} // namespace

TEST_CASE("own cgroup: divided where it was given away, and each hook has one of its own",
          "[hook][cgroup]") {
    const Cgroups cgroups;
    if (cgroups.path().empty() ||
        ::lsetxattr(cgroups.path().c_str(), "trusted.delegate", "1", 1, 0) != 0) {
        WARN("no cgroup v2 that this user may give away: not run");
        return;
    }
    const tests::ScratchDirectory release;
    fs::create_directories(cgroups.path() / "hooks" / "hook-left"); // By a process before.
    const auto run = [&] {
        const auto hooks = divide_own_cgroup();
        if (hooks != cgroups.path() / "hooks" || fs::exists(hooks / "hook-left")) {
            return 1;
        }
        const auto where = [](const std::string& output) {
            return output.find("/hooks/hook-") != std::string::npos;
        };
        const auto outcome =
            HookRunner(hooks).run(shell(release.path(), "cat /proc/self/cgroup"), {});
        if (!outcome || !outcome->ok || !where(outcome->output)) {
            return 2;
        }
        // What it started in a session of its own ends with it.
        const auto hostile = HookRunner(hooks).run(
            shell(release.path(), "setsid sleep 1000 & exit 0", std::chrono::seconds(5)), {});
        return hostile && hostile->ok && processes_of(release.path()).empty() ? 0 : 3;
    };
    CHECK(in_cgroup(cgroups.path(), run) == 0);
    remove_groups(cgroups.path());
}

TEST_CASE("own cgroup: nothing is changed where it was not given away", "[hook][cgroup]") {
    const Cgroups cgroups;
    if (cgroups.path().empty()) {
        WARN("no cgroup v2 that this user may change: not run");
        return;
    }
    CHECK(in_cgroup(cgroups.path(), [] { return divide_own_cgroup().empty() ? 0 : 1; }) == 0);
    CHECK_FALSE(fs::exists(cgroups.path() / "agent"));
    CHECK_FALSE(fs::exists(cgroups.path() / "hooks"));
}

} // namespace slipway::agent
