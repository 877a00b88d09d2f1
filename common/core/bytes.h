#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/result.h"

namespace slipway {

using ByteSpan = std::span<const std::uint8_t>;
using Bytes = std::vector<std::uint8_t>;

[[nodiscard]] inline ByteSpan as_bytes(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
[[nodiscard]] inline std::string_view as_text(ByteSpan bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Appends the encodings of docs/format.md: fixed integers are little-endian, a varint is LEB128.
class ByteWriter {
public:
    explicit ByteWriter(Bytes& out) : out_(out) {}
    void u8(std::uint8_t value) { out_.push_back(value); }
    void u32(std::uint32_t value);
    void u64(std::uint64_t value);
    void varint(std::uint64_t value);
    void raw(ByteSpan bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }

private:
    Bytes& out_;
};

/// Reads what ByteWriter wrote from bytes that nobody vouches for. Every call checks what is left
/// before it reads or allocates; each failure is Errc::verification_failed and names `what`.
class ByteReader {
public:
    /// `bytes` must outlive the reader. `what` names the source in errors: "file index of web@2".
    ByteReader(ByteSpan bytes, std::string what) : bytes_(bytes), what_(std::move(what)) {}
    [[nodiscard]] Result<std::uint8_t> u8();
    [[nodiscard]] Result<std::uint32_t> u32();
    [[nodiscard]] Result<std::uint64_t> u64();
    /// A varint not above `max`; an encoding longer than needed is refused, so that each value has
    /// one form.
    [[nodiscard]] Result<std::uint64_t> varint(std::uint64_t max, std::string_view field);
    /// A view of the next `count` bytes; valid as long as the source is.
    [[nodiscard]] Result<ByteSpan> raw(std::uint64_t count, std::string_view field);
    [[nodiscard]] bool at_end() const { return position_ == bytes_.size(); }
    [[nodiscard]] std::size_t position() const { return position_; }
    [[nodiscard]] tl::unexpected<Error> malformed(std::string_view why) const;

private:
    ByteSpan bytes_;
    std::size_t position_ = 0;
    std::string what_;
};

} // namespace slipway
