#include "common/config/source.h"

#include <unistd.h>

#include "common/io/file_ops.h"

namespace slipway::config {
namespace {

std::vector<std::string> environment() {
    std::vector<std::string> variables;
    for (char** one = environ; one != nullptr && *one != nullptr; ++one) {
        variables.emplace_back(*one);
    }
    return variables;
}

} // namespace

Result<> read_source(const Source& source, const std::function<void(Table&)>& read) {
    auto overrides = overrides_of(environment(), source.variables);
    for (const auto& text : source.set) {
        auto given = parse_override(text);
        if (!given) {
            return tl::unexpected(std::move(given.error()));
        }
        overrides.push_back(std::move(*given));
    }
    if (source.file.empty()) {
        return read_document("", "configuration", overrides, read);
    }
    return read_file(source.file, document_bytes_max).and_then([&](const Bytes& text) {
        return read_document(as_text(text), source.file.string(), overrides, read);
    });
}

} // namespace slipway::config
