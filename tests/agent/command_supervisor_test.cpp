#include "agent/io/command_supervisor.h"

#include <fstream>
#include <thread>

#include <catch2/catch.hpp>
#include <signal.h>

#include "tests/scratch_directory.h"

namespace slipway::agent {
namespace {

using namespace std::chrono_literals;

SupervisedCommand shell(const tests::ScratchDirectory& release, const std::string& script) {
    SupervisedCommand command{
        .service = "web", .command = {}, .release = release.path(), .variables = {}};
    command.command.argv = {"/bin/sh", "-c", script};
    command.command.stop_timeout = 300ms;
    command.backoff = 10ms;
    command.backoff_max = 100ms;
    return command;
}

/// Waits for what a process writes; a minute is for machines under load.
template <typename Condition>
bool eventually(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + 60s;
    while (!condition() && std::chrono::steady_clock::now() < end) {
        std::this_thread::sleep_for(5ms);
    }
    return condition();
}

pid_t pid_in(const std::filesystem::path& file) {
    pid_t pid = 0;
    std::ifstream(file) >> pid;
    return pid;
}

} // namespace

TEST_CASE("supervisor: runs a command, and stops all of it", "[supervisor]") {
    const tests::ScratchDirectory release;
    CommandSupervisor supervisor;
    CHECK(supervisor.health().failed);
    REQUIRE(supervisor.start(shell(release, "trap '' TERM; (trap '' TERM; exec setsid sleep 1000) "
                                            "& echo $! > child; while :; do sleep 1; done")));
    CHECK_FALSE(supervisor.health().failed);
    REQUIRE(eventually([&] { return pid_in(release / "child") > 0; }));
    const auto child = pid_in(release / "child");
    CHECK(::kill(child, 0) == 0);
    supervisor.stop();
    CHECK(::kill(child, 0) != 0); // It ignored TERM, and had a session of its own.
    CHECK(supervisor.health().failed);
    CHECK(supervisor.health().detail == "web: stopped");
    CHECK(supervisor.health().restarts == 0);
}

TEST_CASE("supervisor: a command that ends is started again and counted", "[supervisor]") {
    const tests::ScratchDirectory release;
    CommandSupervisor supervisor;
    REQUIRE(supervisor.start(shell(release, "echo run >> runs; exit 3")));
    CHECK(eventually([&] { return supervisor.health().restarts >= 3; }));
    CHECK(supervisor.health().detail.find("web: ended (exit status 3), starts again in") == 0);
    supervisor.stop();
    std::ifstream runs(release / "runs");
    const auto lines = std::count(std::istreambuf_iterator<char>(runs), {}, '\n');
    CHECK(lines >= 3);
}

TEST_CASE("supervisor: another command takes the place of the one before", "[supervisor]") {
    const tests::ScratchDirectory release;
    CommandSupervisor supervisor;
    REQUIRE(supervisor.start(shell(release, "echo $$ > old; exec sleep 1000")));
    REQUIRE(eventually([&] { return pid_in(release / "old") > 0; }));
    REQUIRE(supervisor.start(shell(release, "echo $$ > new; exec sleep 1000")));
    CHECK(::kill(pid_in(release / "old"), 0) != 0);
    REQUIRE(eventually([&] { return pid_in(release / "new") > 0; }));
}

TEST_CASE("supervisor: a program that does not exist is an error of the start", "[supervisor]") {
    const tests::ScratchDirectory release;
    CommandSupervisor supervisor;
    auto command = shell(release, "");
    command.command.argv = {"bin/none"};
    const auto started = supervisor.start(command);
    REQUIRE_FALSE(started);
    CHECK(started.error().code == std::errc::no_such_file_or_directory);
    CHECK(started.error().context == "start bin/none of web");
    CHECK(supervisor.health().failed);
}

} // namespace slipway::agent
