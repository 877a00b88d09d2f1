#include "orchestrator/io/sql.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <map>

#include <fcntl.h>

#include <soci/postgresql/soci-postgresql.h>
#include <soci/soci.h>
#include <soci/sqlite3/soci-sqlite3.h>

#include "common/core/errc.h"
#include "common/io/file_ops.h"
#include "orchestrator/io/store.h"

namespace slipway::orchestrator {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds backoff_min{100};
constexpr std::chrono::milliseconds backoff_max{1'000};

/// A statement with what its parameters and columns are bound to; SOCI keeps their addresses.
struct Prepared {
    Prepared(soci::session& session, const std::string& text, const std::vector<SqlValue>& values,
             int columns)
        : statement(session) {
        for (const auto& value : values) {
            if (std::holds_alternative<std::string>(value)) {
                statement.exchange(soci::use(texts.emplace_back()));
            } else {
                statement.exchange(soci::use(numbers.emplace_back()));
            }
        }
        for (int column = 0; column < columns; ++column) {
            statement.exchange(soci::into(out.emplace_back()));
        }
        statement.alloc();
        statement.prepare(text);
        statement.define_and_bind();
    }

    void bind(const std::vector<SqlValue>& values) {
        std::size_t text = 0;
        std::size_t number = 0;
        for (const auto& value : values) {
            if (const auto* given = std::get_if<std::string>(&value)) {
                texts[text++] = *given;
            } else {
                numbers[number++] = std::get<std::int64_t>(value);
            }
        }
    }

    std::deque<std::string> texts{};
    std::deque<long long> numbers{};
    std::deque<std::string> out{};
    soci::statement statement;
};

/// libpq's settings that bound how long a dead server can hold us, where the URL does not say.
std::string with_defaults(std::string url) {
    constexpr std::string_view defaults[] = {
        "connect_timeout=3",     "tcp_user_timeout=3000", "keepalives_idle=5",
        "keepalives_interval=2", "keepalives_count=2",    "application_name=slipway-orchestrator",
        "client_encoding=UTF8",
    };
    for (const auto setting : defaults) {
        const auto name = setting.substr(0, setting.find('=') + 1);
        if (url.find(name) == std::string::npos) {
            url += url.find('?') == std::string::npos ? '?' : '&';
            url += setting;
        }
    }
    return url;
}

} // namespace

struct Sql::State {
    Dialect dialect = Dialect::sqlite;
    std::string url;        ///< As given: for messages only through without_password().
    std::string path;       ///< SQLite.
    std::string parameters; ///< For SOCI; may hold a password.
    std::unique_ptr<soci::session> session{};
    std::map<std::string, std::unique_ptr<Prepared>> statements{}; ///< End before the session.
    Clock::time_point next_try{};
    std::chrono::milliseconds backoff = backoff_min;

