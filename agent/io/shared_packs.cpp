#include "agent/io/shared_packs.h"

#include <algorithm>
#include <ctime>

#include "agent/io/file_ops.h"
#include "agent/io/low_priority.h"
#include "agent/io/pack_stock.h"
#include "common/core/errc.h"
#include "common/io/log.h"

namespace slipway::agent {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds quota_period{60};
// What no release of this host needs is shared for a week, for hosts that are late.
constexpr std::int64_t unused_s_max = std::int64_t{7} * 24 * 3600;
constexpr std::chrono::milliseconds swarms_period{1'000};

} // namespace

/// The right to use the fetcher, and with it what is remembered of who has it.
class SharedPacks::Turn {
public:
    /// Errc::cancelled when `stop` comes first.
    static Result<std::unique_ptr<Turn>> take(SharedPacks& packs, const std::stop_token& stop) {
        std::unique_lock lock(packs.turn_mutex_);
        if (!packs.turn_free_.wait(lock, stop, [&] { return !packs.turn_taken_; })) {
            return fail(Errc::cancelled, "wait for another service's packs");
        }
        packs.turn_taken_ = true;
        packs.beat();
        return std::unique_ptr<Turn>(new Turn(packs));
    }
    ~Turn() {
        packs_.current_ = nullptr;
        packs_.beat();
        {
            const std::lock_guard lock(packs_.turn_mutex_);
            packs_.turn_taken_ = false;
        }
        packs_.turn_free_.notify_one();
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

private:
    explicit Turn(SharedPacks& packs) : packs_(packs) {}
    SharedPacks& packs_;
};

SharedPacks::SharedPacks(const HostLayout& host, Options options)
    : host_(host), options_(std::move(options)), progress_(ProgressStyle::none),
      fetcher_(host, options_.seeders, options_.fetcher, progress_), heard_of_(Clock::now()),
      quota_bytes_(options_.quota_bytes) {
    progress_.watch(this);
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

SharedPacks::~SharedPacks() = default;

SharedPacks::Use::~Use() {
    {
        const std::lock_guard lock(packs_.mutex_);
        for (const auto& id : used_) {
            if (--packs_.in_use_[id] == 0) {
                packs_.in_use_.erase(id);
            }
        }
        packs_.poke_ = true; // It may have brought more than the quota allows.
    }
    packs_.poked_.notify_all();
}

void SharedPacks::Use::note(const std::vector<PackRequest>& requests) {
    const std::lock_guard lock(packs_.mutex_);
    for (const auto& request : requests) {
        if (std::ranges::count(used_, request.pack) == 0) {
            used_.push_back(request.pack);
            ++packs_.in_use_[request.pack];
        }
    }
}

Result<std::vector<std::vector<Range>>>
SharedPacks::Use::missing(const std::vector<PackRequest>& requests, std::stop_token stop) {
    note(requests);
    return Turn::take(packs_, stop).and_then([&](const std::unique_ptr<Turn>& /*turn*/) {
        packs_.current_ = this;
        if (on_turn) {
            on_turn();
        }
        if (!std::exchange(asked_, true)) {
            packs_.begin_anew(packs_.fetcher_);
        }
        return packs_.fetcher_.missing(requests, stop);
    });
}

Result<> SharedPacks::Use::fetch(const std::vector<PackRequest>& requests, std::stop_token stop) {
    note(requests);
    return Turn::take(packs_, stop)
        .and_then([&](const std::unique_ptr<Turn>& /*turn*/) -> Result<> {
            if (!std::exchange(asked_, true)) {
                packs_.begin_anew(packs_.fetcher_);
            }
            packs_.current_ = this;
            if (on_turn) {
                on_turn();
            }
            const auto before = packs_.fetcher_.totals();
            auto done = packs_.fetcher_.fetch(requests, stop);
            const auto& after = packs_.fetcher_.totals();
            totals_.fetched_bytes += after.fetched_bytes - before.fetched_bytes;
            totals_.had_bytes += after.had_bytes - before.had_bytes;
            packs_.look_at_swarms();
            return done;
        })
        .map([&] {
            for (const auto& request : requests) {
                note_used(packs_.host_, request.pack);
            }
        });
}

// What was known of packs and seeders may not be true any more: files were removed or damaged,
// seeders started again. What verifies is still shared under the same torrent.
void SharedPacks::begin_anew(PackFetcher& fetcher) {
    fetcher.begin_anew();
}

void SharedPacks::noted(std::string_view text) {
    if (current_ != nullptr && current_->on_note) {
        current_->on_note(text);
    }
}

void SharedPacks::beat() {
    heard_of_ = Clock::now();
}

bool SharedPacks::is_alive() const {
    return Clock::now() - heard_of_.load() < options_.fetcher.patience + options_.silence_max;
}

void SharedPacks::added(std::uint64_t bytes) {
    beat();
    if (bytes == 0) {
        return; // Somebody is at work.
    }
    bool due = false; // Bytes come often.
    {
        const std::lock_guard lock(mutex_);
        status_.downloaded_bytes += bytes;
        due = Clock::now() - looked_at_ >= swarms_period;
    }
    if (current_ != nullptr && current_->on_bytes) {
        current_->on_bytes(bytes);
    }
    if (due) {
        look_at_swarms();
    }
}

// Called by who has the turn.
void SharedPacks::look_at_swarms() {
    {
        const std::lock_guard lock(mutex_);
        looked_at_ = Clock::now();
    }
    const auto swarms = fetcher_.swarms();
    const std::lock_guard lock(mutex_);
    status_.packs = swarms.size();
    status_.peers = 0;
    for (const auto& swarm : swarms) {
        status_.peers += static_cast<std::uint64_t>(std::max(0, swarm.peers));
    }
    status_.uploaded_bytes = fetcher_.uploaded_bytes();
}

void SharedPacks::set_limits(const Rates& rates) {
    {
        const std::lock_guard lock(mutex_);
        if (status_.limits == rates) {
            return;
        }
        status_.limits = rates;
        poke_ = true;
    }
    poked_.notify_all();
    log_event(LogLevel::info, "transfer.limits",
              {{"upload_bytes_per_s", std::to_string(rates.upload_bytes_per_s)},
               {"download_bytes_per_s", std::to_string(rates.download_bytes_per_s)}});
    fetcher_.set_rates(rates);
}

void SharedPacks::set_quota(std::uint64_t bytes) {
    {
        const std::lock_guard lock(mutex_);
        quota_bytes_ = bytes;
        poke_ = true;
    }
    poked_.notify_all();
}

SharingStatus SharedPacks::status() const {
    const std::lock_guard lock(mutex_);
    return status_;
}

void SharedPacks::run(const std::stop_token& stop) {
    lower_priority();
    share_what_is_there(stop);
    while (!stop.stop_requested()) {
        if (const auto turn = Turn::take(*this, stop); turn) {
            evict(stop);
            if (auto followed = fetcher_.follow_authorities(); !followed) {
                log_event(LogLevel::warning, "packs.unshared",
                          {{"why", describe(followed.error())}});
            }
            look_at_swarms();
        }
        std::unique_lock lock(mutex_);
        poked_.wait_for(lock, stop, quota_period, [this] { return poke_; });
        poke_ = false;
    }
}

void SharedPacks::share_what_is_there(const std::stop_token& stop) {
    for (const auto& pack : stocked_packs(host_)) {
        const auto turn = Turn::take(*this, stop);
        if (!turn) {
            return;
        }
        if (auto shared = fetcher_.share_stock(pack.id, pack.on_disk, stop); !shared) {
            log_event(LogLevel::warning, "packs.unshared",
                      {{"pack", pack.id.name()}, {"why", describe(shared.error())}});
        }
    }
}

void SharedPacks::evict(const std::stop_token& /*stop*/) {
    std::uint64_t quota = 0;
    {
        const std::lock_guard lock(mutex_);
        quota = quota_bytes_;
    }
    const auto stock = stocked_packs(host_);
    std::vector<KeptPack> packs;
    packs.reserve(stock.size());
    for (const auto& pack : stock) {
        packs.push_back(pack.kept);
    }
    auto pinned = pinned_packs(host_);
    {
        const std::lock_guard lock(mutex_);
        for (const auto& [id, uses] : in_use_) {
            pinned.insert(id.name());
        }
    }
    RealFileOps files;
    for (const auto& name :
         packs_to_evict(packs, pinned, quota, std::time(nullptr) - unused_s_max)) {
        const auto pack = std::ranges::find_if(
            stock, [&](const StockedPack& one) { return one.kept.name == name; });
        auto gone = fetcher_.forget(pack->id)
                        .and_then([&] { return files.remove(host_.pack(pack->id)); })
                        .and_then([&] { return files.remove(host_.metainfo(pack->id)); });
        log_event(gone ? LogLevel::info : LogLevel::warning, "pack.evicted",
                  {{"pack", name},
                   {"bytes", std::to_string(pack->kept.bytes)},
                   {"why", gone ? "no release needs it" : describe(gone.error())}});
        const std::lock_guard lock(mutex_);
        status_.evicted_packs += gone ? 1U : 0U;
    }
}

} // namespace slipway::agent
