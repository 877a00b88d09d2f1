#include "orchestrator/core/json_body.h"

#include "common/core/bytes.h"
#include "common/core/errc.h"
#include "common/trust/canonical_json.h"

namespace slipway::orchestrator {

Result<JsonBody> JsonBody::parse(std::string_view text) {
    if (text.empty()) {
        return JsonBody(nlohmann::json::object());
    }
    auto value = parse_json(as_bytes(text), bytes_max, "the body");
    if (!value) {
        return fail(Errc::usage, value.error().context);
    }
    if (!value->is_object()) {
        return fail(Errc::usage, "the body is not a JSON object");
    }
    return JsonBody(std::move(*value));
}

void JsonBody::refuse(const std::string& why) {
    if (!wrong_) {
        wrong_ = Error{Errc::usage, why};
    }
}

nlohmann::json JsonBody::any(const char* name) {
    asked_.emplace(name);
    return object_.value(name, nlohmann::json());
}

std::string JsonBody::text(const char* name) {
    const auto value = any(name);
    if (!value.is_string() || value.get_ref<const std::string&>().empty() ||
        value.get_ref<const std::string&>().size() > text_bytes_max) {
        refuse(std::string("the field ") + name + " must be a text of 1 to " +
               std::to_string(text_bytes_max) + " bytes");
        return {};
    }
    return value.get<std::string>();
}

std::string JsonBody::text_or(const char* name, std::string otherwise) {
    const auto value = any(name);
    if (value.is_null() || (value.is_string() && value.get_ref<const std::string&>().empty())) {
        return otherwise;
    }
    return text(name);
}

bool JsonBody::flag(const char* name) {
    const auto value = any(name);
    if (!value.is_null() && !value.is_boolean()) {
        refuse(std::string("the field ") + name + " must be true or false");
    }
    return value.is_boolean() && value.get<bool>();
}

std::optional<std::uint64_t> JsonBody::number(const char* name) {
    const auto value = any(name);
    if (value.is_null()) {
        return std::nullopt;
    }
    if (!value.is_number_unsigned()) {
        refuse(std::string("the field ") + name + " must be a number, 0 or more");
        return std::nullopt;
    }
    return value.get<std::uint64_t>();
}

Result<> JsonBody::end() const {
    if (wrong_) {
        return tl::unexpected(*wrong_);
    }
    for (const auto& [name, value] : object_.items()) {
        if (!asked_.contains(name)) {
            return fail(Errc::usage, "the field '" + name.substr(0, 100) + "' is not known here");
        }
    }
    return {};
}

} // namespace slipway::orchestrator
