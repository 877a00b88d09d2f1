#pragma once

#include <filesystem>
#include <string>

#include <sys/types.h>

namespace slipway::fakes {

/// A real PostgreSQL server of Debian's package in a temporary directory: on a UNIX socket only, as
/// an unprivileged user, ended with this process whatever becomes of it.
class PostgresServer {
public:
    /// Ends the process with a message if there is no PostgreSQL (packaging/deps installs it).
    /// `durable`: with fsync, for measurements; tests that kill no machine need none.
    explicit PostgresServer(bool durable = false);
    ~PostgresServer();
    PostgresServer(const PostgresServer&) = delete;
    PostgresServer& operator=(const PostgresServer&) = delete;

    /// A new empty database's URL.
    [[nodiscard]] std::string new_database();
    /// Ends the server as a crash would (SIGQUIT: no shutdown checkpoint).
    void crash();
    /// Starts it again and waits until it answers.
    void start();
    /// Lets the server cut all other connections.
    void cut_connections();
    /// Runs a shell command as the server's user, with PostgreSQL's programs, PGHOST and PGUSER
    /// set; gives its exit status.
    [[nodiscard]] int run(const std::string& command) const;
    /// A directory that the server's user may write to.
    [[nodiscard]] const std::filesystem::path& home() const { return home_; }

private:
    void as_server_user() const;

    std::filesystem::path home_;
    bool durable_;
    pid_t server_ = -1;
    int databases_ = 0;
};

} // namespace slipway::fakes
