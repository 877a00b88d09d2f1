#include "agent/io/hook_runner.h"

#include <fstream>
#include <thread>

#include <catch2/catch.hpp>
#include <unistd.h>

#include "common/core/errc.h"
#include "tests/agent/hook_fixture.h"
#include "tests/scratch_directory.h"

namespace slipway::agent {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

struct Hostile {
    const char* name;
    const char* script;
    bool ends_by_itself = false;
};

// Most are python: a shell cannot fork twice or leave its session by itself.
const std::vector<Hostile> hostile_hooks{
    {"sleeps", "sleep 1000"},
    {"ignores TERM", "trap '' TERM; while :; do sleep 1; done"},
    {"ignores every signal", "trap '' HUP INT QUIT TERM USR1 USR2 ALRM; exec sleep 1000"},
    {"burns a core", "while :; do :; done"},
    {"background child, parent ends", "sleep 1000 & exit 0", true},
    {"background child holds the output", "(sleep 1000) >&1 2>&1 & echo started", true},
    {"setsid child", "setsid sleep 1000 & exit 0", true},
    {"double fork into a new session",
     "exec python3 -c 'import os,time\nif os.fork()==0:\n os.setsid()\n if os.fork()==0:\n"
     "  time.sleep(1000)\n os._exit(0)\nos.wait()'",
     true},
    {"daemon that forgets its directory and environment",
     "exec python3 -c 'import os,time\nif os.fork()==0:\n os.setsid(); os.chdir(\"/\")\n"
     " os.execve(\"/bin/sleep\",[\"sleep\",\"1000\"],{\"SLIPWAY_MARK\":\"'$PWD'\"})'",
     true},
    {"nohup and disown", "nohup sh -c 'trap \"\" TERM HUP; sleep 1000' >/dev/null 2>&1 & exit 3",
     true},
    {"fork bomb of 100 sleepers", "for i in $(seq 100); do setsid sleep 1000 & done; wait"},
    {"tree of forks",
     "exec python3 -c 'import os,time\nfor i in range(6):\n if os.fork()==0: os.setpgid(0,0)\n"
     "time.sleep(1000)'"},
    {"runs away: forks and ends, for ever, each in its own session",
     "exec python3 -c 'import os,time\nwhile True:\n if os.fork(): os._exit(0)\n os.setsid()\n"
     " time.sleep(0.002)'",
     true},
    {"zombie maker",
     "exec python3 -c 'import os,time\nfor i in range(200):\n if os.fork()==0: os._exit(0)\n"
     "time.sleep(1000)'"},
    {"fills the output", "exec cat /dev/zero"},
    {"one endless line", "while :; do printf xxxxxxxxxxxxxxxx; done"},
    {"fills the disk with one file", "exec dd if=/dev/zero of=filler bs=1M count=64 2>&1; sleep 99",
     true},
    {"closes its streams and stays", "exec sleep 1000 <&- >&- 2>&-"},
    {"reads standard input for ever", "while :; do read line; done"},
    {"takes memory without end", "exec python3 -c 'a=[]\nwhile True: a.append(bytearray(1<<20))'",
     true},
    {"stops its parent", "kill -STOP $PPID; sleep 1000"},
    {"stops its parent again and again", "while :; do kill -STOP $PPID; sleep 0.05; done"},
    {"kills its parent", "setsid sleep 1000 & kill -KILL $PPID; sleep 1000", true},
    {"kills its parent from a new session",
     "P=$PPID; (trap '' TERM; setsid sh -c \"kill -KILL $P; sleep 1000\") & sleep 1000", true},
    {"stops itself", "kill -STOP $$; echo never"},
    {"stops its whole group", "sleep 1000 & kill -STOP 0; echo never"},
    {"signals its whole group", "trap '' TERM; kill -TERM 0; sleep 1000"},
    {"leads its children into a stopped group",
     "exec python3 -c 'import os,time,signal\nif os.fork()==0:\n os.setpgid(0,0)\n"
     " os.fork(); os.kill(0,signal.SIGSTOP)\ntime.sleep(1000)'"},
};

struct Ended {
    std::chrono::milliseconds took{0};
    std::vector<std::string> left;
    bool ok = false;
    std::string error;
};

Ended endure(const HookRunner& runner, const Hostile& hostile) {
    const tests::ScratchDirectory release;
    auto request = shell(release.path(), hostile.script, 500ms);
    request.program.memory_bytes = 64ULL << 20U;
    request.program.tasks = 500;
    Ended ended;
    const auto start = std::chrono::steady_clock::now();
    const auto outcome = runner.run(request, {});
    ended.took = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::steady_clock::now() - start);
    ended.left = processes_of(release.path());
    ended.ok = outcome && outcome->ok;
    ended.error = outcome ? outcome->message : describe(outcome.error());
    return ended;
}

