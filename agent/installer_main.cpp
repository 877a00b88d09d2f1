// Wiring of slipway-installer: options and the socket. It has no network and needs none; the work
// is in agent/io/installer_operations.
#include <CLI/CLI.hpp>
#include <cstdlib>
#include <iostream>
#include <malloc.h>
#include <pwd.h>
#include <unistd.h>

#include "agent/io/installer_server.h"
#include "agent/io/installer_socket.h"
#include "common/core/errc.h"
#include "common/trust/metadata.h"

namespace slipway::agent {
namespace {

struct Options {
    std::string root = "/var/lib/slipway";
    std::string socket;
    std::string trust;
    std::string agent_user;
    uid_t agent_uid = 0;
};

// A unit file knows the agent's name; its number is each host's own.
Result<uid_t> agent_uid(const Options& options) {
    if (options.agent_user.empty()) {
        return options.agent_uid;
    }
    const auto* user = ::getpwnam(options.agent_user.c_str());
    if (user == nullptr) {
        return fail(Errc::not_found, "--agent-user " + options.agent_user + ": no such user");
    }
    return user->pw_uid;
}

Result<Fd> listening_socket(const Options& options, uid_t agent) {
    auto passed = passed_socket(std::getenv("LISTEN_PID"), std::getenv("LISTEN_FDS"));
    if (!passed) {
        return tl::unexpected(std::move(passed.error()));
    }
    if (*passed) {
        return std::move(**passed);
    }
    if (options.socket.empty()) {
        return fail(Errc::usage, "--socket PATH is needed where no service manager passes one");
    }
    const bool shared = agent != ::getuid();
    return listen_at(options.socket, shared ? std::optional(agent) : std::nullopt);
}

Result<> serve(const Options& options) {
    RealFileOps files;
    InstallerOperations operations({std::filesystem::absolute(options.root)}, files);
    if (!options.trust.empty()) {
        auto trusted =
            read_file(options.trust, trust::limits::root_bytes).and_then([&](const Bytes& root) {
                return operations.trust(root);
            });
        if (!trusted) {
            return trusted;
        }
    }
    return agent_uid(options).and_then([&](uid_t agent) {
        return listening_socket(options, agent).and_then([&](const Fd& socket) {
            std::cout << "ready" << '\n' << std::flush;
            return InstallerServer(operations, agent).run(socket);
        });
    });
}

int run(int argc, char** argv) {
    Options options;
    CLI::App app(
        "Builds releases from what slipway-agent fetched, verifies them down from its own\n"
        "trusted root, switches between them and rolls back. It has no network.\n"
        "Exit status: 1 failed, 2 usage, 3 verification failed.",
        "slipway-installer");
    app.set_version_flag("--version", SLIPWAY_VERSION);
    app.add_option("--root", options.root, "State directory of this host")->capture_default_str();
    app.add_option("--socket", options.socket, "Listen at this path, unless one is passed");
    app.add_option("--trust", options.trust, "Root metadata to trust; needed the first time");
    auto* uid = app.add_option("--agent-uid", options.agent_uid, "User that may ask, beside root")
                    ->capture_default_str();
    app.add_option("--agent-user", options.agent_user, "The same, by name")->excludes(uid);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : static_cast<int>(ExitStatus::usage);
    }
    const auto ended = serve(options);
    if (!ended) {
        std::cerr << "slipway-installer: " << describe(ended.error()) << '\n';
        return static_cast<int>(exit_status(ended.error()));
    }
    return static_cast<int>(ExitStatus::done);
}

} // namespace
} // namespace slipway::agent

int main(int argc, char** argv) {
    // A thread that ended leaves its arena's last megabyte or two behind, for each core eight of
    // them: malloc_trim(3) does not give that back.
    ::mallopt(M_ARENA_MAX, 2);
    return slipway::agent::run(argc, argv);
}
