#include "common/repository/mirror.h"

#include <fcntl.h>

#include <algorithm>
#include <set>
#include <system_error>

#include <nlohmann/json.hpp>

#include "common/core/errc.h"
#include "common/core/merkle.h"
#include "common/io/file_ops.h"
#include "common/trust/metadata.h"

namespace slipway {
namespace fs = std::filesystem;
namespace {

constexpr auto metadata_bytes_max = trust::limits::targets_bytes; // The largest of them.
using nlohmann::json;

constexpr std::uint64_t range_bytes = 8ULL * 1024 * 1024;
constexpr std::size_t lineage_depth_max = 16; // What publish() asks for chunks.
constexpr std::size_t patches_by_default = 2;

/// base.json.
struct Base {
    std::string artifact;
    std::string timestamp; ///< SHA-256 of the remote's timestamp.json.
    std::vector<std::string> files;
};

Result<Base> read_base(const fs::path& mirror) {
    return read_file(mirror / "base.json", metadata_bytes_max).and_then([](const Bytes& text) {
        const auto parsed = json::parse(text.begin(), text.end(), nullptr, false);
        try {
            return Result<Base>(Base{parsed.at("artifact").get<std::string>(),
                                     parsed.at("timestamp").get<std::string>(),
                                     parsed.at("files").get<std::vector<std::string>>()});
        } catch (const json::exception& error) {
            return Result<Base>(fail(Errc::failed, std::string("base.json: ") + error.what()));
        }
    });
}

Result<> write_base(const fs::path& mirror, const Base& base) {
    const auto text =
        json{{"artifact", base.artifact}, {"timestamp", base.timestamp}, {"files", base.files}}
            .dump();
    return replace_file(mirror / "base.json", as_bytes(text));
}

/// The version in metadata that was verified.
Result<std::uint64_t> version_of(ByteSpan file, const std::string& what) {
    const auto parsed = json::parse(file.begin(), file.end(), nullptr, false);
    try {
        return parsed.at("signed").at("version").get<std::uint64_t>();
    } catch (const json::exception& error) {
        return fail(Errc::failed, what + ": " + error.what());
    }
}

class Mirror {
public:
    Mirror(RepositorySource& remote, const MirrorRequest& request, std::stop_token stop)
        : remote_(remote), request_(request), stop_(std::move(stop)),
          trusted_(request.directory / "trusted"), client_(trusted_, remote, request.now) {}

    Result<MirrorState> run() {
        return make_directories()
            .and_then([&] { return refresh(); })
            .and_then([&] { return list_artifacts(client_); })
            .and_then(
                [&](const std::vector<ArtifactListing>& listings) { return bring_up(listings); })
            .map([&] { return state_; });
    }

private:
    [[nodiscard]] fs::path in(const char* name) const { return request_.directory / name; }

    Result<> make_directories() {
        for (const auto* name : {"metadata", "targets", "packs", "partial", "trusted"}) {
            std::error_code error;
            fs::create_directories(in(name), error);
            if (error) {
                return fail(error, "create " + in(name).string());
            }
        }
        return {};
    }

    Result<> refresh() {
        std::error_code error;
        if (request_.root) {
            auto trusted =
                read_file(*request_.root, metadata_bytes_max).and_then([&](const Bytes& root) {
                    return client_.trust_root(root);
                });
            if (!trusted) {
                return trusted;
            }
        } else if (!fs::exists(trusted_ / "root.json", error)) {
            return fail(Errc::usage, "nothing vouches for " + remote_.location() +
                                         " yet: --trust ROOT.json names the root that you trust");
        }
        return client_.refresh();
    }