void check_hostile_hooks(const fs::path& cgroups) {
    const HookRunner runner(cgroups);
    std::vector<Ended> all(hostile_hooks.size());
    std::atomic<std::size_t> next = 0;
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < 6; ++i) {
            threads.emplace_back([&] {
                for (auto at = next++; at < all.size(); at = next++) {
                    all[at] = endure(runner, hostile_hooks[at]);
                }
            });
        }
    }
    for (std::size_t at = 0; at < all.size(); ++at) {
        CAPTURE(hostile_hooks[at].name, all[at].error, all[at].took.count());
        CHECK(all[at].left.empty());
        CHECK(all[at].took < 500ms + 5s);
        if (!hostile_hooks[at].ends_by_itself) {
            CHECK_FALSE(all[at].ok);
            CHECK(all[at].took >= 500ms);
        }
    }
}

} // namespace

TEST_CASE("hook: runs in its release with a clean environment and no descriptors", "[hook]") {
    const tests::ScratchDirectory release;
    tests::write_file(release / "hooks/check",
                      "#!/bin/sh\npwd; env | sort; ls /proc/self/fd | wc -l; echo \"$1\" >&2\n");
    fs::permissions(release / "hooks/check", fs::perms::owner_all);
    ::setenv("AWS_SECRET_ACCESS_KEY", "do-not-leak", 1);
    HookRequest request{.name = "post-switch",
                        .program = {},
                        .release = release.path(),
                        .variables = {{"SLIPWAY_SERVICE", "web"}}};
    request.program.argv = {"hooks/check", "an argument; not a shell's"};
    const auto outcome = HookRunner().run(request, {});
    ::unsetenv("AWS_SECRET_ACCESS_KEY");
    REQUIRE(outcome);
    CHECK(outcome->ok);
    const auto path = release.path().string();
    CHECK(outcome->output ==
          path + "\nHOME=/\nLANG=C.UTF-8\n" +
              "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nPWD=" + path +
              "\nSLIPWAY_HOOK=post-switch\nSLIPWAY_RELEASE_DIR=" + path +
              "\nSLIPWAY_SERVICE=web\n4\nan argument; not a shell's\n"); // 4: ls opens one.
}

TEST_CASE("hook: a failure says its status and its last output", "[hook]") {
    const tests::ScratchDirectory release;
    const auto failed =
        HookRunner().run(shell(release.path(), "echo no space on /srv; exit 7"), {});
    REQUIRE(failed);
    CHECK_FALSE(failed->ok);
    CHECK(failed->message ==
          "hook pre-switch (/bin/sh): exit status 7; last output: no space on /srv\\x0a");

    const auto late = HookRunner().run(shell(release.path(), "sleep 99", 100ms), {});
    REQUIRE(late);
    CHECK(late->timed_out);
    CHECK(late->message == "hook pre-switch (/bin/sh): ended after its deadline of 100ms");
    CHECK(late->took < 2s); // TERM was enough.

    auto request = shell(release.path(), "");
    request.program.argv = {"hooks/none"};
    const auto missing = HookRunner().run(request, {});
    REQUIRE_FALSE(missing);
    CHECK(missing.error().code == std::errc::no_such_file_or_directory);
    CHECK(missing.error().context.find("hooks/none") != std::string::npos);
}

TEST_CASE("hook: the last of its output is kept, and no more than its limit", "[hook]") {
    const tests::ScratchDirectory release;
    auto request = shell(release.path(), "seq 100000");
    request.program.output_bytes = 12;
    const auto outcome = HookRunner().run(request, {});
    REQUIRE(outcome);
    CHECK(outcome->ok);
    CHECK(outcome->output == "9999\n100000\n");
    CHECK(outcome->output_bytes == 588'895);
}

TEST_CASE("hook: TERM comes first, so that it can clean up", "[hook]") {
    const tests::ScratchDirectory release;
    const auto outcome = HookRunner().run(
        shell(release.path(), "trap 'echo cleaned; exit 1' TERM; sleep 99 & wait", 300ms), {});
    REQUIRE(outcome);
    CHECK(outcome->timed_out);
    CHECK(outcome->output == "cleaned\n");
}

TEST_CASE("hook: a stop request ends it", "[hook]") {
    const tests::ScratchDirectory release;
    std::stop_source stop;
    const std::jthread stopper([&] {
        while (processes_of(release.path()).empty()) {
        }
        stop.request_stop();
    });
    const auto outcome = HookRunner().run(shell(release.path(), "sleep 99", 60s), stop.get_token());
    REQUIRE_FALSE(outcome);
    CHECK(outcome.error().code == Errc::cancelled);
    CHECK(processes_of(release.path()).empty());
}

TEST_CASE("hostile hooks: end in time and leave nothing, without a cgroup", "[hook][hostile]") {
    check_hostile_hooks({});
}

TEST_CASE("hostile hooks: end in time and leave nothing, in a cgroup", "[hook][hostile]") {
    const Cgroups cgroups;
    if (cgroups.path().empty()) {
        WARN("no cgroup v2 that this user may write to: not run");
        return;
    }
    check_hostile_hooks(cgroups.path());
    CHECK(std::distance(fs::directory_iterator(cgroups.path()), {}) > 0);
    for (const auto& entry : fs::directory_iterator(cgroups.path())) {
        CHECK_FALSE(entry.is_directory()); // Each run removed its own.
    }
}

} // namespace slipway::agent
