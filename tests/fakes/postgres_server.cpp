#include "tests/fakes/postgres_server.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace slipway::fakes {
namespace {

std::string programs() {
    for (const auto& entry : std::filesystem::directory_iterator("/usr/lib/postgresql")) {
        if (std::filesystem::exists(entry.path() / "bin/initdb")) {
            return entry.path() / "bin";
        }
    }
    return {};
}

[[noreturn]] void give_up(const std::string& why) {
    std::fprintf(stderr, "PostgreSQL for the tests: %s (packaging/deps test installs it)\n",
                 why.c_str());
    std::abort();
}

} // namespace

PostgresServer::PostgresServer(bool durable) : durable_(durable) {
    std::string name = std::filesystem::temp_directory_path() / "slipway-pg-XXXXXX";
    if (mkdtemp(name.data()) == nullptr) {
        give_up("no temporary directory");
    }
    home_ = name;
    if (const auto* user = getpwnam("postgres"); getuid() == 0 && user != nullptr) {
        if (chown(name.c_str(), user->pw_uid, user->pw_gid) != 0) {
            give_up("chown " + name);
        }
    }
    if (run("initdb -D " + name + "/data -U slipway -A trust -E UTF8 --no-locale " +
            (durable ? "" : "--no-sync ") + "> " + name + "/initdb.log 2>&1") != 0) {
        give_up("initdb failed");
    }
    start();
}

PostgresServer::~PostgresServer() {
    crash();
    std::error_code ignored;
    std::filesystem::remove_all(home_, ignored);
}

void PostgresServer::as_server_user() const {
    if (getuid() != 0) {
        return;
    }
    const auto* user = getpwnam("postgres");
    if (user == nullptr || setgroups(0, nullptr) != 0 || setgid(user->pw_gid) != 0 ||
        setuid(user->pw_uid) != 0) {
        _exit(126);
    }
}

int PostgresServer::run(const std::string& command) const {
    const auto child = fork();
    if (child == 0) {
        as_server_user();
        const auto path = programs() + ":/usr/bin:/bin";
        setenv("PATH", path.c_str(), 1);
        setenv("PGHOST", home_.c_str(), 1);
        setenv("PGUSER", "slipway", 1);
        execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
        _exit(127);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

void PostgresServer::start() {
    const auto data = (home_ / "data").string();
    const auto log = (home_ / "server.log").string();
    const auto program = programs() + "/postgres";
    const auto parent = getpid();
    server_ = fork();
    if (server_ == 0) {
        as_server_user();
        prctl(PR_SET_PDEATHSIG, SIGQUIT);
        if (getppid() != parent || std::freopen(log.c_str(), "a", stderr) == nullptr) {
            _exit(125);
        }
        execl(program.c_str(), "postgres", "-D", data.c_str(), "-k", home_.c_str(), "-c",
              "listen_addresses=", "-c", "max_connections=40", "-c",
              durable_ ? "fsync=on" : "fsync=off", nullptr);
        _exit(127);
    }
    const std::string ready = "pg_isready -q -d postgres";
    for (int attempt = 0; run(ready) != 0; ++attempt) {
        if (attempt == 600 || waitpid(server_, nullptr, WNOHANG) != 0) {
            give_up("the server did not start; see " + log);
        }
        std::this_thread::sleep_for(std::chrono::milliseconds{50});
    }
}

void PostgresServer::crash() {
    if (server_ > 0) {
        kill(server_, SIGQUIT);
        waitpid(server_, nullptr, 0);
        server_ = -1;
    }
}

std::string PostgresServer::new_database() {
    const auto name = "test" + std::to_string(++databases_);
    if (run("psql -q -d postgres -c 'CREATE DATABASE " + name + "'") != 0) {
        give_up("CREATE DATABASE failed");
    }
    return "postgresql:///" + name + "?user=slipway&host=" + home_.string();
}

void PostgresServer::cut_connections() {
    (void)run("psql -q -t -d postgres -c 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
              " WHERE pid <> pg_backend_pid() AND datname IS NOT NULL' > /dev/null");
}

} // namespace slipway::fakes
