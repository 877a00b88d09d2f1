#include "common/metrics/metrics.h"

#include <catch2/catch.hpp>

namespace slipway {

TEST_CASE("Metrics: counters and gauges come out as Prometheus reads them", "[metrics]") {
    Metrics metrics;
    metrics.counter("slipway_test_sent_bytes_total", "Bytes sent.").Increment(1234);
    auto& expiry = metrics.gauge("slipway_test_expiry", "When.", {{"role", "timestamp"}});
    expiry.Set(1893456000);
    metrics.gauge("slipway_test_expiry", "When.", {{"role", "snapshot"}}).Set(7);
    const auto text = metrics.text();
    CAPTURE(text);
    for (const auto* line :
         {"# HELP slipway_test_sent_bytes_total Bytes sent.\n",
          "# TYPE slipway_test_sent_bytes_total counter\n",
          "\nslipway_test_sent_bytes_total 1234\n", "# TYPE slipway_test_expiry gauge\n",
          "\nslipway_test_expiry{role=\"timestamp\"} 1893456000\n",
          "\nslipway_test_expiry{role=\"snapshot\"} 7\n"}) {
        CAPTURE(line);
        CHECK(("\n" + text).find(line) != std::string::npos);
    }
}

TEST_CASE("Metrics: the same name and labels are the same counter", "[metrics]") {
    Metrics metrics;
    metrics.counter("a_total", "A.", {{"x", "1"}}).Increment();
    metrics.counter("a_total", "A.", {{"x", "1"}}).Increment();
    metrics.counter("a_total", "A.", {{"x", "2"}}).Increment();
    CHECK(metrics.text().find("a_total{x=\"1\"} 2") != std::string::npos);
    CHECK(metrics.text().find("a_total{x=\"2\"} 1") != std::string::npos);
}

} // namespace slipway
