#include "orchestrator/io/orchestrator.h"

#include <chrono>
#include <filesystem>
#include <optional>

#include <sys/resource.h>

#include "common/core/errc.h"
#include "common/http/enroll_desk.h"
#include "common/io/blocking.h"
#include "common/io/log.h"
#include "common/io/random_digits.h"
#include "orchestrator/io/api.h"
#include "orchestrator/io/gate_runner.h"

namespace slipway::orchestrator {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t connections_max = 100'000;
constexpr std::chrono::hours prune_each{1};
constexpr std::int64_t events_kept_ms = 14LL * 24 * 60 * 60 * 1'000;

std::int64_t unix_ms() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

Instant now() {
    return {unix_ms(),
            std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now().time_since_epoch())
                .count()};
}

std::vector<Receiver> receivers_of(const OrchestratorConfig& config) {
    std::vector<Receiver> receivers;
    receivers.reserve(config.receivers.size());
    for (const auto& [name, hook] : config.receivers) {
        receivers.push_back({name,
                             {.url = hook.url,
                              .plain_http = hook.plain_http,
                              .secret_file = hook.secret_file,
                              .ca_file = hook.ca_file},
                             hook.kinds});
    }
    return receivers;
}

/// An orchestrator's certificate has to say so: agents take orders from no other.
Result<std::shared_ptr<tls::Credentials>> load_credentials(const OrchestratorConfig& config) {
    const tls::TlsFiles files{config.tls.certificate, config.tls.key, config.tls.authority,
                              config.tls.revoked};
    if (!files.given()) {
        return fail(Errc::usage, "an orchestrator needs a certificate: --tls-cert, --tls-key and "
                                 "--tls-ca, or [tls] in its configuration");
    }
    auto loaded = tls::Credentials::load(files);
    if (loaded && (*loaded)->self().role != Role::orchestrator) {
        return fail(Errc::usage, "the certificate " + config.tls.certificate + " is of " +
                                     (*loaded)->self().text() + ", not of an orchestrator");
    }
    return loaded;
}

/// A connection of each agent is a descriptor; the usual soft limit is 1024.
void raise_descriptor_limit() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

class Orchestrator {
public:
    Orchestrator(const OrchestratorConfig& config,
                 const std::shared_ptr<tls::Credentials>& credentials, std::unique_ptr<Store> store)
        : config_(config), store_(std::move(store)), name_(credentials->self().name),
          leadership_(*store_, {.holder = name_ + "-" + random_digits(8)}),
          driver_(io_, *store_, writer_, {.receivers = receivers_of(config), .now = now}, sinks()),
          gates_(io_, askers_,
                 {.prometheus = config.prometheus,
                  .hooks = config.gates,
                  .now_unix_ms = unix_ms,
                  .store = store_.get(),
                  .epoch = [this] { return driver_.epoch(); }},
                 [this](GateSaid said) { driver_.submit({.event = std::move(said)}); }),
          agents_(driver_, *store_, writer_, metrics_,
                  {.idle = std::chrono::milliseconds(config.idle_ms),
                   .now_unix_ms = unix_ms,
                   .is_held = [this] { return leadership_.is_held(Clock::now()); },
                   .metrics =
                       [this](const std::string& host, std::vector<api::MetricReport> metrics) {
                           gates_.comparer().board().take(host, std::move(metrics),
                                                          static_cast<std::uint64_t>(unix_ms()));
                       }}),
          catalog_({.repository = config.repository,
                    .trusted_root = config.trust,
                    .directory = std::filesystem::path(config.state) / "trust",
                    .tls = credentials}),
          api_({.store = *store_,
                .driver = driver_,
                .leadership = leadership_,
                .feed = feed_,
                .agents = agents_,
                .metrics = metrics_,
                .catalog = catalog_,
                .catalog_thread = catalog_thread_,
                .readers = readers_,
                .now_unix_ms = unix_ms,
                .name = name_,
                .prometheus = config.prometheus}),
          server_(
              {.connections_max = connections_max,
               .credentials = credentials,
               .half_open = {.all = 2'048, .of_one_address = 1'024},
               .opened = [this] { metrics_.connection_opened(); },
               .closed = [this] { metrics_.connection_closed(); }},
              {.answer = [this](Asked asked) { return api_.answer(std::move(asked)); },
               .watch = [this](http::Exchange& exchange,
                               Asked asked) { return api_.watch(exchange, std::move(asked)); }}) {}

