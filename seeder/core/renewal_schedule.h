#pragma once

#include <algorithm>
#include <chrono>

namespace slipway::seeder {

/// When to look again whether metadata has to be signed anew. Pure: time does not enter, only what
/// the last attempt came to. Metadata is renewed at half of its validity (days), so a period of
/// minutes costs nothing; after a failure the next attempts come sooner, in doubling intervals.
class RenewalSchedule {
public:
    struct Options {
        std::chrono::seconds period{600};
        std::chrono::seconds retry_min{10};
    };
    explicit RenewalSchedule(Options options) : options_(options) {}

    /// The time from an attempt to the next one.
    [[nodiscard]] std::chrono::seconds after(bool succeeded) {
        if (succeeded) {
            retry_ = std::chrono::seconds::zero();
            return options_.period;
        }
        retry_ = std::min(std::max(retry_ * 2, options_.retry_min), options_.period);
        return retry_;
    }

private:
    Options options_;
    std::chrono::seconds retry_{0};
};

} // namespace slipway::seeder
