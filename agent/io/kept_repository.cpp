#include "agent/io/kept_repository.h"

#include <set>
#include <system_error>

#include <nlohmann/json.hpp>

#include "common/core/errc.h"
#include "common/io/file_ops.h"
#include "common/trust/metadata.h"

namespace slipway::agent {
namespace fs = std::filesystem;
namespace {

constexpr auto metadata_bytes_max = trust::limits::targets_bytes; // The largest of them.

// Equal files are left alone: a host that looks for news every minute writes nothing.
Result<> keep_file(const fs::path& path, const Bytes& bytes) {
    if (const auto old = read_file(path, bytes.size()); old && *old == bytes) {
        return {};
    }
    std::error_code error;
    fs::create_directories(path.parent_path(), error);
    return error ? fail(error, "create " + path.parent_path().string()) : replace_file(path, bytes);
}

Result<std::string> kept_name(const std::string& name, const Bytes& bytes, bool versioned) {
    if (!versioned || name == "timestamp.json") {
        return name;
    }
    const auto parsed = nlohmann::json::parse(bytes.begin(), bytes.end(), nullptr, false);
    try {
        return std::to_string(parsed.at("signed").at("version").get<std::uint64_t>()) + "." + name;
    } catch (const nlohmann::json::exception& error) {
        return fail(Errc::failed, name + ": " + error.what());
    }
}

void remove_others(const fs::path& metadata, const std::set<std::string>& names) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(metadata, error)) {
        const auto name = entry.path().filename().string();
        if (!names.contains(name) && !name.ends_with(".root.json") && name != "root.json") {
            fs::remove(entry.path(), error); // One that stays only takes space.
        }
    }
}

} // namespace

Result<Bytes> KeepingSource::fetch(const std::string& path, std::uint64_t max_bytes) {
    auto bytes = source_.fetch(path, max_bytes);
    const bool kept = path.starts_with("targets/") || path.ends_with(".root.json");
    if (!directory_ || !kept || !bytes) {
        return bytes;
    }
    return keep_file(*directory_ / path, *bytes).map([&] { return std::move(*bytes); });
}

Result<> keep_metadata(const fs::path& trusted, const fs::path& directory,
                       const trust::Client& client) {
    std::vector<fs::path> files;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(trusted, error)) {
        const auto name = entry.path().filename().string();
        if (name.ends_with(".json") && name != "root.json" && name != "timestamp.json") {
            files.push_back(entry.path());
        }
    }
    if (error) {
        return fail(error, "read " + trusted.string());
    }
    files.push_back(trusted / "timestamp.json");
    std::set<std::string> names;
    for (const auto& file : files) {
        auto kept = read_file(file, metadata_bytes_max).and_then([&](const Bytes& bytes) {
            return kept_name(file.filename().string(), bytes, client.consistent_snapshot())
                .and_then([&](const std::string& name) {
                    names.insert(name);
                    return keep_file(directory / "metadata" / name, bytes);
                });
        });
        if (!kept) {
            return kept;
        }
    }
    remove_others(directory / "metadata", names);
    return {};
}

} // namespace slipway::agent
