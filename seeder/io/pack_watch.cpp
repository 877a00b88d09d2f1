#include "seeder/io/pack_watch.h"

#include <chrono>

#include <sys/stat.h>

#include "common/core/errc.h"
#include "common/core/merkle.h"
#include "common/io/blocking.h"
#include "common/io/file_ops.h"
#include "common/io/log.h"
#include "common/repository/layout.h"
#include "common/swarm/metainfo.h"

namespace slipway::seeder {
namespace fs = std::filesystem;
namespace {

constexpr std::chrono::milliseconds look_interval{500};
constexpr std::chrono::seconds tell_interval{60};

Result<std::set<std::string>> pack_names(const fs::path& directory) {
    std::set<std::string> names;
    std::error_code ec;
    for (auto it = fs::directory_iterator(directory, ec); !ec && it != fs::directory_iterator();
         it.increment(ec)) {
        auto name = it->path().filename().string();
        if (Sha256Digest::from_hex(name)) {
            names.insert(std::move(name));
        }
    }
    if (ec && ec != std::errc::no_such_file_or_directory) {
        return fail(ec, "list " + directory.string());
    }
    return names;
}

} // namespace

PackWatch::PackWatch(fs::path repository, swarm::PackSession& session,
                     std::shared_ptr<const swarm::SwarmTls> tls, net::thread_pool& pool,
                     Callbacks callbacks)
    : repository_(std::move(repository)), session_(session), tls_(std::move(tls)),
      tls_generation_(tls_ ? tls_->generation() : 0), pool_(pool),
      callbacks_(std::move(callbacks)) {}

// Every publish ends by renaming a new timestamp.json into place, so its identity tells whether
// there is something to look for.
std::string PackWatch::published_state() const {
    struct stat info{};
    if (::stat((repository_ / "metadata/timestamp.json").c_str(), &info) != 0) {
        return "none";
    }
    return std::to_string(info.st_ino) + "/" + std::to_string(info.st_mtim.tv_sec) + "." +
           std::to_string(info.st_mtim.tv_nsec);
}

Result<PackId> PackWatch::share(const std::string& name) {
    auto root = Sha256Digest::from_hex(name);
    std::error_code ec;
    const auto file = repository_ / "packs" / name;
    const auto bytes = fs::file_size(file, ec);
    if (!root || ec || bytes == 0) {
        return fail(Errc::verification_failed, "pack " + file.string() + " has no length");
    }
    const PackId pack{*root, bytes};
    const auto metainfo =
        read_file(repository_ / layout::metainfo_path(pack), swarm::metainfo_bytes_max(bytes));
    if (!metainfo) {
        return tl::unexpected(metainfo.error());
    }
    if (auto right = swarm::verify_metainfo(*metainfo, pack, layout::metainfo_path(pack)); !right) {
        return tl::unexpected(right.error());
    }
    if (auto seeding = session_.seed(pack, *metainfo, file, {}); !seeding) {
        return tl::unexpected(seeding.error());
    }
    return pack;
}

Result<PackWatch::Changes> PackWatch::scan() {
    auto names = pack_names(repository_ / "packs");
    if (!names) {
        return tl::unexpected(names.error());
    }
    Changes changes;
    for (const auto& [name, pack] : shared_) {
        if (!names->contains(name)) {
            changes.removed.push_back(pack);
        }
    }
    for (const auto& pack : changes.removed) {
        shared_.erase(pack.name());
        if (auto removed = session_.remove(pack); !removed) {
            log_event(LogLevel::warning, "pack.remove_failed",
                      {{"pack", pack.name()}, {"why", describe(removed.error())}});
        }
    }
    for (const auto& name : *names) {
        if (shared_.contains(name)) {
            continue;
        }
        if (auto pack = share(name)) {
            shared_.emplace(name, *pack);
            refused_.erase(name);
            unchecked_.push_back(*pack);
            changes.added.push_back(*pack);
        } else if (const auto why = describe(pack.error()); refused_[name] != why) {
            refused_[name] = why;
            log_event(LogLevel::error, "pack.refused", {{"pack", name}, {"why", why}});
        }
    }
    return changes;
}

void PackWatch::report(const Changes& changes) {
    follow_swarms();
    for (const auto& pack : changes.added) {
        log_event(LogLevel::info, "pack.shared",
                  {{"pack", pack.name()}, {"bytes", std::to_string(pack.bytes)}});
    }
    for (const auto& pack : changes.removed) {
        log_event(LogLevel::info, "pack.removed", {{"pack", pack.name()}});
    }
}

void PackWatch::follow_swarms() {
    std::set<Sha256Digest> present;
    for (const auto& swarm : session_.swarms()) {
        present.insert(swarm.info_hash);
        if (!swarms_.contains(swarm.info_hash)) {
            callbacks_.joined(swarm.info_hash);
        }
    }
    for (const auto& swarm : swarms_) {
        if (!present.contains(swarm)) {
            callbacks_.left(swarm);
        }
    }
    swarms_ = std::move(present);
}

Result<> PackWatch::scan_now() {
    return scan().map([this](const Changes& changes) { report(changes); });
}

Result<> PackWatch::check_bytes(const PackId& pack, std::stop_token stop) const {
    const auto path = repository_ / layout::pack_path(pack);
    const auto fd = open_file(path, O_RDONLY);
    if (!fd) {
        return tl::unexpected(fd.error());
    }
    MerkleBuilder merkle;
    Bytes buffer(1024UL * 1024);
    for (std::uint64_t offset = 0; offset < pack.bytes;) {
        if (stop.stop_requested()) {
            return fail(Errc::cancelled, "check " + path.string());
        }
        const auto part =
            std::span(buffer).first(std::min<std::uint64_t>(buffer.size(), pack.bytes - offset));
        if (auto read = pread_all(fd->get(), part, offset, path); !read) {
            return read;
        }
        merkle.update(part);
        offset += part.size();
    }
    if (merkle.finish().root != pack.root) {
        return fail(Errc::verification_failed,
                    "pack " + path.string() + ": its bytes do not have its root");
    }
    return {};
}

net::awaitable<void> PackWatch::check_next(std::stop_token stop) {
    const auto pack = unchecked_.back();
    unchecked_.pop_back();
    auto checking = [this, pack, stop] {
        auto checked = check_bytes(pack, stop);
        if (!checked && checked.error().code != Errc::cancelled) {
            (void)session_.remove(pack); // It stays in shared_, so it is not taken up again.
        }
        return checked;
    };
    const auto checked = co_await run_blocking(pool_, std::move(checking));
    if (!checked && checked.error().code != Errc::cancelled) {
        log_event(LogLevel::error, "pack.corrupt",
                  {{"pack", pack.name()}, {"why", describe(checked.error())}});
        follow_swarms();
    }
}

net::awaitable<void> PackWatch::follow_authorities() {
    tls_generation_ = tls_->generation();
    auto following = [this] { return session_.follow_authorities(); };
    const auto followed = co_await run_blocking(pool_, std::move(following));
    if (!followed) {
        log_event(LogLevel::error, "swarm.authorities_failed",
                  {{"why", describe(followed.error())}});
    }
    follow_swarms();
}

// Whoever rotates authorities sees here when the old one may go.
void PackWatch::tell_peers() const {
    std::map<std::string, int> peers;
    for (const auto& swarm : session_.swarms()) {
        peers[swarm.authority] += swarm.peers;
    }
    if (peers.size() < 2) {
        return;
    }
    for (const auto& [authority, count] : peers) {
        log_event(LogLevel::info, "swarm.peers",
                  {{"authority", authority}, {"peers", std::to_string(count)}});
    }
}

net::awaitable<void> PackWatch::run(std::stop_token stop) {
    std::string seen = published_state();
    auto told = std::chrono::steady_clock::now();
    while (!stop.stop_requested()) {
        if (!unchecked_.empty()) {
            co_await check_next(stop);
        } else {
            co_await sleep_for(look_interval, stop);
        }
        if (tls_ && tls_generation_ != tls_->generation()) {
            co_await follow_authorities();
        }
        if (std::chrono::steady_clock::now() - told >= tell_interval) {
            told = std::chrono::steady_clock::now();
            tell_peers();
        }
        auto state = published_state();
        if (state == seen || stop.stop_requested()) {
            continue;
        }
        auto scanning = [this] { return scan(); };
        const auto changes = co_await run_blocking(pool_, std::move(scanning));
        if (changes) {
            seen = std::move(state);
            report(*changes);
        } else {
            log_event(LogLevel::error, "repository.scan_failed",
                      {{"why", describe(changes.error())}});
        }
    }
}

} // namespace slipway::seeder
