#pragma once

#include <cstddef>
#include <map>
#include <string>

namespace slipway::http {

/// Counts connections that have not yet shown who they are, in all and for each address, so that
/// strangers who connect and say nothing take neither memory without end nor the places of those
/// who would come in. Pure.
class HalfOpen {
public:
    struct Limits {
        std::size_t all = 512;
        std::size_t of_one_address = 64; ///< Hosts behind one translated address come in waves.
    };
    explicit HalfOpen(Limits limits) : limits_(limits) {}

    /// Whether one more from `address` may begin its handshake; leave() must follow if so.
    [[nodiscard]] bool enter(const std::string& address);
    void leave(const std::string& address);
    [[nodiscard]] std::size_t count() const { return count_; }

private:
    Limits limits_;
    std::size_t count_ = 0;
    std::map<std::string, std::size_t> by_address_; ///< No more entries than `limits_.all`.
};

} // namespace slipway::http
