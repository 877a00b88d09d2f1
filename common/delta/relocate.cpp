#include "common/delta/relocate.h"

#include <algorithm>

#include "common/delta/fields.h"

namespace slipway {

void relocate(std::span<std::uint8_t> piece, std::uint64_t base_offset, std::uint64_t at,
              std::uint8_t kind, const AddressMap& map, std::span<const Anchor> anchors) {
    if (kind == 0) {
        return;
    }
    const fields::Place place{base_offset, map.base_address(base_offset), map.new_address(at)};
    fields::each_field(piece, place, kind, anchors, [&](const fields::Field& field) {
        const auto moved = map.moved(field.target);
        if (moved && field.bytes == 8) {
            fields::store(&piece[field.offset], *moved - field.origin);
        } else if (moved) {
            fields::store(&piece[field.offset], static_cast<std::uint32_t>(*moved - field.origin));
        }
        return moved.has_value();
    });
}

void mask_displacements(std::span<std::uint8_t> program, std::span<const Segment> segments,
                        const Segment& code) {
    const auto text = program.subspan(code.offset, code.bytes);
    fields::find_displacements(text, [&](std::size_t field, unsigned tail) {
        auto* const place = text.data() + field;
        const auto target = code.address + field + 4 + tail +
                            fields::sign_extended(fields::load<std::uint32_t>(place));
        const auto inside = std::any_of(segments.begin(), segments.end(), [&](const auto& segment) {
            return target - segment.address < segment.memory;
        });
        if (inside) {
            fields::store(place, std::uint32_t{0});
        }
        return inside;
    });
}

} // namespace slipway
