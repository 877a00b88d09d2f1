#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <thread>

#include "common/api/swarm.h"
#include "common/io/http_client.h"
#include "common/swarm/assignments.h"

namespace slipway::agent {

struct SwarmCallerOptions {
    std::string url;           ///< Of a seeder that assigns peers.
    swarm::PeerAddress source; ///< Where that seeder itself shares.
    std::uint16_t port = 0;    ///< Where this host listens for peers.
    std::string zone;
    std::string region;
    std::shared_ptr<HttpTls> tls;
};

/// Keeps a seeder's tracker informed of how this host's swarms stand, and connects to the peers
/// that it assigns. One call is held at the seeder at nearly all times, so that a change reaches
/// this host at once; a change on this host breaks the call off and makes a new one.
///
/// Without an answer the swarms go on with the peers they have; after three calls in vain a host
/// that lacks something turns to the source itself.
///
/// Threads: its own two. The destructor says good-bye and joins them, within about a second.
class SwarmCaller {
public:
    SwarmCaller(SwarmCallerOptions options, std::shared_ptr<swarm::Assignments> assignments);
    ~SwarmCaller();
    SwarmCaller(const SwarmCaller&) = delete;
    SwarmCaller& operator=(const SwarmCaller&) = delete;

    [[nodiscard]] bool calls(const std::string& url, const swarm::PeerAddress& source) const {
        return options_.url == url && options_.source.ip == source.ip &&
               options_.source.port == source.port;
    }

private:
    void run(const std::stop_token& stop);
    void watch(const std::stop_token& stop);
    [[nodiscard]] api::SwarmCall make_call() const;
    [[nodiscard]] Result<api::SwarmAnswer>
    exchange(const api::SwarmCall& call, std::chrono::milliseconds patience, std::stop_token stop);
    void obey(const api::SwarmAnswer& answer);
    void without_tracker(const api::SwarmCall& call);
    void say_goodbye();
    void interrupt();
    /// False if it was interrupted.
    bool rest(std::chrono::milliseconds longest, const std::stop_token& stop);

    const SwarmCallerOptions options_;
    const std::shared_ptr<swarm::Assignments> assignments_;
    const std::string session_;
    std::uint64_t seen_ = 0;
    std::chrono::milliseconds wait_{0};
    std::map<std::string, std::set<std::string>> dialled_; ///< By swarm.
    unsigned failures_ = 0;
    HttpClient http_;

    std::mutex mutex_;
    std::condition_variable_any changed_;
    bool interrupted_ = false;
    std::optional<std::stop_source> call_; ///< The call in progress.
    std::jthread watcher_;
    std::jthread thread_; ///< Last: it uses the others.
};

} // namespace slipway::agent