    void drop() {
        statements.clear();
        session.reset();
    }
    Result<> connect();
    void set_up();
    tl::unexpected<Error> failed(const std::exception& why);
    [[nodiscard]] bool is_lost(const std::exception& why) const;
    [[nodiscard]] std::string say(std::string why) const;
};

/// The database's words without line breaks, and without the URL that libpq may quote.
std::string Sql::State::say(std::string why) const {
    const auto replace = [&why](const std::string& what, const std::string& with) {
        for (std::size_t at = 0; !what.empty() && (at = why.find(what, at)) != std::string::npos;
             at += with.size()) {
            why.replace(at, what.size(), with);
        }
    };
    replace(parameters, without_password(url));
    replace(url, without_password(url));
    why = without_password(why);
    std::replace(why.begin(), why.end(), '\n', ' ');
    // SOCI appends the statement and its parameters, which may be a whole document.
    if (const auto at = why.find(" while "); at != std::string::npos) {
        why.resize(at);
    }
    constexpr std::size_t words_max = 500;
    why.resize(std::min(why.size(), words_max));
    return "database " + without_password(url) + ": " + why;
}

void Sql::State::set_up() {
    if (dialect == Dialect::sqlite) {
        *session << "PRAGMA busy_timeout=5000";
        *session << "PRAGMA journal_mode=WAL";
        *session << "PRAGMA synchronous=FULL";
        return;
    }
    *session << "SET client_min_messages = warning"; // libpq prints lesser ones to stderr.
    *session << "SET synchronous_commit = on";
    *session << "SET statement_timeout = '10s'";
    *session << "SET lock_timeout = '3s'";
    // A process that is stopped inside a transaction must not hold the lease's row for long.
    *session << "SET idle_in_transaction_session_timeout = '1s'";
}

Result<> Sql::State::connect() {
    if (session) {
        return {};
    }
    const auto now = Clock::now();
    if (now < next_try) {
        const auto wait = std::chrono::ceil<std::chrono::milliseconds>(next_try - now);
        return fail(StoreErrc::unreachable, say("connection lost; next attempt in " +
                                                std::to_string(wait.count()) + " ms"));
    }
    try {
        if (dialect == Dialect::sqlite) {
            // SQLite makes its file as the umask says; what is in it is nobody else's to read.
            if (auto made = open_file(path, O_RDWR | O_CREAT, 0600); !made) {
                return tl::unexpected(within("open the database", made.error()));
            }
            session = std::make_unique<soci::session>(soci::sqlite3, parameters);
        } else {
            session = std::make_unique<soci::session>(soci::postgresql, parameters);
        }
        set_up();
        backoff = backoff_min;
        return {};
    } catch (const std::exception& why) {
        drop();
        next_try = Clock::now() + backoff;
        backoff = std::min(backoff * 2, backoff_max);
        return fail(dialect == Dialect::sqlite ? make_error_code(Errc::failed)
                                               : make_error_code(StoreErrc::unreachable),
                    say(why.what()));
    }
}

bool Sql::State::is_lost(const std::exception& why) const {
    if (dialect == Dialect::sqlite) {
        return false;
    }
    const auto* known = dynamic_cast<const soci::postgresql_soci_error*>(&why);
    if (known != nullptr) {
        // Class 08: connection; 57P: the server shuts down; 25P03: idle in a transaction too long.
        const auto state = known->sqlstate();
        if (state.starts_with("08") || state.starts_with("57P") || state == "25P03") {
            return true;
        }
    }
    return !session->is_connected();
}

tl::unexpected<Error> Sql::State::failed(const std::exception& why) {
    const auto words = say(why.what());
    if (is_lost(why)) {
        drop();
        return fail(StoreErrc::unreachable, words);
    }
    const bool locked = words.find("locked") != std::string::npos ||
                        words.find("lock timeout") != std::string::npos;
    return fail(locked ? Errc::busy : Errc::failed, words);
}

Sql::Sql(std::unique_ptr<State> state) : state_(std::move(state)) {}
Sql::Sql(Sql&&) noexcept = default;
Sql& Sql::operator=(Sql&&) noexcept = default;
Sql::~Sql() = default;

Result<Sql> Sql::make(const std::string& url) {
    auto state = std::make_unique<State>();
    state->url = url;
    constexpr std::string_view sqlite = "sqlite:";
    if (url.starts_with(sqlite)) {
        state->path = url.substr(sqlite.size());
        if (state->path.empty() || state->path.find_first_of("\"\n") != std::string::npos) {
            return fail(Errc::usage, "database '" + url + "': name a file: sqlite:/path/to/file");
        }
        state->parameters = "db=\"" + state->path + "\" timeout=5";
        return Sql(std::move(state));
    }
    if (url.starts_with("postgresql://") || url.starts_with("postgres://")) {
        state->dialect = Dialect::postgresql;
        state->parameters = with_defaults(url);
        return Sql(std::move(state));
    }
    return fail(Errc::usage, "database '" + without_password(url) +
                                 "': use sqlite:/path/to/file or postgresql://user@host/database");
}

Dialect Sql::dialect() const {
    return state_->dialect;
}

Result<std::vector<SqlRow>> Sql::run(const std::string& text, const std::vector<SqlValue>& values,
                                     int columns) {
    if (auto connected = state_->connect(); !connected) {
        return tl::unexpected(connected.error());
    }
    try {
        auto& prepared = state_->statements[text];
        if (!prepared) {
            prepared = std::make_unique<Prepared>(*state_->session, text, values, columns);
        }
        prepared->bind(values);
        std::vector<SqlRow> rows;
        bool more = prepared->statement.execute(true);
        // To the end, always: SQLite keeps its read lock until a statement is through.
        while (more && columns > 0) {
            rows.emplace_back(prepared->out.begin(), prepared->out.end());
            more = prepared->statement.fetch();
        }
        return rows;
    } catch (const std::exception& why) {
        state_->statements.erase(text);
        return state_->failed(why);
    }
}

Result<> Sql::begin() {
    auto begun = run(state_->dialect == Dialect::sqlite ? "BEGIN IMMEDIATE" : "BEGIN");
    if (!begun) {
        return tl::unexpected(begun.error());
    }
    return {};
}

Result<> Sql::commit() {
    auto committed = run("COMMIT");
    if (!committed) {
        return tl::unexpected(committed.error());
    }
    return {};
}

void Sql::roll_back() {
    if (state_->session && !run("ROLLBACK")) {
        state_->drop();
    }
}

std::string without_password(std::string_view url) {
    std::string out(url);
    // scheme://user:PASSWORD@host
    if (const auto scheme = out.find("://"); scheme != std::string::npos) {
        const auto begin = scheme + 3;
        const auto end = out.find_first_of("/? ", begin);
        const auto at = out.rfind('@', end == std::string::npos ? end : end - 1);
        const auto colon = out.find(':', begin);
        if (at != std::string::npos && at > begin && colon != std::string::npos && colon < at) {
            out.replace(colon + 1, at - colon - 1, "***");
        }
    }
    for (const std::string_view name : {"password=", "sslpassword="}) {
        for (auto at = out.find(name); at != std::string::npos; at = out.find(name, at + 1)) {
            const auto begin = at + name.size();
            const auto end = std::min(out.find_first_of("& '\"", begin), out.size());
            out.replace(begin, end - begin, "***");
        }
    }
    return out;
}

} // namespace slipway::orchestrator
