#include "agent/core/release_record.h"

#include <nlohmann/json.hpp>

#include "common/core/errc.h"
#include "common/trust/canonical_json.h"

namespace slipway::agent {

using nlohmann::json;

std::string encode_release_record(const ReleaseRecord& record) {
    const json value = {{"version", 1},
                        {"artifact", record.artifact.text()},
                        {"digest", record.digest.hex()},
                        {"installed", record.installed_at},
                        {"entries", record.entries},
                        {"tree_bytes", record.tree_bytes}};
    return value.dump(1) + "\n";
}

Result<ReleaseRecord> decode_release_record(ByteSpan text, std::string_view what) {
    return parse_json(text, release_record_bytes_max, what)
        .and_then([&](const json& value) -> Result<ReleaseRecord> {
            const auto malformed = [&] {
                return fail(Errc::verification_failed,
                            std::string(what) + ": not the record of a release");
            };
            const auto is_text = [&](const char* key) {
                return value.contains(key) && value[key].is_string();
            };
            const auto is_count = [&](const char* key) {
                return value.contains(key) && value[key].is_number_unsigned();
            };
            if (!value.is_object() || value.value("version", json()) != 1 || !is_text("artifact") ||
                !is_text("digest") || !is_text("installed") || !is_count("entries") ||
                !is_count("tree_bytes")) {
                return malformed();
            }
            auto artifact = ArtifactId::parse(value["artifact"].get<std::string>());
            auto digest = Sha256Digest::from_hex(value["digest"].get<std::string>());
            if (!artifact || !digest) {
                return malformed();
            }
            return ReleaseRecord{
                std::move(*artifact), *digest, value["installed"].get<std::string>(),
                value["entries"].get<std::uint64_t>(), value["tree_bytes"].get<std::uint64_t>()};
        });
}

} // namespace slipway::agent