    Result<> listen(ListeningAddresses& addresses);
    Result<> run(const std::function<void(const ListeningAddresses&)>& listening);

private:
    DriverSinks sinks();
    net::awaitable<void> take_terms(std::stop_token stop);
    net::awaitable<Result<>> serve_term(Lease lease, std::stop_token stop);
    net::awaitable<void> keep_lease(std::uint64_t token, std::stop_source term, bool& is_over);
    net::awaitable<void> watch_hosts(std::stop_token term);
    net::awaitable<void> prune(std::stop_token stop);

    const OrchestratorConfig& config_;
    net::io_context io_{1};
    std::unique_ptr<Store> store_;
    std::string name_;
    OrchestratorMetrics metrics_;
    EventFeed feed_{{}};
    std::unique_ptr<Notifier> notifier_;
    std::stop_source stop_;
    Result<> ended_;
    Leadership leadership_;
    net::thread_pool writer_{1};
    net::thread_pool readers_{2};
    net::thread_pool askers_{4};
    net::thread_pool catalog_thread_{1};
    Driver driver_;
    GateRunner gates_;
    AgentDesk agents_;
    ReleaseCatalog catalog_;
    Api api_;
    ApiServer server_;
    std::optional<http::EnrollDesk> enroll_desk_;
};

DriverSinks Orchestrator::sinks() {
    return {.ordered = [this](const std::string& host) { agents_.wake(host); },
            .ask_gate = [this](AskGate gate) { gates_.ask(std::move(gate)); },
            .notified =
                [this] {
                    if (notifier_) {
                        notifier_->wake();
                    }
                },
            .recorded =
                [this](const std::vector<LogRecord>& records) {
                    feed_.publish(records);
                    for (const auto& record : records) {
                        if (record.kind == "batch_passed" || record.kind == "deployment_ended") {
                            gates_.comparer().forget(record.deployment);
                        }
                    }
                },
            .begun =
                [this](std::uint64_t position) {
                    feed_.begin_at(position);
                    gates_.comparer().begin();
                    agents_.begin(driver_.hosts());
                },
            .committed =
                [this](std::size_t records, std::chrono::duration<double> took) {
                    took.count() > 0 ? metrics_.committed(records, took) : metrics_.commit_failed();
                }};
}

// NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters): serve_term() waits for it.
net::awaitable<void> Orchestrator::keep_lease(std::uint64_t token, std::stop_source term,
                                              bool& is_over) {
    co_await leadership_.keep(token, term.get_token());
    term.request_stop();
    is_over = true;
}
// NOLINTEND(cppcoreguidelines-avoid-reference-coroutine-parameters)

net::awaitable<void> Orchestrator::watch_hosts(std::stop_token term) {
    for (int looks = 0; !term.stop_requested();) {
        co_await sleep_for(std::chrono::milliseconds(100), term);
        agents_.check(Clock::now());
        if (++looks % 10 == 0) {
            const auto counts = driver_.counts();
            metrics_.hosts(counts.hosts, counts.lost);
            metrics_.deployments(counts.active);
        }
    }
}

net::awaitable<Result<>> Orchestrator::serve_term(Lease lease, std::stop_token stop) {
    log_event(LogLevel::info, "term.begun", {{"epoch", std::to_string(lease.token)}});
    auto notifier = Notifier::start(*store_, receivers_of(config_), {.now_unix_ms = unix_ms});
    if (!notifier) {
        co_return tl::unexpected(notifier.error());
    }
    notifier_ = std::move(*notifier);
    std::stop_source term;
    const std::stop_callback end{stop, [&term] { term.request_stop(); }};
    bool is_kept = false;
    net::co_spawn(io_, keep_lease(lease.token, term, is_kept), rethrow);
    net::co_spawn(io_, watch_hosts(term.get_token()), rethrow);
    metrics_.driving(true);
    auto is_held = [this] { return leadership_.is_held(Clock::now()); };
    auto driven = co_await driver_.drive(lease, std::move(is_held), term.get_token());
    metrics_.driving(false);
    term.request_stop();
    agents_.end();
    feed_.wake_all();
    notifier_.reset();
    while (!is_kept) { // NOLINT(bugprone-infinite-loop): keep_lease() sets it.
        co_await sleep_for(std::chrono::milliseconds(5), std::stop_token());
    }
    log_event(LogLevel::info, "term.ended", {{"epoch", std::to_string(lease.token)}});
    co_return driven;
}

