#include "agent/io/upstream_client.h"

#include <algorithm>
#include <array>
#include <random>
#include <sys/eventfd.h>

#include <nlohmann/json.hpp>

#include "common/core/errc.h"
#include "common/core/numbers.h"
#include "common/io/log.h"
#include "common/io/random_digits.h"
#include "common/tls/peer_check.h"

namespace slipway::agent {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds answer_patience{5'000}; ///< Beyond what the request is held.
constexpr std::chrono::hours wait_most{1};
constexpr const char* epoch_key = "epoch";

std::int64_t unix_ms() {
    return std::max<std::int64_t>(0, std::chrono::duration_cast<milliseconds>(
                                         std::chrono::system_clock::now().time_since_epoch())
                                         .count());
}

/// The host's credentials, where nobody but an orchestrator may answer.
class OrchestratorsOnly final : public HttpTls {
public:
    explicit OrchestratorsOnly(std::shared_ptr<HttpTls> tls) : tls_(std::move(tls)) {}
    Result<> prepare(ssl_ctx_st* context, std::string& refusal) override {
        return tls_->prepare(context, refusal).map([&] { tls::check_orchestrator(context); });
    }

private:
    std::shared_ptr<HttpTls> tls_;
};

// {"error": {"code": "standby", "message": "..."}}
std::string reason_of(const HttpReply& reply) {
    const auto body = nlohmann::json::parse(as_text(reply.body), nullptr, false);
    const auto error = body.is_object() ? body.value("error", nlohmann::json()) : nlohmann::json();
    const auto message =
        error.is_object() ? error.value("message", nlohmann::json()) : nlohmann::json();
    return "status " + std::to_string(reply.status) +
           (message.is_string() ? ": " + message.get<std::string>() : std::string());
}

} // namespace

Result<std::unique_ptr<UpstreamClient>> UpstreamClient::start(const std::filesystem::path& root,
                                                              Options options) {
    if (!options.tls) {
        return fail(Errc::usage, "an orchestrator is asked with the host's certificate: [tls] in "
                                 "the configuration; `slipway-agent enroll` gets one");
    }
    options.tls = std::make_shared<OrchestratorsOnly>(options.tls);
    auto kept = Journal::open(root / "upstream");
    if (!kept) {
        return tl::unexpected(std::move(kept.error()));
    }
    auto events = EventQueue::open(root / "events", {}, random_digits(16));
    if (!events) {
        return tl::unexpected(std::move(events.error()));
    }
    for (const auto& fault : {kept->fault(), events->fault()}) {
        if (!fault.empty()) {
            log_event(LogLevel::warning, "upstream.damaged", {{"why", fault}});
        }
    }
    Fd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!wake) {
        return fail_errno("make an eventfd");
    }
    const auto known = kept->values().find(epoch_key);
    const auto epoch =
        known == kept->values().end() ? 0 : parse_number<std::uint64_t>(known->second).value_or(0);
    return std::unique_ptr<UpstreamClient>(new UpstreamClient(
        std::move(options), std::move(*kept), std::move(*events), epoch, std::move(wake)));
}

UpstreamClient::UpstreamClient(Options options, Journal kept, EventQueue events,
                               std::uint64_t epoch, Fd wake)
    : options_(std::move(options)), boot_(random_digits(16)),
      machine_({.urls = options_.urls.size(), .seed = std::random_device{}()}, epoch),
      kept_epoch_(epoch), kept_(std::move(kept)), events_(std::move(events)),
      wake_(std::move(wake)) {
    status_.since_unix_s = unix_ms() / 1'000;
    urgent_ = std::jthread([this](const std::stop_token& stop) { run(Line::urgent, stop); });
    held_ = std::jthread([this](const std::stop_token& stop) { run(Line::held, stop); });
}

UpstreamClient::~UpstreamClient() {
    held_.request_stop();
    urgent_.request_stop();
}

// --- What the daemon says.

