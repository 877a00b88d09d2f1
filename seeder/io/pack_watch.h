#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "common/format/pack.h"
#include "common/io/asio.h"
#include "common/swarm/pack_session.h"

namespace slipway::seeder {

/// Shares every pack of a repository and notices packs that are published or removed while it runs.
///
/// A pack is shared as soon as its metainfo and length are right, and hashed once in the
/// background; one whose bytes do not have its root is named in the log and shared no longer.
/// When the fleet's authorities change, every pack joins the swarms of new ones and leaves those of
/// old ones; while there are several, the log says each minute how many peers each one has.
/// Threads: run() is a coroutine of the io thread; disks and the session are touched on a pool
/// thread.
class PackWatch {
public:
    struct Callbacks {
        /// An info-hash that is shared from now on, or no longer. On the io thread.
        std::function<void(const Sha256Digest&)> joined;
        std::function<void(const Sha256Digest&)> left;
    };
    /// `session` and `pool` must outlive the coroutine. `tls`: that of the session; may be null.
    PackWatch(std::filesystem::path repository, swarm::PackSession& session,
              std::shared_ptr<const swarm::SwarmTls> tls, net::thread_pool& pool,
              Callbacks callbacks);

    /// Shares what is there at the time of the call. Blocking. Error: the directory cannot be read.
    [[nodiscard]] Result<> scan_now();

    net::awaitable<void> run(std::stop_token stop);

private:
    struct Changes {
        std::vector<PackId> added;
        std::vector<PackId> removed;
    };
    [[nodiscard]] Result<Changes> scan();
    [[nodiscard]] Result<PackId> share(const std::string& name);
    [[nodiscard]] Result<> check_bytes(const PackId& pack, std::stop_token stop) const;
    void report(const Changes& changes);
    /// Tells of swarms that were joined or left since the last call.
    void follow_swarms();
    net::awaitable<void> check_next(std::stop_token stop);
    net::awaitable<void> follow_authorities();
    void tell_peers() const;
    [[nodiscard]] std::string published_state() const;

    std::filesystem::path repository_;
    swarm::PackSession& session_;
    std::shared_ptr<const swarm::SwarmTls> tls_;
    std::uint64_t tls_generation_ = 0;
    std::set<Sha256Digest> swarms_; ///< That were told of.
    net::thread_pool& pool_;
    Callbacks callbacks_;
    std::map<std::string, PackId> shared_;       ///< By file name.
    std::map<std::string, std::string> refused_; ///< By file name: why, so that it is said once.
    std::vector<PackId> unchecked_;
};

} // namespace slipway::seeder
