#pragma once

#include <map>
#include <memory>
#include <string>

#include <prometheus/counter.h>
#include <prometheus/gauge.h>

namespace prometheus {
class Registry;
}

namespace slipway {

/// The metrics of one process. docs/metrics.md lists their names: `slipway_<part>_<what>_<unit>`,
/// counters end in `_total`. Counters and gauges live as long as this object and may be changed
/// from any thread. Asking for the same name and labels again gives the same one.
class Metrics {
public:
    using Labels = std::map<std::string, std::string>;

    Metrics();
    ~Metrics();
    Metrics(const Metrics&) = delete;
    Metrics& operator=(const Metrics&) = delete;

    [[nodiscard]] prometheus::Counter& counter(const std::string& name, const std::string& help,
                                               const Labels& labels = {});
    [[nodiscard]] prometheus::Gauge& gauge(const std::string& name, const std::string& help,
                                           const Labels& labels = {});
    /// All of them in text exposition format 0.0.4.
    [[nodiscard]] std::string text() const;

    static constexpr const char* content_type = "text/plain; version=0.0.4; charset=utf-8";

private:
    std::unique_ptr<prometheus::Registry> registry_;
};

} // namespace slipway
