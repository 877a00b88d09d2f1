#include <cstdio>
#include <filesystem>
#include <iostream>
#include <random>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "common/config/flags.h"
#include "common/core/errc.h"
#include "common/http/listen_address.h"
#include "common/io/blocking.h"
#include "common/io/log.h"
#include "common/swarm/pack_session.h"
#include "common/swarm/tls_watch.h"
#include "common/tls/credentials.h"
#include "common/tls/flags.h"
#include "seeder/core/seeder_config.h"
#include "seeder/core/tracker.h"
#include "seeder/io/http_server.h"
#include "seeder/io/metadata_renewal.h"
#include "seeder/io/pack_watch.h"
#include "seeder/io/seeder_metrics.h"

namespace slipway::seeder {
namespace {

// Twice the first tier of a swarm (GraphOptions): whom the tracker sent is served, so that what a
// host was shown does not wait for its turn.
constexpr int upload_slots = 16;

struct Options {
    config::Source config{.file = {}, .set = {}, .variables = "SLIPWAY_SEEDER_", .check = false};
    std::filesystem::path repository;
    std::string keys;
    std::string passphrase_file;
    std::string listen = "127.0.0.1:7070";
    std::uint16_t bittorrent_port = 0;
    std::string region;
    std::vector<std::string> zones;
    std::uint64_t upload_bytes_per_s_max = 0;
    tls::TlsFiles tls;
    bool open = false;
    bool json = false;
};

Result<http::ListenAddress> checked_address(const Options& options) {
    auto address = http::parse_listen_address(options.listen);
    if (address && !address->loopback && !options.open && !options.tls.given()) {
        return fail(
            Errc::usage,
            "--listen " + options.listen +
                ": without certificates (--tls-cert, --tls-key, --tls-ca) a seeder listens on "
                "loopback only; --open says that anyone who reaches this address may read the "
                "repository");
    }
    if (options.open && options.tls.given()) {
        return fail(Errc::usage, "--open lets anyone in, --tls-cert only the fleet: give one");
    }
    return address;
}

// A seeder's certificate has to say so: agents refuse any other at the other end.
Result<std::shared_ptr<tls::Credentials>> load_credentials(const tls::TlsFiles& files) {
    if (!files.given()) {
        return tls::check_complete(files).map([] { return std::shared_ptr<tls::Credentials>(); });
    }
    return tls::Credentials::load(files).and_then(
        [&](std::shared_ptr<tls::Credentials> loaded) -> Result<std::shared_ptr<tls::Credentials>> {
            if (const auto self = loaded->self(); self.role != Role::seeder) {
                return fail(Errc::usage, "--tls-cert " + files.certificate.string() + " is of " +
                                             self.text() + ", not of a seeder");
            }
            return loaded;
        });
}

Result<> check_repository(const std::filesystem::path& repository) {
    std::error_code ec;
    if (!std::filesystem::exists(repository / "metadata" / "timestamp.json", ec)) {
        return fail(Errc::not_found, repository.string() +
                                         " is not a repository (no metadata/timestamp.json); make "
                                         "one with `slipway repo init --repo " +
                                         repository.string() + "`");
    }
    return {};
}

SwarmHash swarm_hash(const Sha256Digest& info_hash) {
    SwarmHash out{};
    std::copy_n(info_hash.bytes.begin(), out.size(), out.begin());
    return out;
}

std::string wire_digits(const Sha256Digest& info_hash) {
    return info_hash.hex().substr(0, SwarmHash{}.size() * 2);
}

Result<ZoneMap> zone_map(const Options& options) {
    ZoneMap zones(options.region);
    for (const auto& line : options.zones) {
        if (auto added = zones.add(line); !added) {
            return tl::unexpected(added.error());
        }
    }
    return zones;
}

MetadataRenewalOptions renewal_options(const Options& options) {
    MetadataRenewalOptions renewal{
        .repository = options.repository, .keys = {}, .now = std::chrono::system_clock::now};
    if (!options.keys.empty()) {
        trust::Passphrase passphrase;
        if (!options.passphrase_file.empty()) {
            passphrase = [file = options.passphrase_file](const std::string&) {
                return trust::read_secret(file);
            };
        }
        renewal.keys.emplace(options.keys, std::move(passphrase));
    }
    return renewal;
}

// Scripts read this line to learn the ports; it is the first one on standard output.
void announce_ports(const Options& options, const http::ListenAddress& address,
                    std::uint16_t http_port, std::uint16_t bittorrent_port) {
    const std::string scheme = options.tls.given() ? "https" : "http";
    const auto http = http::host_port(address.ip, http_port);
    const auto bittorrent = http::host_port(address.ip, bittorrent_port);
    if (options.json) {
        const nlohmann::json line = {
            {"event", "listening"}, {scheme, http}, {"bittorrent", bittorrent}};
        std::cout << line.dump() << std::endl;
    } else {
        std::cout << "listening " << scheme << "=" << http << " bittorrent=" << bittorrent
                  << std::endl;
    }
}

// What no flag has said comes from the file and the environment.
Result<> fill_from_config(const CLI::App& flags, Options& options) {
    SeederConfig config;
    auto read = config::read_source(
        options.config, [&](config::Table& table) { config = read_seeder_config(table); });
    if (!read) {
        return read;
    }
    const auto fill = [&](const char* flag, auto& option, auto&& from) {
        if (flags.count(flag) == 0) {
            option = std::forward<decltype(from)>(from);
        }
    };
    fill("--repo", options.repository, config.repository);
    fill("--keys", options.keys, config.keys);
    fill("--passphrase-file", options.passphrase_file, config.passphrase_file);
    fill("--listen", options.listen, config.listen);
    fill("--bt-port", options.bittorrent_port, config.bittorrent_port);
    fill("--region", options.region, config.region);
    fill("--zone", options.zones, config.zones);
    fill("--upload-limit", options.upload_bytes_per_s_max, config.upload_bytes_per_s_max);
    fill("--open", options.open, config.open);
    fill("--json", options.json, config.json);
    fill("--tls-cert", options.tls.certificate, config.tls.certificate);
    fill("--tls-key", options.tls.key, config.tls.key);
    fill("--tls-ca", options.tls.authority, config.tls.authority);
    fill("--tls-crl", options.tls.revoked, config.tls.revoked);
    if (options.repository.empty()) {
        return fail(Errc::usage, "--repo, or `repository` in the configuration, is needed");
    }
    return tls::check_complete(options.tls);
}

Result<> run(const Options& options) {
    const auto address = checked_address(options);
    if (!address) {
        return tl::unexpected(address.error());
    }
    if (auto there = check_repository(options.repository); !there) {
        return there;
    }
    auto credentials = load_credentials(options.tls);
    if (!credentials) {
        return tl::unexpected(credentials.error());
    }
    swarm::SessionOptions swarms;
    swarms.listen = http::host_port(address->ip, options.bittorrent_port);
    swarms.source = true;
    swarms.upload_slots = upload_slots;
    swarms.upload_bytes_per_s_max = options.upload_bytes_per_s_max;
    std::shared_ptr<swarm::TlsWatch> tls_watch;
    if (options.tls.given()) {
        auto watch = swarm::TlsWatch::start(options.tls);
        if (!watch) {
            return tl::unexpected(watch.error());
        }
        tls_watch = std::move(*watch);
        swarms.tls = tls_watch->tls();
    }
    auto session = swarm::PackSession::start(swarms);
    if (!session) {
        return tl::unexpected(session.error());
    }
    net::io_context io{1};
    net::thread_pool pool{4};
    Tracker tracker(TrackerOptions{}, std::random_device{}());
    auto zones = zone_map(options);
    if (!zones) {
        return tl::unexpected(zones.error());
    }
    Assigner assigner(AssignerOptions{}, std::move(*zones), std::random_device{}());
    SeederMetrics metrics;
    HttpServer server({.repository = options.repository,
                       .region = options.region,
                       .bittorrent_port = (*session)->port(),
                       .http = {.credentials = std::move(*credentials)},
                       .metrics_text = [&] { return metrics.text((*session)->uploaded_bytes()); }},
                      tracker, assigner, metrics, pool);
    if (auto listening = server.listen(io, *address); !listening) {
        return listening;
    }
    PackWatch watch(options.repository, **session, swarms.tls, pool,
                    {.joined =
                         [&](const auto& swarm) {
                             tracker.add_swarm(swarm_hash(swarm));
                             assigner.add_swarm(wire_digits(swarm));
                             metrics.pack_shared();
                         },
                     .left =
                         [&](const auto& swarm) {
                             tracker.remove_swarm(swarm_hash(swarm));
                             assigner.remove_swarm(wire_digits(swarm));
                             metrics.pack_removed();
                         }});
    if (auto scanned = watch.scan_now(); !scanned) {
        return scanned;
    }
    std::stop_source stop;
    net::signal_set signals(io, SIGINT, SIGTERM);
    signals.async_wait([&stop](const auto& /*error*/, int /*signal*/) { stop.request_stop(); });
    const std::stop_callback no_more_signals{stop.get_token(), [&signals] { signals.cancel(); }};
    net::co_spawn(io, server.serve(stop.get_token()), rethrow);
    net::co_spawn(io, server.expire_pushes(stop.get_token()), rethrow);
    net::co_spawn(io, watch.run(stop.get_token()), rethrow);
    net::co_spawn(io,
                  run_metadata_renewal(renewal_options(options), pool, metrics, stop.get_token()),
                  rethrow);
    announce_ports(options, *address, server.port(), (*session)->port());
    io.run();
    log_event(LogLevel::info, "seeder.stopped",
              {{"uploaded_bytes", std::to_string((*session)->uploaded_bytes())}});
    return {};
}

int report_failure(const Options& options, const Error& error) {
    const auto status = static_cast<int>(exit_status(error));
    if (options.json) {
        const nlohmann::json line = {{"error", {{"code", status}, {"message", describe(error)}}}};
        std::cout << line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)
                  << std::endl;
    }
    std::cerr << "slipway-seeder: " << describe(error) << "\n";
    return status;
}

} // namespace
} // namespace slipway::seeder

