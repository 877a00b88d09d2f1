#include "common/core/bytes.h"

#include "common/core/errc.h"

namespace slipway {

void ByteWriter::u32(std::uint32_t value) {
    for (unsigned shift = 0; shift < 32; shift += 8) {
        out_.push_back(static_cast<std::uint8_t>(value >> shift));
    }
}

void ByteWriter::u64(std::uint64_t value) {
    for (unsigned shift = 0; shift < 64; shift += 8) {
        out_.push_back(static_cast<std::uint8_t>(value >> shift));
    }
}

void ByteWriter::varint(std::uint64_t value) {
    while (value >= 0x80) {
        out_.push_back(static_cast<std::uint8_t>(value | 0x80U));
        value >>= 7U;
    }
    out_.push_back(static_cast<std::uint8_t>(value));
}

tl::unexpected<Error> ByteReader::malformed(std::string_view why) const {
    return fail(Errc::verification_failed,
                what_ + ": byte " + std::to_string(position_) + ": " + std::string(why));
}

Result<ByteSpan> ByteReader::raw(std::uint64_t count, std::string_view field) {
    if (count > bytes_.size() - position_) {
        return malformed("truncated in " + std::string(field));
    }
    const auto view = bytes_.subspan(position_, count);
    position_ += count;
    return view;
}

Result<std::uint8_t> ByteReader::u8() {
    return raw(1, "a byte").map([](ByteSpan b) { return b[0]; });
}

Result<std::uint32_t> ByteReader::u32() {
    return raw(4, "a 32-bit integer").map([](ByteSpan b) {
        std::uint32_t value = 0;
        for (unsigned i = 0; i < 4; ++i) {
            value |= std::uint32_t{b[i]} << (8 * i);
        }
        return value;
    });
}

Result<std::uint64_t> ByteReader::u64() {
    return raw(8, "a 64-bit integer").map([](ByteSpan b) {
        std::uint64_t value = 0;
        for (unsigned i = 0; i < 8; ++i) {
            value |= std::uint64_t{b[i]} << (8 * i);
        }
        return value;
    });
}

Result<std::uint64_t> ByteReader::varint(std::uint64_t max, std::string_view field) {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        const auto byte = u8();
        if (!byte) {
            return malformed("truncated in " + std::string(field));
        }
        const std::uint64_t bits = *byte & 0x7fU;
        if (shift == 63 && bits > 1) {
            return malformed(std::string(field) + " does not fit 64 bits");
        }
        value |= bits << shift;
        if ((*byte & 0x80U) == 0) {
            if (bits == 0 && shift != 0) {
                return malformed(std::string(field) + " is not in its shortest form");
            }
            if (value > max) {
                return malformed(std::string(field) + " is " + std::to_string(value) +
                                 ", the limit is " + std::to_string(max));
            }
            return value;
        }
    }
    return malformed(std::string(field) + " does not fit 64 bits");
}

} // namespace slipway
