// The limits that only a cgroup's controllers keep. tests/system/run-kernel boots a kernel that has
// them.
#include "agent/io/hook_runner.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include <catch2/catch.hpp>

#include "tests/agent/hook_fixture.h"
#include "tests/scratch_directory.h"

namespace slipway::agent {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr std::uint64_t mib = 1024 * 1024;

// Two processes of 40 MiB each at the same time, which then say so. Every page is written, and at
// no time is there a second copy of them; each waits for the other, however slow the machine is.
const std::string two_processes = R"sh(
rm -f held-*
touch='held = bytearray(40 << 20); held[::4096] = b"x" * (len(held) // 4096)'
both='all(os.path.exists(f"held-{n}") for n in (1, 2))'
hold() { exec python3 -c "
import os, sys, time
$touch
open('held-$1', 'w').close()
while not $both: time.sleep(0.05)
"; }
hold 1 & one=$!
hold 2 & two=$!
wait $one && wait $two && echo both held
)sh";

/// The most that a number in any run's cgroup was, while it is watched.
class Watch {
public:
    Watch(fs::path cgroups, std::string file)
        : thread_([this, in = std::move(cgroups),
                   name = std::move(file)](const std::stop_token& stop) {
              std::mutex mutex;
              std::unique_lock lock(mutex);
              std::condition_variable_any never;
              // Not all the time: the one processor of run-kernel is the hook's too.
              while (!never.wait_for(lock, stop, 1ms, [&] { return stop.stop_requested(); })) {
                  std::error_code ignored;
                  for (const auto& run : fs::directory_iterator(in, ignored)) {
                      std::uint64_t value = 0;
                      if (run.is_directory(ignored) && std::ifstream(run.path() / name) >> value) {
                          most_ = std::max(most_.load(), value);
                      }
                  }
              }
          }) {}
    [[nodiscard]] std::uint64_t most() const { return most_; }

private:
    std::atomic<std::uint64_t> most_ = 0;
    std::jthread thread_; ///< Last: it uses the above.
};

} // namespace

TEST_CASE("hook limits: memory counts for all processes of a hook together", "[hook][limits]") {
    const Cgroups cgroups;
    if (!cgroups.have_controllers()) {
        WARN("no cgroup v2 with memory and pids that this user may use: not run");
        return;
    }
    const tests::ScratchDirectory release;
    const HookRunner runner(cgroups.path());
    auto request = shell(release.path(), two_processes, 60s);

    request.program.memory_bytes = 160 * mib;
    const auto enough = runner.run(request, {});
    REQUIRE(enough);
    CAPTURE(enough->message, enough->output);
    CHECK(enough->ok);

    request.program.memory_bytes = 64 * mib; // Each of them alone would have its 40 MiB.
    const Watch memory(cgroups.path(), "memory.current");
    const auto begin = std::chrono::steady_clock::now();
    const auto outcome = runner.run(request, {});
    REQUIRE(outcome);
    CAPTURE(outcome->message, outcome->output);
    CHECK_FALSE(outcome->ok);
    CHECK(outcome->exit_status == -1); // The shell as well: the hook is killed as a whole.
    CHECK(std::chrono::steady_clock::now() - begin < 30s);
    CHECK(memory.most() > 32 * mib);
    CHECK(memory.most() <= 64 * mib);
    CHECK(processes_of(release.path()).empty());
}

TEST_CASE("hook limits: a fork bomb stays below its tasks and is killed whole", "[hook][limits]") {
    const Cgroups cgroups;
    if (!cgroups.have_controllers()) {
        WARN("no cgroup v2 with memory and pids that this user may use: not run");
        return;
    }
    const tests::ScratchDirectory release;
    const HookRunner runner(cgroups.path());
    auto request = shell(release.path(), "bomb() { bomb | bomb & bomb; }; bomb", 2s);
    request.program.tasks = 32;
    const Watch tasks(cgroups.path(), "pids.current");
    const auto begin = std::chrono::steady_clock::now();
    const auto outcome = runner.run(request, {});
    const auto took = std::chrono::steady_clock::now() - begin;
    REQUIRE(outcome);
    CAPTURE(outcome->message);
    CHECK_FALSE(outcome->ok);
    CHECK(took < 2s + 5s);
    CHECK(tasks.most() > 16); // It did go off.
    CHECK(tasks.most() <= 32);
    CHECK(processes_of(release.path()).empty());
    CHECK(runner.run(shell(release.path(), "exit 0"), {}).value().ok); // The host goes on.
}

} // namespace slipway::agent
