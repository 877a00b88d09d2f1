#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "agent/core/release_id.h"
#include "common/format/pack.h"

namespace slipway::agent {

/// Files of one service below ROOT/services/NAME:
///
///     current -> releases/<id>     what runs; switched by one rename(2)
///     previous -> releases/<id>    what a rollback leads to
///     releases/<id>/               read-only tree
///     records/<id>/                manifest.json, index, packmap, release.json, seals
///     staging/                     what is being built; swept by every run
///     state.json, lock
///     spare                        blocks for a rollback when the disk is full
///     explain.json                 where the time of installations by hand went
///     seal.key                     under which the files of its releases are sealed
struct ServicePaths {
    std::string name;
    std::filesystem::path directory;

    [[nodiscard]] std::filesystem::path current() const { return directory / "current"; }
    [[nodiscard]] std::filesystem::path previous() const { return directory / "previous"; }
    [[nodiscard]] std::filesystem::path releases() const { return directory / "releases"; }
    [[nodiscard]] std::filesystem::path records() const { return directory / "records"; }
    [[nodiscard]] std::filesystem::path staging() const { return directory / "staging"; }
    [[nodiscard]] std::filesystem::path state() const { return directory / "state.json"; }
    [[nodiscard]] std::filesystem::path spare() const { return directory / "spare"; }
    [[nodiscard]] std::filesystem::path lock() const { return directory / "lock"; }
    [[nodiscard]] std::filesystem::path explanation() const { return directory / "explain.json"; }
    [[nodiscard]] std::filesystem::path seal_key() const { return directory / "seal.key"; }
    [[nodiscard]] std::filesystem::path release(const ReleaseId& id) const {
        return releases() / id.text;
    }
    [[nodiscard]] std::filesystem::path record(const ReleaseId& id) const {
        return records() / id.text;
    }
};

/// Files of a record.
namespace record_file {
inline constexpr const char* manifest = "manifest.json";
inline constexpr const char* index = "index";
inline constexpr const char* pack_map = "packmap";
inline constexpr const char* release = "release.json";
inline constexpr const char* seals = "seals"; ///< Of each chunk, in the index's order.
} // namespace record_file

/// Files of a host below its state directory ROOT.
struct HostLayout {
    std::filesystem::path root;

    [[nodiscard]] std::filesystem::path trust() const { return root / "trust"; }
    [[nodiscard]] std::filesystem::path trust_lock() const { return root / "trust.lock"; }
    /// What the network process keeps of the repository for the installer, which verifies it anew.
    [[nodiscard]] std::filesystem::path mirror() const { return root / "mirror"; }
    /// The installer's own trusted metadata, which the network process cannot write.
    [[nodiscard]] std::filesystem::path installer_trust() const { return root / "installer-trust"; }
    [[nodiscard]] std::filesystem::path packs() const { return root / "packs"; }
    [[nodiscard]] std::filesystem::path pack(const PackId& id) const { return packs() / id.name(); }
    [[nodiscard]] std::filesystem::path metainfo(const PackId& id) const {
        return packs() / (id.name() + ".torrent");
    }
    /// Where the time of a service's installations went, as the daemon saw it.
    [[nodiscard]] std::filesystem::path explanation(const std::string& service) const {
        return root / "explain" / (service + ".json");
    }
    [[nodiscard]] std::filesystem::path services() const { return root / "services"; }
    [[nodiscard]] ServicePaths service(const std::string& name) const {
        return {name, services() / name};
    }
    /// Names of the services that this host has, sorted. A root without any gives none.
    [[nodiscard]] Result<std::vector<std::string>> service_names() const;
};

} // namespace slipway::agent
