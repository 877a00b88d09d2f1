#include "common/io/random_digits.h"

#include <random>

namespace slipway {

std::string random_digits(std::size_t count) {
    std::random_device random;
    std::string digits;
    for (std::size_t i = 0; i < count; ++i) {
        digits += "0123456789abcdef"[random() % 16];
    }
    return digits;
}

} // namespace slipway
