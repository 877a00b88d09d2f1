// The trust room as the client under test of the public TUF conformance suite:
//
//     tuf-client --metadata-dir DIR init ROOT.json
//     tuf-client --metadata-dir DIR --metadata-url URL refresh
//     tuf-client --metadata-dir DIR --metadata-url URL --target-name PATH...
//                --target-dir DIR --target-base-url URL download
//
// Exit status 0 for success, 1 for everything else: the suite knows no other.

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "common/core/errc.h"
#include "common/io/file_ops.h"
#include "common/io/http_client.h"
#include "common/trust/client.h"
#include "common/trust/metadata.h"

namespace {

namespace fs = std::filesystem;
using slipway::Bytes;
using slipway::Errc;
using slipway::fail;
using slipway::Result;
namespace trust = slipway::trust;

struct Arguments {
    std::map<std::string, std::vector<std::string>> options;
    std::vector<std::string> words; ///< The command and what follows it.

    [[nodiscard]] std::string option(const std::string& name) const {
        const auto found = options.find(name);
        return found == options.end() ? std::string() : found->second.back();
    }
};

Result<Arguments> parse_arguments(const std::vector<std::string>& arguments) {
    Arguments out;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        if (!arguments[i].starts_with("--")) {
            out.words.push_back(arguments[i]);
        } else if (i + 1 < arguments.size()) {
            out.options[arguments[i]].push_back(arguments[i + 1]);
            ++i;
        } else {
            return fail(Errc::usage, arguments[i]);
        }
    }
    return out.words.empty() ? fail(Errc::usage, "no command") : Result<Arguments>(out);
}

std::string below(const std::string& url, const std::string& path) {
    return url.ends_with('/') ? url + path : url + "/" + path;
}

/// Escapes each component, keeps the slashes.
std::string url_path(const std::string& path) {
    std::string out;
    std::size_t start = 0;
    for (auto slash = path.find('/'); slash != std::string::npos; slash = path.find('/', start)) {
        out += trust::escape_role_name(path.substr(start, slash - start)) + "/";
        start = slash + 1;
    }
    return out + trust::escape_role_name(path.substr(start));
}

class HttpSource final : public trust::MetadataSource {
public:
    explicit HttpSource(std::string url) : url_(std::move(url)) {}
    Result<Bytes> fetch_metadata(const std::string& path, std::uint64_t max_bytes) override {
        return fetch(below(url_, path), max_bytes);
    }
    Result<Bytes> fetch(const std::string& url, std::uint64_t max_bytes) {
        slipway::HttpLimits limits;
        limits.body_bytes_max = max_bytes;
        return http_.get(url, limits);
    }

private:
    std::string url_;
    slipway::HttpClient http_;
};

Result<> download(trust::Client& client, HttpSource& source, const Arguments& arguments,
                  const std::string& name) {
    const auto target = client.find_listed(name);
    if (!target) {
        return tl::unexpected(target.error());
    }
    const auto file = fs::path(arguments.option("--target-dir")) / trust::escape_role_name(name);
    const auto cached = slipway::read_file(file, target->length);
    if (cached && trust::verify_bytes(*cached, target->length, target->hashes, name)) {
        return {};
    }
    const auto hash =
        target->hashes.contains("sha256") ? target->hashes.find("sha256") : target->hashes.begin();
    const auto remote =
        client.consistent_snapshot() ? trust::consistent_target_path(name, hash->second) : name;
    const auto url = below(arguments.option("--target-base-url"), url_path(remote));
    const auto bytes = source.fetch(url, target->length);
    if (!bytes) {
        return tl::unexpected(bytes.error());
    }
    return trust::verify_bytes(*bytes, target->length, target->hashes, name).and_then([&] {
        return slipway::replace_file(file, *bytes);
    });
}

Result<> run(const Arguments& arguments) {
    HttpSource source(arguments.option("--metadata-url"));
    trust::Client client(arguments.option("--metadata-dir"), source,
                         std::chrono::system_clock::now());
    const auto& command = arguments.words.front();
    if (command == "init" && arguments.words.size() == 2) {
        return slipway::read_file(arguments.words[1], trust::limits::root_bytes)
            .and_then([&](const Bytes& root) { return client.trust_root(root); });
    }
    if (command != "refresh" && command != "download") {
        return fail(Errc::usage, command);
    }
    auto done = client.refresh();
    const auto names = arguments.options.find("--target-name");
    if (command == "download" && names != arguments.options.end()) {
        for (const auto& name : names->second) {
            done = done.and_then([&] { return download(client, source, arguments, name); });
        }
    }
    return done;
}

} // namespace

int main(int argc, char** argv) {
    const auto done = parse_arguments({argv + 1, argv + argc}).and_then(run);
    if (!done) {
        std::fprintf(stderr, "tuf-client: %s\n", slipway::describe(done.error()).c_str());
    }
    return done ? 0 : 1;
}