    Result<> bring_up(const std::vector<ArtifactListing>& listings) {
        const auto& id = request_.artifact;
        std::vector<ArtifactId> lineage; // The newest first.
        for (auto at = listings.rbegin(); at != listings.rend(); ++at) {
            state_.is_published = state_.is_published || at->id == id;
            if (at->id.name == id.name) {
                lineage.push_back(at->id);
            }
        }
        if (state_.is_published) {
            lineage = {id}; // publish() compares the manifest and is done.
        }
        const auto timestamp = read_file(trusted_ / "timestamp.json", metadata_bytes_max);
        if (!timestamp) {
            return tl::unexpected(timestamp.error());
        }
        const auto digest = sha256(*timestamp).hex();
        const auto base = read_base(request_.directory);
        state_.is_resumed = !state_.is_published && base && base->timestamp == digest &&
                            base->artifact == id.text();
        if (state_.is_resumed) {
            return {};
        }
        return copy_metadata(digest).and_then([&] { return fetch_artifacts(lineage); });
    }

    /// Makes metadata/ what the remote's is, from the files that were verified.
    Result<> copy_metadata(const std::string& timestamp_digest) {
        std::error_code error;
        fs::remove(in("base.json"), error); // Until it is whole again nothing can be resumed.
        fs::remove_all(in("metadata"), error);
        fs::create_directories(in("metadata"), error);
        Base base{request_.artifact.text(), timestamp_digest, {}};
        for (const auto& entry : fs::directory_iterator(trusted_, error)) {
            const auto name = entry.path().filename().string();
            if (!name.ends_with(".json") || is_temporary_name(name)) {
                continue;
            }
            if (auto copied = copy_role(name, base); !copied) {
                return copied;
            }
        }
        return error ? fail(error, "read " + trusted_.string())
                     : write_base(request_.directory, base);
    }

    Result<> copy_role(const std::string& name, Base& base) {
        const auto bytes = read_file(trusted_ / name, metadata_bytes_max);
        if (!bytes) {
            return tl::unexpected(bytes.error());
        }
        const auto version = version_of(*bytes, name);
        if (!version) {
            return tl::unexpected(version.error());
        }
        const bool is_timestamp = name == "timestamp.json";
        const auto to = is_timestamp ? name : std::to_string(*version) + "." + name;
        base.files.push_back(to);
        return replace_file(in("metadata") / to, *bytes).and_then([&] {
            return name == "root.json" ? copy_older_roots(*version, base) : Result<>{};
        });
    }

    /// A repository is followed from its first root; the chain is checked when that is done.
    Result<> copy_older_roots(std::uint64_t newest, Base& base) {
        for (std::uint64_t version = 1; version < newest; ++version) {
            const auto name = std::to_string(version) + ".root.json";
            base.files.push_back(name);
            auto copied =
                remote_.fetch_metadata(name, metadata_bytes_max).and_then([&](const Bytes& root) {
                    return replace_file(in("metadata") / name, root);
                });
            if (!copied) {
                return copied;
            }
        }
        return {};
    }

    [[nodiscard]] bool is_patched_from(const std::vector<ArtifactId>& lineage,
                                       std::size_t number) const {
        if (!request_.patch_from) {
            return number < patches_by_default;
        }
        return std::ranges::count(*request_.patch_from, lineage[number].version) > 0;
    }

    Result<> fetch_artifacts(const std::vector<ArtifactId>& lineage) {
        for (std::size_t i = 0; i < lineage.size(); ++i) {
            const bool patched = !state_.is_published && is_patched_from(lineage, i);
            if (i >= lineage_depth_max && !patched) {
                continue;
            }
            auto artifact = load_artifact(client_, remote_, lineage[i]);
            if (!artifact) {
                return tl::unexpected(artifact.error());
            }
            if (auto copied = copy_targets(lineage[i]); !copied) {
                return copied;
            }
            for (const auto& pack : artifact->packs.packs) {
                const bool needed =
                    !state_.is_published && (patched || pack.role == PackRole::base);
                if (auto fetched = needed ? fetch_pack(pack.id) : Result<>{}; !fetched) {
                    return fetched;
                }
            }
        }
        return {};
    }