std::optional<Result<api::Desired>> UpstreamClient::take() {
    eventfd_t count = 0;
    (void)::eventfd_read(wake_.get(), &count);
    const std::lock_guard lock(mutex_);
    if (!may_speak_) {
        may_speak_ = true;
        wake_lines();
    }
    auto order = std::exchange(order_, std::nullopt);
    return order ? std::optional(Result<api::Desired>(std::move(*order))) : std::nullopt;
}

void UpstreamClient::obeyed(const api::Desired& desired) {
    const std::lock_guard lock(mutex_);
    machine_.obeyed(desired.epoch, desired.generation);
    wake_lines();
}

void UpstreamClient::state_changed(const std::string& service, const InstallState& state) {
    const std::lock_guard lock(mutex_);
    const auto [found, is_new] = services_.try_emplace(service);
    auto& one = found->second;
    if (!is_new && one.state.running != state.running) {
        one.running_since_ms = static_cast<std::uint64_t>(unix_ms());
    }
    one.state = state;
    look_again(one);
}

void UpstreamClient::health_seen(const std::string& service, const ServiceHealth& health) {
    const std::lock_guard lock(mutex_);
    const auto found = services_.find(service);
    if (found != services_.end()) {
        found->second.health = health;
        look_again(found->second);
    }
}

void UpstreamClient::look_again(Service& service) {
    auto report = service_report(service.state, service.health, service.running_since_ms);
    if (report != service.report) {
        service.report = std::move(report);
        machine_.changed();
        wake_lines();
    }
}

void UpstreamClient::reported(const std::string& service, const Report& report) {
    const std::lock_guard lock(mutex_);
    const auto queued = events_.push({.id = 0,
                                      .at_ms = static_cast<std::uint64_t>(unix_ms()),
                                      .service = service,
                                      .kind = report.kind,
                                      .text = event_text(report)});
    if (!queued && !events_fail_) {
        log_event(LogLevel::warning, "upstream.events", {{"why", describe(queued.error())}});
    }
    events_fail_ = !queued;
    machine_.changed();
    wake_lines();
}

UpstreamStatus UpstreamClient::status() {
    const std::lock_guard lock(mutex_);
    auto status = status_;
    status.url = options_.urls.at(machine_.url());
    status.is_connected = machine_.is_connected();
    status.epoch = machine_.epoch();
    status.generation = machine_.generation();
    status.events_queued = events_.size();
    status.events_dropped = events_.dropped();
    return status;
}

// --- The lines.

void UpstreamClient::wake_lines() {
    ++changes_;
    changed_.notify_all();
}

void UpstreamClient::run(Line line, const std::stop_token& stop) {
    HttpClient http(options_.tls);
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested()) {
        const auto call = may_speak_ ? machine_.next(line, Clock::now()) : std::nullopt;
        if (!call) {
            wait(lock, line, stop);
            continue;
        }
        const auto report = make_report(*call);
        lock.unlock();
        auto answer = exchange(http, *call, report, stop);
        lock.lock();
        if (stop.stop_requested()) {
            return;
        }
        if (answer) {
            take_answer(*call, report, std::move(*answer));
        } else {
            machine_.failed(*call, Clock::now());
            take_failure(*call, describe(answer.error()));
        }
        wake_lines(); // What the other line is to do may be another thing now.
    }
}

void UpstreamClient::wait(std::unique_lock<std::mutex>& lock, Line line,
                          const std::stop_token& stop) {
    const auto most = Clock::now() + wait_most;
    const auto due = may_speak_ ? std::min(machine_.due(line), most) : most;
    changed_.wait_until(lock, stop, due, [this, seen = changes_] { return changes_ != seen; });
}

api::SyncReport UpstreamClient::make_report(const UpstreamCall& call) {
    api::SyncReport report;
    report.boot = boot_;
    report.number = call.revision;
    report.epoch = machine_.epoch();
    report.generation = machine_.generation();
    report.wait_ms = static_cast<std::uint64_t>(call.hold.count());
    report.labels = options_.labels;
    for (const auto& [name, service] : services_) {
        report.services.emplace(name, service.report);
    }
    report.stream = events_.stream();
    if (call.with_events) {
        auto events = events_.batch(api::sync_events_max);
        if (events) {
            report.events = std::move(*events);
        } else if (!std::exchange(events_fail_, true)) {
            log_event(LogLevel::warning, "upstream.events", {{"why", describe(events.error())}});
        }
    }
    api::fit_sync_report(report);
    return report;
}

