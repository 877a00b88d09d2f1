#include "common/trust/key_directory.h"

#include <algorithm>
#include <system_error>

#include "common/core/errc.h"
#include "common/io/file_ops.h"
#include "common/trust/metadata.h"
#include "common/trust/pkcs11.h"

namespace slipway::trust {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t files_max = 64;
constexpr std::size_t uri_file_bytes_max = 4'096;
constexpr std::size_t label_digits = 8;

} // namespace

fs::path KeyDirectory::file_of(const std::string& role) const {
    return directory_ / (escape_role_name(role) + ".pem");
}

std::vector<fs::path> KeyDirectory::files_of(const std::string& role) const {
    const auto name = escape_role_name(role);
    std::vector<fs::path> out;
    std::error_code ignored; // A directory that cannot be read holds no keys for us.
    for (const auto& entry : fs::directory_iterator(directory_, ignored)) {
        const auto extension = entry.path().extension().string();
        const auto stem = entry.path().stem().string();
        if ((extension == ".pem" || extension == ".uri") &&
            stem.substr(0, stem.find('+')) == name && out.size() < files_max) {
            out.push_back(entry.path());
        }
    }
    std::sort(out.begin(), out.end());
    return out;
}

bool KeyDirectory::has(const std::string& role) const {
    return !files_of(role).empty();
}

Result<SigningKey> KeyDirectory::load(const fs::path& file) const {
    if (file.extension() != ".uri") {
        return SigningKey::load(file, passphrase_);
    }
    const auto text = read_file(file, uri_file_bytes_max);
    if (!text) {
        return tl::unexpected(within("read key", text.error()));
    }
    const auto line = as_text(*text);
    return load_pkcs11_key(std::string(line.substr(0, line.find_first_of("\r\n"))))
        .map_error(
            [&](Error error) { return within("read key " + file.string(), std::move(error)); });
}

Result<std::vector<KeyDirectory::Held>> KeyDirectory::keys_of(const std::string& role) const {
    std::vector<Held> out;
    for (const auto& file : files_of(role)) {
        auto key = load(file);
        if (!key) {
            return tl::unexpected(key.error());
        }
        out.push_back({file, std::move(*key)});
    }
    return out;
}

Result<fs::path> KeyDirectory::add(const std::string& role, const SigningKey& key,
                                   const std::string& passphrase) const {
    std::error_code error;
    if (!fs::is_directory(directory_, error)) {
        fs::create_directories(directory_, error);
        fs::permissions(directory_, fs::perms::owner_all, error);
        if (error) {
            return fail(error, "create " + directory_.string());
        }
    }
    const auto label = key.public_key().id().substr(0, label_digits);
    auto file = directory_ / (escape_role_name(role) + "+" + label + ".pem");
    return key.save(file, passphrase).map([&] { return file; });
}

Result<> KeyDirectory::retire(const fs::path& file) const {
    const auto retired = directory_ / "retired";
    std::error_code error;
    fs::create_directories(retired, error);
    fs::permissions(retired, fs::perms::owner_all, error);
    fs::rename(file, retired / file.filename(), error);
    if (error) {
        return fail(error, "move " + file.string() + " to " + retired.string());
    }
    return {};
}

} // namespace slipway::trust
