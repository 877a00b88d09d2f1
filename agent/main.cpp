// Wiring of slipway-agent: options, signals, output. The work is in agent/io.
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <functional>
#include <iostream>
#include <malloc.h>
#include <mutex>
#include <pthread.h>
#include <stop_token>
#include <thread>

#include "agent/explain.h"
#include "agent/io/config_reload.h"
#include "agent/io/daemon.h"
#include "agent/io/daemon_sockets.h"
#include "agent/io/enroll.h"
#include "agent/io/host_install.h"
#include "agent/io/own_cgroup.h"
#include "agent/io/release_commands.h"
#include "agent/io/timeline_book.h"
#include "agent/output.h"
#include "common/config/flags.h"
#include "common/core/errc.h"
#include "common/io/file_ops.h"
#include "common/tls/credentials.h"
#include "common/tls/flags.h"
#include "common/trust/utc_time.h"

namespace slipway::agent {
namespace {

constexpr const char* default_desired = "/etc/slipway/desired.json";

struct Options {
    std::string root = "/var/lib/slipway";
    std::string artifact;
    std::string service;
    std::vector<std::string> seeders;
    std::string trust;
    std::string listen;
    config::Source config{.file = "/etc/slipway/agent.toml",
                          .set = {},
                          .variables = "SLIPWAY_AGENT_",
                          .check = false};
    std::string desired; ///< Empty: not given.
    std::string release;
    std::string orchestrator;
    std::string token;
    std::string token_file;
    std::string certificates = "/etc/slipway/tls";
    tls::TlsFiles tls;
    std::uint64_t lock_timeout_s = 30;
    std::uint64_t share_s = 0;
    std::uint64_t patience_s = 30;
    std::size_t keep = 0;
    bool json = false;
    bool quiet = false;
    bool all = false;
    bool verify = false;
    bool dry_run = false;
};

// SIGINT and SIGTERM become a stop request; a second one ends the process at once. SIGHUP is the
// same, unless somebody takes it. The signals are blocked in all threads but this one, which waits
// for them.
class StopOnSignal {
public:
    StopOnSignal() {
        sigemptyset(&signals_);
        sigaddset(&signals_, SIGINT);
        sigaddset(&signals_, SIGTERM);
        sigaddset(&signals_, SIGHUP);
        sigaddset(&signals_, SIGUSR2); // Ends the wait.
        pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
        waiter_ = std::thread([this] { wait(); });
    }
    ~StopOnSignal() {
        pthread_kill(waiter_.native_handle(), SIGUSR2);
        waiter_.join();
    }
    StopOnSignal(const StopOnSignal&) = delete;
    StopOnSignal& operator=(const StopOnSignal&) = delete;
    [[nodiscard]] std::stop_token token() const { return stop_.get_token(); }
    /// Of SIGHUP, from now on; null: nobody.
    void give_hangups_to(const ConfigReload* reload) {
        const std::lock_guard lock(mutex_);
        reload_ = reload;
    }

private:
    bool taken_as_hangup(int signal) {
        const std::lock_guard lock(mutex_);
        if (signal != SIGHUP || reload_ == nullptr) {
            return false;
        }
        reload_->ask();
        return true;
    }
    void wait() {
        int signal = 0;
        while (sigwait(&signals_, &signal) == 0 && signal != SIGUSR2) {
            if (!taken_as_hangup(signal) && !stop_.request_stop()) {
                std::_Exit(static_cast<int>(ExitStatus::failed)); // The disk is valid at any time.
            }
        }
    }
    sigset_t signals_{};
    std::stop_source stop_;
    std::mutex mutex_;
    const ConfigReload* reload_ = nullptr;
    std::thread waiter_;
};

std::optional<std::string> if_given(const std::string& text) {
    return text.empty() ? std::nullopt : std::optional(text);
}

// What every command works with.
struct Context {
    const Options& options;
    HostLayout host;
    RealFileOps files;
    Progress progress;
    trust::TimePoint now;
    std::stop_token stop;
    StopOnSignal& signals;

