#pragma once

#include <random>
#include <vector>

namespace slipway::bench {

/// What a canary does, and how hosts are: one deployment of the judge's test set.
struct Scenario {
    const char* name = "";
    std::size_t hosts = 10; ///< Of each group.
    // Noise that both groups have.
    double level_spread = 0.05; ///< Between hosts, of the logarithm.
    double noise = 0.2;         ///< From interval to interval, of the logarithm.
    double memory = 0;          ///< AR(1): what is left of it after an interval.
    double day = 0;             ///< Amplitude of a load that all hosts share.
    bool ill_host = false;      ///< One host of the canary is 5 times as bad as the others.
    bool heavy_tails = false;   ///< Levels are Student's t of 3 degrees, not normal.
    double gaps = 0;            ///< Part of the readings that do not come.
    double errors_a_minute = 5; ///< Of a group.
    double requests_a_minute = 30'000;
    double error_memory = 0; ///< Noise of errors' rates, with `memory`.
    // What the canary does.
    double latency_factor = 1;
    double burst_part = 0; ///< Part of the minutes in which all of the canary is slow.
    double burst_factor = 1;
    double error_factor = 1;
    std::size_t cold_minutes = 0; ///< Ten times slower after the start, which is no defect.
    std::size_t begins = 0;       ///< Minute in which the defect begins.
};

/// One minute of one metric: by host, the canary first. NaN: no reading.
struct Minute {
    std::vector<double> values;
    std::vector<double> exposure; ///< Empty for values.
};

/// Draws one metric of a scenario, minute by minute.
class World {
public:
    World(const Scenario& scenario, bool counts, std::uint64_t seed);
    Minute next();

private:
    [[nodiscard]] bool has_gap();
    double noise_of(std::size_t host);

    Scenario s_;
    bool counts_;
    std::mt19937_64 random_;
    std::normal_distribution<> normal_;
    std::vector<double> levels_;
    std::vector<double> noise_;
    std::size_t minute_ = 0;
};

} // namespace slipway::bench