Result<api::SyncAnswer> UpstreamClient::exchange(HttpClient& http, const UpstreamCall& call,
                                                 const api::SyncReport& report,
                                                 const std::stop_token& stop) const {
    const auto& base = options_.urls.at(call.url);
    const auto url = base + (base.ends_with('/') ? "v1/agents/sync" : "/v1/agents/sync");
    HttpLimits limits;
    limits.body_bytes_max = api::sync_body_bytes_max + 1'024;
    limits.total_timeout = call.hold + answer_patience;
    limits.stall_timeout = std::chrono::duration_cast<std::chrono::seconds>(limits.total_timeout) +
                           std::chrono::seconds(1);
    const HttpRequest request{.method = "POST", .body = api::encode_sync_report(report)};
    return http.request(url, request, limits, stop)
        .and_then([&](const HttpReply& reply) -> Result<api::SyncAnswer> {
            if (reply.status != 200) {
                return fail(Errc::unreachable, url + ": " + reason_of(reply));
            }
            return api::decode_sync_answer(reply.body, url);
        });
}

void UpstreamClient::take_answer(const UpstreamCall& call, const api::SyncReport& report,
                                 api::SyncAnswer answer) {
    const auto verdict = machine_.answered(call, answer, Clock::now());
    if (!verdict.refused.empty()) {
        const auto why = options_.urls.at(call.url) + ": " + verdict.refused;
        log_event(LogLevel::warning, "upstream.refused", {{"why", why}});
        take_failure(call, why);
        return;
    }
    ++status_.answers;
    status_.answered_unix_s = unix_ms() / 1'000;
    note_connection("");
    forget_events(report, answer.events_to);
    if (verdict.obey) {
        take_order(std::move(*answer.desired));
    }
}

void UpstreamClient::take_failure(const UpstreamCall& call, const std::string& why) {
    ++status_.failures;
    status_.error = why;
    if (call.line == Line::held) {
        note_connection(why);
    }
}

// Told when it changes, not with each call.
void UpstreamClient::note_connection(const std::string& why) {
    const bool is_connected = machine_.is_connected();
    if (is_connected == status_.is_connected && (is_connected || status_.failures != 1)) {
        return;
    }
    if (is_connected != status_.is_connected) {
        status_.since_unix_s = unix_ms() / 1'000;
    }
    status_.is_connected = is_connected;
    if (is_connected) {
        log_event(LogLevel::info, "upstream.connected",
                  {{"orchestrator", options_.urls.at(machine_.url())}});
    } else if (!why.empty()) {
        log_event(LogLevel::warning, "upstream.lost", {{"why", why}});
    }
}

void UpstreamClient::take_order(api::Desired desired) {
    if (desired.epoch > kept_epoch_) {
        const auto kept = kept_.put(epoch_key, std::to_string(desired.epoch));
        if (!kept) { // It is given again as long as it is not obeyed.
            log_event(LogLevel::error, "journal.failed", {{"why", describe(kept.error())}});
            return;
        }
        kept_epoch_ = desired.epoch;
    }
    order_ = std::move(desired);
    (void)::eventfd_write(wake_.get(), 1);
}

void UpstreamClient::forget_events(const api::SyncReport& report, std::uint64_t to) {
    if (report.events.empty() || to < report.events.front().id) {
        return;
    }
    // What was not sent is not taken, whatever the answer says.
    const auto forgotten = events_.forget(std::min(to, report.events.back().id));
    if (!forgotten && !std::exchange(events_fail_, true)) {
        log_event(LogLevel::warning, "upstream.events", {{"why", describe(forgotten.error())}});
    }
    if (events_.size() > 0) {
        machine_.changed(); // The next ones.
    }
}

} // namespace slipway::agent
