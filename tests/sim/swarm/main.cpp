// Prints what the tracker's function makes of swarms of 100 to 10 000 hosts, beside other graphs,
// and what it costs: docs/performance.md.
//
//     swarm_sim [--hosts-max 10000] [--pieces 512] [--joins 100000]
#include <cstdio>
#include <ctime>
#include <fstream>
#include <string>

#include <CLI/CLI.hpp>

#include "seeder/core/assigner.h"
#include "tests/sim/swarm/block_sim.h"

using namespace slipway;

namespace {

void print(const char* what, std::uint32_t hosts, const sim::SimResult& result) {
    std::printf(
        "%-24s %6u hosts  last %.3f  p50 %.3f  copies %.3f  degree %u/%.2f/%u  finished %u\n", what,
        hosts, result.last, result.p50, result.source_copies, result.degree_min, result.degree_mean,
        result.degree_max, result.finished);
    std::fflush(stdout);
}

std::size_t resident_bytes() {
    std::ifstream file("/proc/self/statm");
    std::size_t pages = 0;
    file >> pages >> pages;
    return pages * 4096;
}

// Each host joins `packs_of_host` of 1000 swarms, one call for each as agents do when they start.
void measure_joins(std::uint32_t hosts) {
    constexpr std::uint32_t packs = 1'000;
    constexpr std::uint32_t packs_of_host = 10;
    seeder::Assigner assigner({}, seeder::ZoneMap("eu"), 1);
    std::vector<std::string> swarms;
    for (std::uint32_t pack = 0; pack < packs; ++pack) {
        const auto digits = std::to_string(pack);
        swarms.push_back(std::string(40 - digits.size(), '0') + digits);
        assigner.add_swarm(swarms.back());
    }
    const auto before = resident_bytes();
    const auto began = std::clock(); // Of the processor, which others may use, too.
    for (std::uint32_t host = 0; host < hosts; ++host) {
        const auto digits = std::to_string(host);
        api::SwarmCall call{.session = std::string(16 - digits.size(), '0') + digits,
                            .port = 6881,
                            .zone = "zone" + std::to_string(host % 20),
                            .region = "eu",
                            .swarms = {}};
        for (std::uint32_t i = 0; i < packs_of_host; ++i) {
            call.swarms.push_back(
                {.swarm = swarms[(host * 7 + i * 97) % packs], .lacks = 1, .bad = {}});
        }
        const auto ip = "10." + std::to_string(host >> 16U) + "." +
                        std::to_string(host >> 8U & 255U) + "." + std::to_string(host & 255U);
        const auto text = api::encode_swarm_call(call);
        const auto read = api::decode_swarm_call(as_bytes(text), "call");
        const auto answer = api::encode_swarm_answer(assigner.call(*read, ip, {}));
        (void)assigner.take_woken();
    }
    const auto took = static_cast<double>(std::clock() - began) / CLOCKS_PER_SEC;
    const auto memberships = assigner.memberships();
    std::printf(
        "%u hosts, %zu memberships in %u swarms: %.0f calls/s, %.0f joins/s, %.0f MiB, %zu bytes a "
        "membership\n",
        hosts, memberships, packs, hosts / took, static_cast<double>(memberships) / took,
        static_cast<double>(resident_bytes() - before) / (1 << 20),
        (resident_bytes() - before) / memberships);
}

} // namespace

int main(int argc, char** argv) {
    std::uint32_t hosts_max = 10'000;
    std::uint32_t pieces = 512;
    std::uint32_t joins = 100'000;
    CLI::App app{"Simulates swarms whose edges the tracker assigns, beside other graphs."};
    app.add_option("--hosts-max", hosts_max);
    app.add_option("--pieces", pieces);
    app.add_option("--joins", joins, "Hosts that join a tracker of 1000 packs; 0: none");
    CLI11_PARSE(app, argc, argv);
    for (std::uint32_t hosts = 100; hosts <= hosts_max; hosts *= 10) {
        sim::SimOptions options{.hosts = hosts, .pieces = pieces};
        print("assigned", hosts, sim::simulate(options));
        options.graph = sim::Graph::random_peers;
        print("50 random peers", hosts, sim::simulate(options));
        options.graph = sim::Graph::join_order;
        print("10 in order of joining", hosts, sim::simulate(options));
        options.graph = sim::Graph::assigned;
        options.zones = 4;
        print("assigned, 4 zones", hosts, sim::simulate(options));
        options.zones = 1;
        options.killed_percent = 30;
        print("assigned, 30 % die", hosts, sim::simulate(options));
        options.killed_percent = 0;
        options.join_rounds = pieces / 2;
        print("assigned, join late", hosts, sim::simulate(options));
    }
    if (joins > 0) {
        measure_joins(joins);
    }
    return 0;
}
