#include "common/swarm/web_source.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>

#include "common/core/errc.h"
#include "common/io/http_client.h"

namespace slipway::swarm {
namespace {

// Long enough that a request's round trip is small beside its transfer, short enough that the last
// requests of several threads end together.
constexpr std::uint64_t run_bytes_max = 8ULL * 1024 * 1024;
constexpr std::chrono::milliseconds pause{250};

void sleep_until_stop(const std::stop_token& stop, std::chrono::milliseconds longest) {
    std::mutex mutex;
    std::condition_variable_any condition;
    std::unique_lock lock(mutex);
    condition.wait_for(lock, stop, longest, [] { return false; });
}

std::string source_name(const std::string& url) {
    return "web seed " + printable(url);
}

// Delivers the run's pieces that verify; false if one does not.
bool deliver_run(const WebJob& job, const Ledger::Run& run, ByteSpan bytes) {
    const auto& grid = job.ledger->grid();
    for (std::size_t piece = run.first; piece < run.first + run.count; ++piece) {
        const auto data = bytes.subspan(grid.offset(piece) - grid.offset(run.first),
                                        static_cast<std::size_t>(grid.bytes(piece)));
        if (piece_digest(data, grid) != job.layer[piece]) {
            job.ledger->piece_failed(piece);
            job.ledger->give_back({piece, run.first + run.count - piece});
            return false;
        }
        job.deliver(piece, Bytes(data.begin(), data.end()));
    }
    return true;
}

bool fetch_run(HttpClient& http, const WebJob& job, const std::string& url, const Ledger::Run& run,
               RateGate& gate, const std::stop_token& stop) {
    const auto& grid = job.ledger->grid();
    const auto last = run.first + run.count - 1;
    const auto bytes = grid.offset(last) + grid.bytes(last) - grid.offset(run.first);
    gate.pass(bytes, stop);
    const auto body =
        http.get_range(url, grid.offset(run.first), bytes,
                       {.body_bytes_max = bytes, .total_timeout = std::chrono::minutes{10}}, stop);
    if (!body) {
        job.ledger->note(source_name(url), describe(body.error()));
        job.ledger->give_back(run);
        return false;
    }
    job.ledger->block_received(grid.count(), bytes);
    if (!deliver_run(job, run, *body)) {
        job.ledger->note(source_name(url), "sent bytes that do not verify");
        job.ledger->ban(url);
        return false;
    }
    return true;
}

// Tries the job's servers in turn for one run; true if there was something to fetch and it came.
bool advance(HttpClient& http, const WebJob& job, RateGate& gate, const std::stop_token& stop) {
    for (const auto& url : job.urls) {
        if (stop.stop_requested() || job.ledger->banned().contains(url)) {
            continue;
        }
        const auto run = job.ledger->take_run(gate.portion(run_bytes_max));
        if (!run) {
            return false;
        }
        if (fetch_run(http, job, url, *run, gate, stop)) {
            return true;
        }
    }
    return false;
}

} // namespace

WebSource::WebSource(std::vector<WebJob> jobs, unsigned threads, RateGate& gate)
    : jobs_(std::move(jobs)), gate_(gate) {
    for (unsigned i = 0; i < threads; ++i) {
        threads_.emplace_back([this](const std::stop_token& stop) { work(stop); });
    }
}

WebSource::~WebSource() {
    for (auto& thread : threads_) {
        thread.request_stop();
    }
}

void WebSource::work(const std::stop_token& stop) {
    HttpClient http;
    while (!stop.stop_requested()) {
        bool moved = false;
        bool complete = true;
        for (const auto& job : jobs_) {
            complete = complete && job.ledger->complete();
            // A torrent that still starts would lose what is delivered.
            moved = (job.ledger->started() && advance(http, job, gate_, stop)) || moved;
        }
        if (complete) {
            return;
        }
        if (!moved) {
            sleep_until_stop(stop, pause);
        }
    }
}

} // namespace slipway::swarm