int main(int argc, char** argv) {
    using namespace slipway::seeder;
    Options options;
    CLI::App app{
        "Shares a repository: static files over HTTP, web seed, tracker, BitTorrent seed."};
    app.set_version_flag("--version", "slipway-seeder " SLIPWAY_VERSION);
    app.require_subcommand(1);
    auto* run_command = app.add_subcommand("run", "Share a repository until told to stop");
    slipway::config::add_flags(*run_command, options.config);
    run_command->add_option("--repo", options.repository, "Directory of the repository");
    run_command->add_option("--keys", options.keys,
                            "Directory with keys of snapshot and timestamp, to renew them before "
                            "they expire");
    run_command
        ->add_option("--passphrase-file", options.passphrase_file,
                     "File with the passphrase of those keys if they are encrypted, mode 0600")
        ->envname("SLIPWAY_KEY_PASSPHRASE_FILE");
    run_command
        ->add_option("--listen", options.listen,
                     "Address and port of HTTP, tracker and web seed; port 0 takes a free one")
        ->capture_default_str();
    run_command
        ->add_option("--bt-port", options.bittorrent_port,
                     "Port of BitTorrent on the same address; 0 takes a free one")
        ->capture_default_str();
    run_command->add_option("--region", options.region,
                            "Name of the region that this seeder serves");
    run_command->add_option("--zone", options.zones,
                            "Where hosts are that do not say it: ADDRESS/PREFIX=[REGION/]ZONE; may "
                            "be repeated");
    run_command
        ->add_option("--upload-limit", options.upload_bytes_per_s_max,
                     "Bytes a second that BitTorrent may send; 0: no limit")
        ->capture_default_str();
    run_command->add_flag(
        "--open", options.open,
        "Listen beyond loopback without certificates: anyone who reaches it may read");
    slipway::tls::add_flags(*run_command, options.tls);
    run_command->add_flag("--json", options.json, "Print events as JSON lines");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? static_cast<int>(slipway::ExitStatus::done)
                                    : static_cast<int>(slipway::ExitStatus::usage);
    }
    const auto ran = fill_from_config(*run_command, options).and_then([&]() -> slipway::Result<> {
        if (options.config.check) {
            return checked_address(options).map([&](const auto& /*address*/) {
                std::cout << options.config.file.string() << ": right\n";
            });
        }
        return run(options);
    });
    if (!ran) {
        return report_failure(options, ran.error());
    }
    return static_cast<int>(slipway::ExitStatus::done);
}
