#include "agent/core/event_format.h"

#include <nlohmann/json.hpp>

#include "common/core/errc.h"
#include "common/trust/canonical_json.h"

namespace slipway::agent {

using nlohmann::json;

namespace {

std::optional<std::string> text_of(const json& value, const char* key) {
    const auto found = value.find(key);
    if (found == value.end() || !found->is_string() ||
        found->get_ref<const std::string&>().size() > api::sync_text_bytes_max) {
        return std::nullopt;
    }
    return found->get<std::string>();
}

} // namespace

std::string encode_event(const api::AgentEvent& event) {
    return json{{"version", 1},         {"id", event.id},
                {"at_ms", event.at_ms}, {"service", event.service},
                {"kind", event.kind},   {"text", event.text}}
        .dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<api::AgentEvent> decode_event(ByteSpan text, std::string_view what) {
    return parse_json(text, event_bytes_max, what)
        .and_then([&](const json& value) -> Result<api::AgentEvent> {
            const auto bad = fail(Errc::verification_failed, std::string(what) + ": no event");
            if (!value.is_object() || value.value("version", json()) != 1) {
                return bad;
            }
            const auto id = value.value("id", json());
            const auto at = value.value("at_ms", json());
            const auto service = text_of(value, "service");
            const auto kind = text_of(value, "kind");
            const auto words = text_of(value, "text");
            if (!id.is_number_unsigned() || id.get<std::uint64_t>() == UINT64_MAX ||
                !at.is_number_unsigned() || !service || !kind || !words) {
                return bad;
            }
            return api::AgentEvent{id.get<std::uint64_t>(), at.get<std::uint64_t>(), *service,
                                   *kind, *words};
        });
}

} // namespace slipway::agent
