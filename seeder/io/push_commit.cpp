#include "seeder/io/push_commit.h"

#include <map>
#include <set>
#include <system_error>
#include <vector>

#include "common/core/errc.h"
#include "common/format/manifest.h"
#include "common/format/pack.h"
#include "common/repository/layout.h"
#include "common/repository/workspace.h"
#include "common/trust/metadata.h"

namespace slipway::seeder {
namespace fs = std::filesystem;
namespace {

constexpr unsigned lock_patience_ms = 10'000;

/// The repository as it will be: what was sent in front of what is there.
class StagedSource final : public trust::MetadataSource {
public:
    StagedSource(const PushStore& store, const PushCommit& push) : store_(store), push_(push) {}

    Result<Bytes> fetch_metadata(const std::string& path, std::uint64_t bytes_max) override {
        if (path == "timestamp.json") {
            return push_.timestamp;
        }
        auto sent = read_file(store_.staged(push_.publisher, "metadata/" + path), bytes_max);
        if (sent) {
            used_.push_back(path);
            return sent;
        }
        if (sent.error().code != std::errc::no_such_file_or_directory) {
            return sent;
        }
        return trust::DirectorySource(store_.repository() / "metadata")
            .fetch_metadata(path, bytes_max);
    }

    /// Sent files that the client asked for, in its order: roots, snapshot, targets, delegated.
    [[nodiscard]] const std::vector<std::string>& used() const { return used_; }

private:
    const PushStore& store_;
    const PushCommit& push_;
    std::vector<std::string> used_;
};

using Targets = std::map<std::string, trust::Target>;

Result<Targets> targets_of(trust::Client& client) {
    return client.all().map([](const std::vector<trust::Target>& all) {
        Targets by_path;
        for (const auto& target : all) {
            by_path.emplace(target.path, target);
        }
        return by_path;
    });
}

class Commit {
public:
    Commit(const PushStore& store, const PushCommit& push, const Workspace& workspace)
        : store_(store), push_(push), trust_(workspace.temporary() / "trust"),
          source_(store, push) {}

    Result<Committed> run() {
        return load_before()
            .and_then([&] { return follow(); })
            .and_then([&] { return check_targets(); })
            .and_then([&] { return place(); })
            .map([&] { return done_; });
    }

private:
    // The repository's own state, expired or not: nothing is expired at the beginning of time.
    Result<> load_before() {
        trust::DirectorySource repository(store_.repository() / "metadata");
        trust::Client client(trust_, repository, trust::TimePoint{});
        return repository.fetch_metadata("1.root.json", trust::limits::root_bytes)
            .and_then([&](const Bytes& root) { return client.trust_root(root); })
            .and_then([&] { return client.refresh(); })
            .and_then([&] { return targets_of(client); })
            .map([&](Targets targets) { before_ = std::move(targets); });
    }

    Result<> follow() {
        const auto known = read_file(trust_ / "timestamp.json", trust::limits::timestamp_bytes);
        trust::Client client(trust_, source_, push_.now);
        return client.refresh()
            .and_then([&]() -> Result<> {
                const auto accepted =
                    read_file(trust_ / "timestamp.json", trust::limits::timestamp_bytes);
                if (known && accepted && *known == *accepted) {
                    return fail(Errc::failed,
                                "the timestamp that was sent is not newer than the repository's: "
                                "this push was made before the last one (a replay, or somebody "
                                "else published meanwhile); publish again");
                }
                return {};
            })
            .and_then([&] { return targets_of(client); })
            .map([&](Targets targets) { after_ = std::move(targets); });
    }

    Result<> check_targets() {
        for (const auto& [path, target] : after_) {
            const auto old = before_.find(path);
            if (old != before_.end() && old->second.sha256 == target.sha256) {
                continue;
            }
            const auto artifact = layout::artifact_of_manifest_target(path);
            if (artifact && old != before_.end()) {
                return fail(Errc::failed, artifact->text() + " is published already with another "
                                                             "manifest; a version never changes");
            }
            if (auto good = check_target(target); !good) {
                return good;
            }
            ++done_.targets;
        }
        return {};
    }