    [[nodiscard]] ReleaseCommands commands() {
        return {host, files, progress,
                trust::format_utc(std::chrono::time_point_cast<std::chrono::seconds>(now)),
                std::chrono::seconds(options.lock_timeout_s)};
    }
};

// All of an install request but the artifact.
Result<InstallRequest> base_request(const Options& options, trust::TimePoint now) {
    InstallRequest request;
    request.service = options.service;
    request.seeders = options.seeders;
    request.lock_timeout = std::chrono::seconds(options.lock_timeout_s);
    request.fetcher.listen = options.listen;
    request.fetcher.patience = std::chrono::seconds(options.patience_s);
    request.now = now;
    if (!options.trust.empty()) {
        request.trusted_root = options.trust;
    }
    if (auto complete = tls::check_complete(options.tls); !complete) {
        return tl::unexpected(std::move(complete.error()));
    }
    if (options.tls.given()) {
        auto credentials = tls::Credentials::load(options.tls);
        if (!credentials) {
            return tl::unexpected(std::move(credentials.error()));
        }
        request.fetcher.tls = std::move(*credentials);
        auto watch = swarm::TlsWatch::start(options.tls);
        if (!watch) {
            return tl::unexpected(std::move(watch.error()));
        }
        request.fetcher.swarm_tls = std::move(*watch);
    }
    return request;
}

Result<InstallRequest> install_request(const Options& options, trust::TimePoint now) {
    return ArtifactId::parse(options.artifact).and_then([&](ArtifactId id) {
        return base_request(options, now).map([&](InstallRequest request) {
            request.artifact = std::move(id);
            return request;
        });
    });
}

Result<> run_install(Context& context) {
    const auto request = install_request(context.options, context.now);
    if (!request) {
        return tl::unexpected(request.error());
    }
    HostInstall installer(context.host, context.files, context.progress);
    const auto began = std::time(nullptr);
    return installer.run(*request, context.stop).and_then([&](const InstallResult& result) {
        show_install(*request, result, context.options.json);
        note_installation(context.host, *request, installer.times(), began);
        return installer.share(std::chrono::seconds(context.options.share_s), context.stop);
    });
}

Result<> run_fetch(Context& context) {
    const auto request = install_request(context.options, context.now);
    if (!request) {
        return tl::unexpected(request.error());
    }
    HostInstall installer(context.host, context.files, context.progress);
    return installer.stage(*request, {}, context.stop).and_then([&](const StageResult& result) {
        show_stage(*request, result, context.options.json);
        return installer.share(std::chrono::seconds(context.options.share_s), context.stop);
    });
}

Result<> run_status(Context& context) {
    return context.commands().status(if_given(context.options.service)).map([&](const auto& all) {
        const auto daemon = ask_daemon(context.host.root / "agent.sock"); // None may run.
        show_status(context.host, all, daemon ? std::optional(*daemon) : std::nullopt,
                    context.options.json);
    });
}

Result<> run_explain(Context& context) {
    return explain(context.host, if_given(context.options.service), context.options.json);
}

Result<> run_releases(Context& context) {
    return context.commands().status(if_given(context.options.service)).map([&](const auto& all) {
        show_releases(all, context.options.json);
    });
}

Result<> run_run(Context& context) {
    auto options = context.options;
    const auto read_config = [source = options.config] {
        AgentConfig config;
        return config::read_source(source,
                                   [&](config::Table& table) { config = read_agent_config(table); })
            .map([&] { return std::move(config); });
    };
    auto read = read_config();
    if (!read || options.config.check) {
        return read.map([&](const AgentConfig& /*config*/) {
            std::cout << options.config.file.string() << ": right\n";
        });
    }
    auto config = std::move(*read);
    options.seeders = config.seeders;
    options.trust = config.trust;
    options.listen = config.listen;
    options.patience_s = static_cast<std::uint64_t>(config.patience.count());
    options.tls = {config.tls.certificate, config.tls.key, config.tls.authority,
                   config.tls.revoked};
    // With an orchestrator a file is watched if it is asked for only.
    if (options.desired.empty() && config.orchestrators.empty()) {
        options.desired = default_desired;
    }
    return base_request(options, context.now).and_then([&](InstallRequest install) {
        ConfigReload reload(read_config);
        DaemonOptions daemon{std::move(config), options.desired, std::move(install)};
        daemon.reload = &reload;
        daemon.hook_cgroups = divide_own_cgroup();
        context.signals.give_hangups_to(&reload);
        auto ended = run_daemon(daemon, context.stop);
        context.signals.give_hangups_to(nullptr);
        return ended;
    });
}

Result<> run_enroll(Context& context) {
    const auto& options = context.options;
    auto token = options.token;
    if (token.empty() == options.token_file.empty()) {
        return fail(Errc::usage, "give one of --token and --token-file");
    }
    if (token.empty()) {
        constexpr std::uint64_t token_bytes_max = 1024;
        const auto text = read_file(options.token_file, token_bytes_max);
        if (!text) {
            return tl::unexpected(text.error());
        }
        token = as_text(*text);
        token.erase(token.find_last_not_of(" \n") + 1);
    }
    return enroll({options.orchestrator, token, options.certificates}, context.stop)
        .map([&](const Identity& identity) {
            show_enrolled(identity, options.certificates, options.json);
        });
}

Result<std::optional<ReleaseId>> release_option(const Options& options) {
    if (options.release.empty()) {
        return std::nullopt;
    }
    return ReleaseId::parse(options.release).map([](ReleaseId id) { return std::optional(id); });
}

Result<> run_verify(Context& context) {
    const auto release = release_option(context.options);
    if (!release) {
        return tl::unexpected(release.error());
    }
    return context.commands()
        .verify(if_given(context.options.service), *release, context.options.all, context.stop)
        .and_then([&](const std::vector<VerifiedRelease>& verified) -> Result<> {
            show_verified(verified, context.options.json);
            for (const auto& one : verified) {
                if (!one.faults.empty()) {
                    return fail(Errc::verification_failed,
                                "release " + one.release.text + " of service " + one.service);
                }
            }
            return {};
        });
}

Result<> run_rollback(Context& context) {
    const auto to = release_option(context.options);
    if (!to) {
        return tl::unexpected(to.error());
    }
    auto service = context.options.service;
    if (service.empty()) {
        const auto names = context.host.service_names();
        if (!names || names->size() != 1) {
            return fail(Errc::usage, "--service is needed unless the host has just one service");
        }
        service = names->front();
    }
    return context.commands()
        .roll_back(service, *to, context.options.verify, context.stop)
        .map([&](const auto& done) { show_rollback(service, done, context.options.json); });
}

Result<> run_gc(Context& context) {
    return context.commands()
        .collect_garbage(if_given(context.options.service), context.options.keep,
                         context.options.dry_run)
        .map([&](const auto& removed) {
            show_garbage(removed, context.options.dry_run, context.options.json);
        });
}

struct Command {
    CLI::App* app;
    Result<> (*run)(Context&);
};

std::vector<Command> declare(CLI::App& app, Options& options) {
    const auto command = [&](const char* name, const char* what) {
        auto* sub = app.add_subcommand(name, what);
        sub->add_option("--root", options.root, "State directory of this host")
            ->capture_default_str();
        sub->add_flag("--json", options.json, "JSON lines on standard output");
        sub->add_flag("--quiet", options.quiet, "No progress");
        return sub;
    };
    const auto locks = [&](CLI::App* sub) {
        sub->add_option("--lock-timeout", options.lock_timeout_s,
                        "Seconds to wait for another run of the service")
            ->capture_default_str();
    };
    const auto one_service = [&](CLI::App* sub) {
        return sub->add_option("--service", options.service, "Service; all if not given");
    };
    const auto from_seeders = [&](CLI::App* sub) {
        sub->add_option("artifact", options.artifact, "NAME@VERSION")->required();
        sub->add_option("--service", options.service, "Service that it is for")->required();
        sub->add_option("--seeder", options.seeders, "URL or directory; may be repeated")
            ->required();
        sub->add_option("--trust", options.trust, "Root metadata to trust; needed the first time");
        sub->add_option("--share", options.share_s, "Seconds to share afterwards");
        sub->add_option("--listen", options.listen, "IP:PORT for peers");
        sub->add_option("--patience", options.patience_s, "Seconds without any progress")
            ->capture_default_str();
        tls::add_flags(*sub, options.tls);
    };
    auto* install = command("install", "Fetch, verify and switch to an artifact");
    from_seeders(install);
    locks(install);
    auto* run = app.add_subcommand("run", "Keep this host's services at what is wanted");
    config::add_flags(*run, options.config);
    run->add_option("--desired", options.desired,
                    "What is wanted (JSON); watched. Default: " + std::string(default_desired) +
                        ", unless an orchestrator is configured");
    auto* fetch = command("fetch", "Fetch what slipway-installer builds an artifact from");
    from_seeders(fetch);
    auto* enroll = command("enroll", "Get this host its certificate, with a one-time token");
    enroll
        ->add_option("--orchestrator", options.orchestrator, "URL of who answers: http://HOST:PORT")
        ->required();
    enroll->add_option("--token", options.token, "As `slipway ca token` printed it")
        ->envname("SLIPWAY_ENROLL_TOKEN");
    enroll->add_option("--token-file", options.token_file, "File with the token");
    enroll->add_option("--out", options.certificates, "Directory for key.pem, cert.pem and ca.pem")
        ->capture_default_str();
    auto* status = command("status", "What is current, and since when");
    one_service(status);
    auto* explain = command("explain", "Where the time of the last installation went");
    one_service(explain);
    auto* releases = command("releases", "All installed releases");
    one_service(releases);
    auto* verify = command("verify", "Read installed releases again and compare with their index");
    one_service(verify);
    verify->add_option("--release", options.release, "This release instead of the current one");
    verify->add_flag("--all", options.all, "All releases");
    auto* rollback = command("rollback", "Switch to the release before");
    one_service(rollback);
    rollback->add_option("--to", options.release, "An earlier release");
    rollback->add_flag("--verify", options.verify, "Read the release again first");
    locks(rollback);
    auto* gc = command("gc", "Remove old releases, unused packs and leftovers");
    one_service(gc);
    gc->add_option("--keep", options.keep, "Releases to keep beside current and previous");
    gc->add_flag("--dry-run", options.dry_run, "Only tell what would be removed");
    locks(gc);
    return {{install, run_install}, {run, run_run},           {enroll, run_enroll},
            {fetch, run_fetch},     {status, run_status},     {releases, run_releases},
            {verify, run_verify},   {rollback, run_rollback}, {gc, run_gc},
            {explain, run_explain}};
}

Result<> check_names(const Options& options) {
    if (options.service.empty()) {
        return {};
    }
    return parse_service_name(options.service).map([](const std::string&) {});
}

int run(int argc, char** argv) {
    Options options;
    CLI::App app("Installs artifacts on this host, switches between releases and rolls back.\n"
                 "Exit status: 0 done, 1 failed, 2 usage, 3 verification failed, 4 not found.",
                 "slipway-agent");
    app.require_subcommand(1);
    app.set_version_flag("--version", SLIPWAY_VERSION);
    const auto commands = declare(app, options);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : static_cast<int>(ExitStatus::usage);
    }
    StopOnSignal signals;
    const auto style = options.quiet && !options.json
                           ? ProgressStyle::none
                           : progress_style(fileno(stderr), options.json);
    Context context{options,         {std::filesystem::absolute(options.root)}, {},
                    Progress(style), std::chrono::system_clock::now(),          signals.token(),
                    signals};
    for (const auto& [sub, work] : commands) {
        if (!sub->parsed()) {
            continue;
        }
        const auto done = check_names(options).and_then([&] { return work(context); });
        if (!done) {
            context.progress.finish();
            show_error(done.error(), options.json);
            return static_cast<int>(exit_status(done.error()));
        }
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
