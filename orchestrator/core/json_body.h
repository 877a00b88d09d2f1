#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "common/core/result.h"

namespace slipway::orchestrator {

/// Reads the JSON object of a request, field by field. The first thing that is wrong is kept and
/// told by end(), as is a field that nobody asked for: a misspelt field must not be a wish that is
/// silently dropped. Pure.
class JsonBody {
public:
    static constexpr std::size_t bytes_max = 256UL * 1024;
    static constexpr std::size_t text_bytes_max = 4'096;

    /// An empty text is an object without fields. Errors: Errc::usage.
    [[nodiscard]] static Result<JsonBody> parse(std::string_view text);

    [[nodiscard]] std::string text(const char* name); ///< Required.
    [[nodiscard]] std::string text_or(const char* name, std::string otherwise);
    [[nodiscard]] bool flag(const char* name); ///< False if it is not there.
    [[nodiscard]] std::optional<std::uint64_t> number(const char* name);
    /// The value as it is, or null.
    [[nodiscard]] nlohmann::json any(const char* name);

    /// Error: Errc::usage, naming the field.
    [[nodiscard]] Result<> end() const;

private:
    explicit JsonBody(nlohmann::json object) : object_(std::move(object)) {}
    void refuse(const std::string& why);

    nlohmann::json object_;
    std::set<std::string, std::less<>> asked_;
    std::optional<Error> wrong_;
};

} // namespace slipway::orchestrator
