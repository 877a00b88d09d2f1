#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/swarm/ledger.h"
#include "common/swarm/rate_gate.h"

namespace slipway::swarm {

/// One pack that plain web servers hold, and where its pieces go.
struct WebJob {
    std::vector<std::string> urls; ///< Of the pack itself, tried in turn.
    std::vector<Sha256Digest> layer;
    std::shared_ptr<Ledger> ledger;
    /// Takes a piece that was verified. Called from several threads.
    std::function<void(std::size_t piece, const Bytes& data)> deliver;
};

/// Fetches the lacking pieces of packs from web servers by byte ranges, verifies them, and delivers
/// them. A server whose bytes do not verify is banned in the ledger and not asked again; one that
/// does not answer is asked again after a pause. Works until every job is complete; the destructor
/// breaks transfers off and joins the threads.
///
/// Own code instead of libtorrent's web seeds because those (2.0.8) hold a reference across the
/// pop of its element (mended in 667046cfd), send no port in `Host`, wait 30 s after an error, and
/// cannot say what the error was.
class WebSource {
public:
    /// `gate` limits how fast all of its threads ask together, and must outlive it.
    WebSource(std::vector<WebJob> jobs, unsigned threads, RateGate& gate);
    ~WebSource();
    WebSource(const WebSource&) = delete;
    WebSource& operator=(const WebSource&) = delete;

private:
    void work(const std::stop_token& stop);

    const std::vector<WebJob> jobs_;
    RateGate& gate_;
    std::vector<std::jthread> threads_;
};

} // namespace slipway::swarm
