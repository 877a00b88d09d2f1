#include "agent/io/swarm_caller.h"

#include <algorithm>
#include <random>
#include <utility>

#include "common/core/errc.h"
#include "common/io/log.h"
#include "common/io/random_digits.h"

namespace slipway::agent {
namespace {

// Changes that come together are told together.
constexpr std::chrono::milliseconds call_interval{100};
constexpr std::chrono::milliseconds trouble_interval{1'000};
constexpr std::chrono::milliseconds look_interval{250};
constexpr std::chrono::milliseconds answer_patience{5'000}; ///< Beyond what the call is held.
constexpr std::chrono::milliseconds goodbye_patience{500};
constexpr std::chrono::milliseconds retry_min{500};
constexpr std::chrono::milliseconds retry_max{15'000};
constexpr unsigned failures_before_source = 3;

std::chrono::milliseconds retry_after(unsigned failures) {
    const auto delay = retry_min * (1U << std::min(failures, 5U));
    // Hosts that lost the same tracker must not all come back at once.
    const auto spread = static_cast<int>(std::random_device{}() % 100);
    return std::min(delay, retry_max) * (75 + spread / 2) / 100;
}

bool in_trouble(const swarm::Standing& standing) {
    return standing.starving || !standing.bad.empty();
}

} // namespace

SwarmCaller::SwarmCaller(SwarmCallerOptions options,
                         std::shared_ptr<swarm::Assignments> assignments)
    : options_(std::move(options)), assignments_(std::move(assignments)),
      session_(random_digits(16)), http_(options_.tls) {
    assignments_->on_change([this] { interrupt(); });
    watcher_ = std::jthread([this](const std::stop_token& stop) { watch(stop); });
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

SwarmCaller::~SwarmCaller() {
    assignments_->on_change({});
    watcher_.request_stop();
    thread_.request_stop();
    interrupt();
}

void SwarmCaller::interrupt() {
    const std::lock_guard lock(mutex_);
    interrupted_ = true;
    if (call_) {
        call_->request_stop();
    }
    changed_.notify_all();
}

bool SwarmCaller::rest(std::chrono::milliseconds longest, const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    return !changed_.wait_for(lock, stop, longest, [this] { return interrupted_; });
}

// A swarm that stands still ends the call that is held, at most once a second.
void SwarmCaller::watch(const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any never;
    auto told = std::chrono::steady_clock::now();
    while (!stop.stop_requested()) {
        std::unique_lock lock(mutex);
        never.wait_for(lock, stop, look_interval, [] { return false; });
        const auto now = std::chrono::steady_clock::now();
        if (now - told >= trouble_interval && assignments_->trouble()) {
            told = now;
            interrupt();
        }
    }
}

api::SwarmCall SwarmCaller::make_call() const {
    api::SwarmCall call{.session = session_,
                        .port = options_.port,
                        .seen = seen_,
                        .wait = wait_,
                        .zone = options_.zone,
                        .region = options_.region,
                        .swarms = {}};
    for (auto& standing : assignments_->standings()) {
        if (in_trouble(standing)) {
            call.wait = std::chrono::milliseconds(0);
        }
        if (call.swarms.size() < api::swarms_of_call_max) {
            call.swarms.push_back({.swarm = std::move(standing.swarm),
                                   .lacks = standing.lacks,
                                   .starving = standing.starving,
                                   .bad = std::move(standing.bad)});
        }
    }
    return call;
}

Result<api::SwarmAnswer> SwarmCaller::exchange(const api::SwarmCall& call,
                                               std::chrono::milliseconds patience,
                                               std::stop_token stop) {
    const auto url = options_.url + (options_.url.ends_with('/') ? "v1/swarms" : "/v1/swarms");
    HttpLimits limits;
    limits.body_bytes_max = api::swarm_body_bytes_max;
    limits.total_timeout = call.wait + patience;
    limits.stall_timeout = std::chrono::duration_cast<std::chrono::seconds>(limits.total_timeout) +
                           std::chrono::seconds(1);
    const HttpRequest request{.method = "POST", .body = api::encode_swarm_call(call)};
    return http_.request(url, request, limits, std::move(stop))
        .and_then([&](const HttpReply& reply) -> Result<api::SwarmAnswer> {
            if (reply.status != 200) {
                return fail(Errc::unreachable, url + ": status " + std::to_string(reply.status));
            }
            return api::decode_swarm_answer(reply.body, url);
        });
}

void SwarmCaller::run(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
        std::stop_source breaking;
        {
            const std::lock_guard lock(mutex_);
            interrupted_ = false;
            call_ = breaking;
        }
        const auto call = make_call();
        auto answer = exchange(call, answer_patience, breaking.get_token());
        {
            const std::lock_guard lock(mutex_);
            call_.reset();
        }
        if (stop.stop_requested()) {
            break;
        }
        if (answer) {
            failures_ = 0;
            obey(*answer);
            rest(call_interval, std::stop_token(stop));
        } else if (answer.error().code != Errc::cancelled) {
            if (++failures_ == failures_before_source) {
                log_event(LogLevel::warning, "swarm.tracker_lost",
                          {{"seeder", options_.url}, {"why", describe(answer.error())}});
            }
            wait_ = std::chrono::milliseconds(0);
            without_tracker(call);
            rest(retry_after(failures_), stop);
        } else {
            wait_ = std::chrono::milliseconds(0); // Something changed here: it is told at once.
        }
    }
    say_goodbye();
}

void SwarmCaller::obey(const api::SwarmAnswer& answer) {
    seen_ = answer.generation;
    wait_ = std::min(answer.call, api::swarm_wait_max);
    std::map<std::string, std::set<std::string>> assigned;
    for (const auto& orders : answer.swarms) {
        auto& now = assigned[orders.swarm];
        const auto& before = dialled_[orders.swarm];
        std::vector<swarm::PeerAddress> fresh;
        for (const auto& peer : orders.dial) {
            if (const auto place = api::parse_peer(peer);
                place && now.insert(peer).second && !before.contains(peer)) {
                fresh.push_back({place->ip, place->port});
            }
        }
        const auto source = api::peer_text(options_.source.ip, options_.source.port);
        if (orders.source && now.insert(source).second && !before.contains(source)) {
            fresh.push_back(options_.source);
        }
        assignments_->connect(orders.swarm, fresh);
    }
    dialled_ = std::move(assigned);
}

void SwarmCaller::without_tracker(const api::SwarmCall& call) {
    if (failures_ < failures_before_source) {
        return;
    }
    for (const auto& report : call.swarms) {
        if (report.lacks > 0) {
            assignments_->connect(report.swarm, {options_.source});
        }
    }
}

// The tracker need not find out by waiting.
void SwarmCaller::say_goodbye() {
    const api::SwarmCall call{
        .session = session_, .port = options_.port, .zone = {}, .region = {}, .swarms = {}};
    (void)exchange(call, goodbye_patience, {}); // It finds out by itself in the end.
}

} // namespace slipway::agent
