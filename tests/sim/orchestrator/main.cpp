// Runs the deployment machine in simulated worlds, one a seed.
//
//     orchestrator_sim [--seeds N] [--first SEED] [--mutation NAME] [--say]
//     orchestrator_sim --mutations N     each mutation must be found within N seeds
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>

#include "common/core/numbers.h"
#include "tests/sim/orchestrator/world.h"

namespace {

using namespace slipway::sim;

struct Arguments {
    std::uint64_t seeds = 100, first = 1, mutations = 0;
    Mutation mutation = Mutation::none;
    bool is_talking = false;
};

bool parse(int argc, char** argv, Arguments& arguments) {
    for (int i = 1; i < argc; ++i) {
        const std::string name = argv[i];
        if (name == "--say") {
            arguments.is_talking = true;
            continue;
        }
        const std::string value = i + 1 < argc ? argv[++i] : "";
        if (name == "--mutation") {
            const auto found = std::ranges::find(mutation_names, value);
            if (found == mutation_names.end()) {
                return false;
            }
            arguments.mutation = static_cast<Mutation>(found - mutation_names.begin());
            continue;
        }
        const auto number = slipway::parse_number<std::uint64_t>(value);
        auto* const into = name == "--seeds"       ? &arguments.seeds
                           : name == "--first"     ? &arguments.first
                           : name == "--mutations" ? &arguments.mutations
                                                   : nullptr;
        if (into == nullptr || !number) {
            return false;
        }
        *into = *number;
    }
    return true;
}

int run_mutations(std::uint64_t seeds) {
    int missed = 0;
    for (std::size_t i = 1; i < mutation_names.size(); ++i) {
        std::string found;
        std::uint64_t seed = 0;
        Tally tally;
        while (found.empty() && seed < seeds) {
            found = World(++seed, static_cast<Mutation>(i), false).run(tally);
        }
        missed += found.empty() ? 1 : 0;
        std::printf("%-20s %s\n", std::string(mutation_names[i]).c_str(),
                    found.empty() ? "NOT FOUND"
                                  : ("seed " + std::to_string(seed) + ": " + found).c_str());
    }
    return missed == 0 ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) {
    Arguments arguments;
    if (!parse(argc, argv, arguments)) {
        std::fprintf(stderr, "usage: orchestrator_sim [--seeds N] [--first SEED] [--say] "
                             "[--mutation NAME] | --mutations N\n");
        return 2;
    }
    if (arguments.mutations != 0) {
        return run_mutations(arguments.mutations);
    }
    const auto began = std::chrono::steady_clock::now();
    Tally tally;
    for (auto seed = arguments.first; seed < arguments.first + arguments.seeds; ++seed) {
        const auto violation = World(seed, arguments.mutation, arguments.is_talking).run(tally);
        if (!violation.empty()) {
            std::printf("seed %llu: %s\nreplay: orchestrator_sim --seeds 1 --first %llu --say\n",
                        static_cast<unsigned long long>(seed), violation.c_str(),
                        static_cast<unsigned long long>(seed));
            return 1;
        }
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    std::printf("%llu seeds, 0 violations, %.1f s: %llu deployments (%llu succeeded, %llu rolled "
                "back, %llu failed), %llu faults, %llu terms, %llu records, %llu orders\n",
                static_cast<unsigned long long>(arguments.seeds), took.count(),
                static_cast<unsigned long long>(tally.deployments),
                static_cast<unsigned long long>(tally.succeeded),
                static_cast<unsigned long long>(tally.rolled_back),
                static_cast<unsigned long long>(tally.failed),
                static_cast<unsigned long long>(tally.faults),
                static_cast<unsigned long long>(tally.terms),
                static_cast<unsigned long long>(tally.records),
                static_cast<unsigned long long>(tally.orders));
    return 0;
}
