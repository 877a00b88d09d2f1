#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace slipway::seeder {

/// The repository file that an HTTP path asks for, relative to the repository, or nothing: only
/// files of the published layout (metadata/, targets/, packs/) are served, so neither keys nor
/// temporary files nor anything outside can be asked for.
[[nodiscard]] std::optional<std::string> repository_path(std::string_view http_path);

/// Bytes to send, of a file of `file_bytes`.
struct FileRange {
    std::uint64_t offset = 0;
    std::uint64_t bytes = 0;
    bool partial = false; ///< 206 instead of 200.
};

/// A Range header (RFC 9110, section 14.2) with one range of bytes. No header, another unit,
/// several ranges or a malformed header: the whole file, as the RFC allows. A range that begins
/// behind the end: nothing, which is a 416.
[[nodiscard]] std::optional<FileRange> range_to_send(std::string_view header,
                                                     std::uint64_t file_bytes);

} // namespace slipway::seeder
