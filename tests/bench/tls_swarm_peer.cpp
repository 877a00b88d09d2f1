// One end of tests/bench/tls-swarm: seeds a file or fetches it, then says what it cost.
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <string>
#include <thread>

#include <sys/resource.h>

#include <CLI/CLI.hpp>

#include "common/core/errc.h"
#include "common/core/merkle.h"
#include "common/io/file_ops.h"
#include "common/swarm/metainfo.h"
#include "common/swarm/pack_session.h"

namespace slipway::bench {
namespace {

struct Options {
    std::string file;
    std::string metainfo;
    std::string material; ///< Directory with host.crt, host.key, ca.crt; empty: plain.
    std::string root;
    std::uint64_t bytes = 0;
    std::vector<std::uint16_t> ports; ///< To fetch from: one session for each, with an equal part.
    std::size_t sessions = 1;         ///< To seed with.
};

constexpr std::uint64_t file_bytes_max = 64ULL * 1024 * 1024;

[[noreturn]] void die(const Error& error) {
    std::cerr << describe(error) << "\n";
    std::exit(1);
}

template <typename T>
T need(Result<T> result) {
    if (!result) {
        die(result.error());
    }
    return std::move(*result);
}

double cpu_seconds() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

std::shared_ptr<const swarm::SwarmTls> tls_of(const std::string& directory) {
    if (directory.empty()) {
        return nullptr;
    }
    const auto text = [&](const char* name) {
        return std::string(as_text(need(read_file(directory + "/" + name, file_bytes_max))));
    };
    return need(swarm::SwarmTls::make({.certificates = text("host.crt"),
                                       .keys = text("host.key"),
                                       .authorities = text("ca.crt"),
                                       .revocations = ""},
                                      std::chrono::system_clock::now()));
}

std::unique_ptr<swarm::PackSession> start(const Options& options) {
    swarm::SessionOptions session;
    session.tls = tls_of(options.material);
    return need(swarm::PackSession::start(session));
}

// Prints the pack's root and the ports for fetch, and seeds until standard input ends.
int seed(const Options& options) {
    const auto data = need(read_file(options.file, std::uint64_t{8} << 30U));
    MerkleBuilder merkle;
    merkle.update(data);
    const auto tree = merkle.finish();
    const auto metainfo = swarm::make_metainfo(tree);
    if (const auto written = replace_file(options.metainfo, metainfo); !written) {
        die(written.error());
    }
    std::vector<std::unique_ptr<swarm::PackSession>> sessions;
    std::cout << tree.root.hex();
    for (std::size_t i = 0; i < options.sessions; ++i) {
        const auto& session = sessions.emplace_back(start(options));
        const auto seeding = session->seed({tree.root, tree.bytes}, metainfo, options.file, {});
        if (!seeding) {
            die(seeding.error());
        }
        std::cout << " " << session->port();
    }
    std::cout << std::endl;
    const auto before = cpu_seconds();
    std::string line;
    std::getline(std::cin, line);
    std::cout << cpu_seconds() - before << std::endl;
    return 0;
}

int fetch(const Options& options) {
    std::vector<std::unique_ptr<swarm::PackSession>> sessions;
    std::vector<swarm::FetchRequest> requests;
    const auto count = options.ports.size();
    for (std::size_t i = 0; i < count; ++i) {
        sessions.push_back(start(options));
        auto& request = requests.emplace_back();
        request.pack = {need(Sha256Digest::from_hex(options.root)), options.bytes};
        request.metainfo = need(read_file(options.metainfo, file_bytes_max));
        request.file = options.file;
        const auto part = options.bytes / count;
        request.wanted = {{i * part, i + 1 == count ? options.bytes - i * part : part}};
        request.peers = {{"127.0.0.1", options.ports[i]}};
    }
    const auto before = cpu_seconds();
    const auto start_time = std::chrono::steady_clock::now();
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < count; ++i) {
        threads.emplace_back([&session = *sessions[i], &request = requests[i]] {
            (void)need(session.fetch({request}, std::chrono::seconds{20}, {}, {}));
        });
    }
    threads.clear(); // Joins.
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start_time;
    std::cout << took.count() << " " << cpu_seconds() - before << std::endl;
    return 0;
}

} // namespace
} // namespace slipway::bench

int main(int argc, char** argv) {
    using namespace slipway::bench;
    Options options;
    CLI::App app("One end of tests/bench/tls-swarm");
    app.require_subcommand(1);
    auto* const seeding = app.add_subcommand("seed");
    auto* const fetching = app.add_subcommand("fetch");
    for (auto* const command : {seeding, fetching}) {
        command->add_option("--file", options.file)->required();
        command->add_option("--metainfo", options.metainfo)->required();
        command->add_option("--material", options.material);
    }
    seeding->add_option("--sessions", options.sessions);
    fetching->add_option("--root", options.root)->required();
    fetching->add_option("--bytes", options.bytes)->required();
    fetching->add_option("--port", options.ports)->required();
    CLI11_PARSE(app, argc, argv);
    return seeding->parsed() ? seed(options) : fetch(options);
}
