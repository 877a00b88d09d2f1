#include "common/trust/canonical_json.h"

#include <cassert>
#include <cstddef>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "common/core/errc.h"

namespace slipway {
namespace {

using nlohmann::json;

constexpr std::size_t nesting_max = 32;

/// Builds the value while it checks what the standard parser lets through: depth, duplicate keys
/// (two readers could disagree on which one counts) and floating-point numbers (they have no
/// canonical form).
class StrictBuilder final : public nlohmann::json_sax<json> {
public:
    bool null() override { return add(nullptr); }
    bool boolean(bool value) override { return add(value); }
    bool number_integer(number_integer_t value) override { return add(value); }
    bool number_unsigned(number_unsigned_t value) override { return add(value); }
    bool number_float(number_float_t /*value*/, const string_t& /*text*/) override {
        return refuse("a number is not a 64-bit integer");
    }
    bool string(string_t& value) override { return add(std::move(value)); }
    bool binary(binary_t& /*value*/) override { return refuse("binary value"); }
    bool start_object(std::size_t /*elements*/) override { return open(json::object()); }
    bool end_object() override { return close(); }
    bool start_array(std::size_t /*elements*/) override { return open(json::array()); }
    bool end_array() override { return close(); }
    bool key(string_t& name) override {
        if (open_.back()->contains(name)) {
            return refuse("duplicate key \"" + name + "\"");
        }
        key_ = std::move(name);
        return true;
    }
    bool parse_error(std::size_t position, const std::string& /*last_token*/,
                     const nlohmann::detail::exception& /*error*/) override {
        return refuse("no JSON at byte " + std::to_string(position));
    }

    json built;
    std::string complaint;

private:
    bool refuse(std::string why) {
        complaint = std::move(why);
        return false;
    }
    json* place(json added) {
        if (open_.empty()) {
            built = std::move(added);
            return &built;
        }
        json& parent = *open_.back();
        if (parent.is_array()) {
            parent.push_back(std::move(added));
            return &parent.back();
        }
        return &(parent[key_] = std::move(added));
    }
    bool add(json added) {
        place(std::move(added));
        return true;
    }
    bool open(json added) {
        if (open_.size() >= nesting_max) {
            return refuse("nested deeper than " + std::to_string(nesting_max));
        }
        // A container on the stack does not move: its parent grows only after it was closed.
        open_.push_back(place(std::move(added)));
        return true;
    }
    bool close() {
        open_.pop_back();
        return true;
    }

    std::vector<json*> open_;
    std::string key_;
};

void append_string(std::string& out, const std::string& text) {
    out += '"';
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            out += '\\';
        }
        out += c;
    }
    out += '"';
}

// Depth is bounded by parse_json or by the code that made the value.
void append(std::string& out, const json& value) { // NOLINT(misc-no-recursion)
    if (value.is_object()) {
        // nlohmann::json keeps keys sorted bytewise, which for UTF-8 is the order of code points.
        char separator = '{';
        for (const auto& [key, member] : value.items()) {
            out += separator;
            separator = ',';
            append_string(out, key);
            out += ':';
            append(out, member);
        }
        out += separator == '{' ? "{}" : "}";
    } else if (value.is_array()) {
        char separator = '[';
        for (const auto& element : value) {
            out += separator;
            separator = ',';
            append(out, element);
        }
        out += separator == '[' ? "[]" : "]";
    } else if (value.is_string()) {
        append_string(out, value.get_ref<const std::string&>());
    } else {
        assert(!value.is_number_float() && "canonical JSON has integers only");
        out += value.dump();
    }
}

} // namespace

Result<json> parse_json(ByteSpan text, std::size_t max_bytes, std::string_view what) {
    if (text.size() > max_bytes) {
        return fail(Errc::verification_failed,
                    std::string(what) + ": longer than " + std::to_string(max_bytes) + " bytes");
    }
    StrictBuilder builder;
    if (!json::sax_parse(text.begin(), text.end(), &builder)) {
        return fail(Errc::verification_failed, std::string(what) + ": " + builder.complaint);
    }
    return std::move(builder.built);
}

std::string canonical_json(const json& value) {
    std::string out;
    append(out, value);
    return out;
}

} // namespace slipway