    Result<> check_target(const trust::Target& target) {
        const auto path = "targets/" + trust::consistent_target_path(target);
        const auto bytes = read_new(path, target.bytes);
        if (!bytes) {
            return tl::unexpected(bytes.error());
        }
        if (bytes->size() != target.bytes || sha256(*bytes) != target.sha256) {
            return fail(Errc::verification_failed,
                        path + " does not have the length and digest that the metadata lists");
        }
        if (target.path.ends_with("/manifest.json")) {
            return decode_manifest(*bytes, path).map([](const Manifest&) {});
        }
        if (!target.path.ends_with("/packmap")) {
            return {};
        }
        return decode_pack_map(*bytes, path).and_then([&](const PackMap& map) -> Result<> {
            for (const auto& pack : map.packs) {
                if (auto there = check_pack(pack.id); !there) {
                    return there;
                }
            }
            return {};
        });
    }

    /// A file of the repository, or one that was sent and is then put into it.
    Result<Bytes> read_new(const std::string& path, std::uint64_t bytes) {
        auto sent = read_file(store_.staged(push_.publisher, path), bytes);
        if (sent) {
            targets_.push_back(path);
            return sent;
        }
        return read_file(store_.repository() / path, bytes).map_error([&](const Error& error) {
            return error.code == std::errc::no_such_file_or_directory
                       ? Error{Errc::failed, path + " was not sent"}
                       : error;
        });
    }

    Result<> check_pack(const PackId& pack) {
        const auto path = layout::pack_path(pack);
        const auto sent = store_.staged(push_.publisher, path);
        std::error_code error;
        const bool here = fs::file_size(store_.repository() / path, error) == pack.bytes && !error;
        if (here && fs::exists(store_.repository() / (path + ".torrent"), error)) {
            return {};
        }
        // A commit that was cut off may have put the pack in place and not its metainfo.
        if (here || (fs::file_size(sent, error) == pack.bytes && !error)) {
            packs_.insert(path);
            return {};
        }
        return fail(Errc::failed, path + ", which the pack map lists, was not sent");
    }

    Result<> move(const fs::path& from, const std::string& path) {
        const auto to = store_.repository() / path;
        std::error_code error;
        fs::create_directories(to.parent_path(), error);
        if (!error) {
            fs::rename(from, to, error);
        }
        return error ? fail(error, "put " + path + " in place") : fsync_directory(to.parent_path());
    }

    Result<> move(const std::string& path) {
        return move(store_.staged(push_.publisher, path), path);
    }

    Result<> place() {
        for (const auto& path : packs_) {
            const auto sent = store_.staged(push_.publisher, path);
            std::error_code error;
            auto placed = fs::exists(sent, error) ? move(path) : Result<>{};
            if (placed) {
                placed = move(sent.string() + ".torrent", path + ".torrent");
            }
            if (!placed) {
                return placed;
            }
            ++done_.packs;
        }
        for (const auto& path : targets_) {
            if (auto placed = move(path); !placed) {
                return placed;
            }
        }
        return place_metadata();
    }

    // What refers to a file comes after it: the client asked for roots in their order, then for the
    // snapshot and what it lists.
    Result<> place_metadata() {
        const std::set<std::string> used(source_.used().begin(), source_.used().end());
        const auto is = [](const std::string& name, const char* what) {
            return name.ends_with(std::string(".") + what + ".json");
        };
        std::vector<std::string> order;
        for (const auto& name : source_.used()) { // Roots, as their numbers grow.
            if (is(name, "root")) {
                order.push_back(name);
            }
        }
        for (const auto& name : used) {
            if (!is(name, "root") && !is(name, "targets") && !is(name, "snapshot")) {
                order.push_back(name);
            }
        }
        for (const auto* last : {"targets", "snapshot"}) {
            for (const auto& name : used) {
                if (is(name, last)) {
                    order.push_back(name);
                }
            }
        }
        for (const auto& name : order) {
            if (auto placed = move("metadata/" + name); !placed) {
                return placed;
            }
        }
        return replace_file(store_.repository() / "metadata" / "timestamp.json", push_.timestamp);
    }

    const PushStore& store_;
    const PushCommit& push_;
    fs::path trust_;
    StagedSource source_;
    Targets before_;
    Targets after_;
    std::set<std::string> packs_;
    std::vector<std::string> targets_;
    Committed done_;
};

} // namespace

Result<Committed> commit_push(const PushStore& store, const PushCommit& push) {
    auto workspace = Workspace::open(store.repository(), "push of publisher " + push.publisher,
                                     lock_patience_ms, nullptr);
    if (!workspace) {
        return tl::unexpected(workspace.error());
    }
    return Commit(store, push, *workspace).run();
}

} // namespace slipway::seeder