    Result<> copy_targets(const ArtifactId& id) {
        for (const auto& path : {layout::manifest_target(id), layout::pack_map_target(id)}) {
            auto copied = client_.find(path).and_then([&](const trust::Target& target) {
                const auto place = "targets/" + trust::consistent_target_path(target);
                return remote_.fetch(place, target.bytes)
                    .and_then([&](const Bytes& bytes) -> Result<> {
                        std::error_code error;
                        const auto to = request_.directory / place;
                        fs::create_directories(to.parent_path(), error);
                        return error ? fail(error, "create " + to.parent_path().string())
                                     : replace_file(to, bytes);
                    });
            });
            if (!copied) {
                return copied;
            }
        }
        return {};
    }

    Result<> fetch_pack(const PackId& pack) {
        std::error_code error;
        const auto place = request_.directory / layout::pack_path(pack);
        if (fs::file_size(place, error) == pack.bytes && !error) {
            return {};
        }
        const auto part = in("partial") / pack.name();
        auto fd = open_file(part, O_RDWR | O_CREAT, 0644);
        if (!fd) {
            return tl::unexpected(fd.error());
        }
        const auto there = fs::file_size(part, error);
        if (request_.progress != nullptr) {
            request_.progress->phase("fetch pack " + pack.name().substr(0, 8), pack.bytes);
            request_.progress->add(there);
        }
        for (auto offset = there; offset < pack.bytes;) {
            const auto bytes = std::min(range_bytes, pack.bytes - offset);
            if (stop_.stop_requested()) {
                return fail(Errc::cancelled, "fetch pack " + pack.name());
            }
            auto got = remote_.fetch_range(layout::pack_path(pack), offset, bytes)
                           .and_then([&](const Bytes& some) {
                               return pwrite_all(fd->get(), some, offset, part);
                           });
            if (!got) {
                return got;
            }
            offset += bytes;
            if (request_.progress != nullptr) {
                request_.progress->add(bytes);
            }
        }
        return keep_pack(fd->get(), part, place, pack);
    }

    static Result<> keep_pack(int fd, const fs::path& part, const fs::path& place,
                              const PackId& pack) {
        MerkleBuilder builder;
        Bytes buffer(range_bytes);
        for (std::uint64_t offset = 0; offset < pack.bytes;) {
            const auto some =
                std::span(buffer).first(std::min<std::uint64_t>(range_bytes, pack.bytes - offset));
            if (auto read = pread_all(fd, some, offset, part); !read) {
                return read;
            }
            builder.update(some);
            offset += some.size();
        }
        std::error_code error;
        if (builder.finish().root != pack.root) {
            fs::remove(part, error);
            return fail(Errc::verification_failed,
                        "pack " + pack.name() + ": what the seeder sent has another pieces root");
        }
        fs::rename(part, place, error);
        return error ? fail(error, "rename " + part.string()) : Result<>{};
    }

    RepositorySource& remote_;
    const MirrorRequest& request_;
    std::stop_token stop_;
    fs::path trusted_;
    trust::Client client_;
    MirrorState state_;
};

} // namespace

Result<MirrorState> update_mirror(RepositorySource& remote, const MirrorRequest& request,
                                  const std::stop_token& stop) {
    return Mirror(remote, request, stop).run().map_error([&](Error error) {
        return within("mirror " + remote.location(), std::move(error));
    });
}

Result<std::vector<std::string>> new_metadata(const fs::path& mirror) {
    return read_base(mirror).and_then([&](const Base& base) -> Result<std::vector<std::string>> {
        const std::set<std::string> known(base.files.begin(), base.files.end());
        std::vector<std::string> names;
        std::error_code error;
        for (const auto& entry : fs::directory_iterator(mirror / "metadata", error)) {
            auto name = entry.path().filename().string();
            if (name.ends_with(".json") && name != "timestamp.json" && !is_temporary_name(name) &&
                !known.contains(name)) {
                names.push_back(std::move(name));
            }
        }
        std::ranges::sort(names);
        return error ? Result<std::vector<std::string>>(
                           fail(error, "read " + (mirror / "metadata").string()))
                     : names;
    });
}

} // namespace slipway