net::awaitable<void> Orchestrator::take_terms(std::stop_token stop) {
    while (!stop.stop_requested()) {
        auto lease = co_await leadership_.campaign(stop);
        if (!lease) {
            break;
        }
        const auto served = co_await serve_term(*lease, stop);
        if (served) {
            continue;
        }
        log_event(LogLevel::error, "term.failed", {{"why", describe(served.error())}});
        if (served.error().code != StoreErrc::unreachable) {
            ended_ = tl::unexpected(served.error());
            stop_.request_stop();
        }
    }
}

net::awaitable<void> Orchestrator::prune(std::stop_token stop) {
    while (!stop.stop_requested()) {
        if (driver_.is_driving()) {
            auto work = [this, at = unix_ms()] {
                return store_->prune(
                    {.now_unix_ms = at, .events_before_unix_ms = at - events_kept_ms});
            };
            const auto pruned = co_await run_blocking(writer_, std::move(work));
            if (!pruned) {
                log_event(LogLevel::warning, "store.not_pruned",
                          {{"why", describe(pruned.error())}});
            }
        }
        co_await sleep_for(prune_each, stop);
    }
}

Result<> Orchestrator::listen(ListeningAddresses& addresses) {
    const auto address = http::parse_listen_address(config_.listen);
    if (!address) {
        return tl::unexpected(address.error());
    }
    if (auto bound = server_.listen(io_, *address); !bound) {
        return bound;
    }
    addresses.api = http::host_port(address->ip, server_.port());
    if (config_.enroll.listen.empty()) {
        return {};
    }
    const auto& enroll = config_.enroll;
    const auto desk_address = http::parse_listen_address(enroll.listen);
    if (!desk_address) {
        return tl::unexpected(desk_address.error());
    }
    enroll_desk_.emplace(http::EnrollOptions{enroll.authority, std::chrono::days(enroll.days)});
    if (auto bound = enroll_desk_->listen(io_, *desk_address); !bound) {
        return tl::unexpected(within("enroll", bound.error()));
    }
    addresses.enroll = http::host_port(desk_address->ip, enroll_desk_->port());
    return {};
}

Result<> Orchestrator::run(const std::function<void(const ListeningAddresses&)>& listening) {
    ListeningAddresses addresses;
    if (auto bound = listen(addresses); !bound) {
        return bound;
    }
    net::signal_set signals(io_, SIGINT, SIGTERM);
    signals.async_wait([this](const auto& /*error*/, int /*signal*/) { stop_.request_stop(); });
    const std::stop_callback no_more_signals{stop_.get_token(), [&] {
                                                 signals.cancel();
                                                 gates_.stop();
                                             }};
    net::co_spawn(io_, server_.serve(stop_.get_token()), rethrow);
    net::co_spawn(io_, take_terms(stop_.get_token()), rethrow);
    net::co_spawn(io_, prune(stop_.get_token()), rethrow);
    if (enroll_desk_) {
        net::co_spawn(io_, enroll_desk_->serve(stop_.get_token()), rethrow);
    }
    listening(addresses);
    io_.run();
    // What still runs on the threads uses what is destroyed next.
    for (auto* pool : {&askers_, &catalog_thread_, &readers_, &writer_}) {
        pool->stop();
        pool->join();
    }
    return ended_;
}

} // namespace

Result<> run_orchestrator(const OrchestratorConfig& config,
                          const std::function<void(const ListeningAddresses&)>& listening) {
    auto credentials = load_credentials(config);
    if (!credentials) {
        return tl::unexpected(credentials.error());
    }
    auto store = open_store(config.database);
    if (!store) {
        return tl::unexpected(
            within("database " + without_password(config.database), store.error()));
    }
    raise_descriptor_limit();
    Orchestrator orchestrator(config, *credentials, std::move(*store));
    return orchestrator.run(listening);
}

} // namespace slipway::orchestrator
