#include "common/swarm/pack_session.h"

#include <system_error>

#include "common/core/errc.h"
#include "common/swarm/fetch.h"
#include "common/swarm/metainfo.h"
#include "common/swarm/torrents.h"

namespace slipway::swarm {

struct PackSession::State {
    std::unique_ptr<Torrents> torrents;
    RateGate web_gate;
};

PackSession::PackSession() : state_(std::make_unique<State>()) {}
PackSession::~PackSession() = default;

Result<std::unique_ptr<PackSession>> PackSession::start(const SessionOptions& options) {
    auto torrents = Torrents::start(options);
    if (!torrents) {
        return tl::unexpected(torrents.error());
    }
    std::unique_ptr<PackSession> session(new PackSession);
    session->state_->torrents = std::move(*torrents);
    session->state_->web_gate.set_rate(options.download_bytes_per_s_max);
    return session;
}

Result<> PackSession::seed(const PackId& pack, ByteSpan metainfo, const std::filesystem::path& file,
                           const std::vector<std::string>& trackers) {
    auto layer = verify_metainfo(metainfo, pack, "metainfo");
    if (!layer) {
        return tl::unexpected(layer.error());
    }
    std::error_code error;
    const auto bytes = std::filesystem::file_size(file, error);
    if (error) {
        return fail(error, "pack file " + file.string());
    }
    if (bytes != pack.bytes) {
        return fail(Errc::verification_failed, "pack file " + file.string() + " has " +
                                                   std::to_string(bytes) + " bytes instead of " +
                                                   std::to_string(pack.bytes));
    }
    // What was there may be a part of the pack, in another file.
    return state_->torrents->remove(pack).and_then([&] {
        return state_->torrents->seed({.pack = pack,
                                       .layer = std::move(*layer),
                                       .file = file,
                                       .trackers = trackers,
                                       .peers = {}});
    });
}

Result<> PackSession::follow_authorities() {
    return state_->torrents->follow_authorities();
}

std::vector<Sha256Digest> PackSession::info_hashes(const PackId& pack) const {
    std::vector<Sha256Digest> found;
    for (const auto& swarm : swarms()) {
        if (swarm.pack == pack) {
            found.push_back(swarm.info_hash);
        }
    }
    return found;
}

std::vector<SwarmStatus> PackSession::swarms() const {
    return state_->torrents->swarms();
}

Result<> PackSession::remove(const PackId& pack) {
    return state_->torrents->remove(pack);
}

Result<FetchReport> PackSession::fetch(const std::vector<FetchRequest>& requests,
                                       std::chrono::milliseconds patience,
                                       const std::function<void(std::uint64_t)>& progress,
                                       std::stop_token stop) {
    return Fetch(*state_->torrents, requests, patience, progress, std::move(stop), state_->web_gate)
        .run();
}

void PackSession::set_rates(std::uint64_t upload_bytes_per_s_max,
                            std::uint64_t download_bytes_per_s_max) {
    state_->torrents->set_rates(upload_bytes_per_s_max, download_bytes_per_s_max);
    state_->web_gate.set_rate(download_bytes_per_s_max);
}

std::shared_ptr<Assignments> PackSession::assignments() const {
    return state_->torrents->assignments();
}

std::uint16_t PackSession::port() const {
    return state_->torrents->port();
}

std::uint64_t PackSession::uploaded_bytes() const {
    return state_->torrents->uploaded_bytes();
}

} // namespace slipway::swarm
