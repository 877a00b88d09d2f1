#include "agent/io/read_back.h"

#include <algorithm>
#include <unistd.h>
#include <utility>

#include "agent/io/seal_key.h"
#include "common/core/errc.h"
#include "common/io/parallel.h"

namespace slipway::agent {
namespace {

// A chunk that is at least as long is written by itself without a loss.
constexpr std::uint64_t large_bytes = 1024ULL * 1024;
// So much is worth a sync of its own: the disk works while the rest is being decoded.
constexpr std::uint64_t sync_bytes = 128ULL * 1024 * 1024;
// Beyond one a core: they wait for the disk most of the time.
constexpr unsigned more_threads = 4;

} // namespace

ReadBack::ReadBack(WalkerPool walkers, const Tree& tree, const SealKey& key, Progress& progress)
    : walkers_(std::move(walkers)), tree_(tree), key_(key), progress_(progress),
      first_seals_(tree.entries.size()) {
    std::size_t count = 0;
    for (const auto number : tree_.files) {
        first_seals_[number] = count;
        count += tree_.entries[number].chunks.size();
    }
    seals_.resize(count);
    for (unsigned i = 0; i < worker_count() + more_threads; ++i) {
        threads_.emplace_back([this](const std::stop_token& stop) { work(stop); });
    }
}

ReadBack::~ReadBack() {
    for (auto& thread : threads_) {
        thread.request_stop(); // All of them, before the first is waited for.
    }
}

Result<std::unique_ptr<ReadBack>> ReadBack::start(const std::filesystem::path& directory,
                                                  const Tree& tree, const SealKey& key,
                                                  Progress& progress) {
    return WalkerPool::open(directory).map([&](WalkerPool walkers) {
        return std::unique_ptr<ReadBack>(new ReadBack(std::move(walkers), tree, key, progress));
    });
}

std::uint64_t ReadBack::bytes_of(FileChunk at) const {
    return chunk_length(tree_.entries[at.file].bytes, at.chunk);
}

void ReadBack::add(const PlacedChunk& placed) {
    const FileChunk at{placed.file, placed.chunk};
    const auto bytes = bytes_of(at);
    auto seal = placed.seal;
    if (!placed.bytes.empty()) {
        Sealing sealing(key_);
        sealing.begin(fresh_nonce(), tree_.entries[at.file].chunks[at.chunk]);
        sealing.update(placed.bytes);
        seal = sealing.end();
    }
    {
        const std::scoped_lock lock(mutex_);
        seals_[seal_of(at)] = seal;
        waiting_bytes_ += bytes;
        if (placed.is_new && bytes < large_bytes) {
            after_sync_.push_back({at, ReadFrom::disk});
            after_sync_bytes_ += bytes;
            if (!must_write()) {
                return;
            }
        } else {
            ready_.push_back({at, placed.is_new ? ReadFrom::disk : ReadFrom::cache});
        }
    }
    changed_.notify_one();
}

void ReadBack::synced() {
    {
        const std::scoped_lock lock(mutex_);
        ready_.insert(ready_.end(), after_sync_.begin(), after_sync_.end());
        after_sync_.clear();
        after_sync_bytes_ = 0;
    }
    changed_.notify_all();
}

std::uint64_t ReadBack::waiting_bytes() const {
    const std::scoped_lock lock(mutex_);
    return waiting_bytes_;
}

Result<std::vector<TreeFault>> ReadBack::finish(std::stop_token stop, std::uint64_t phase_bytes) {
    std::unique_lock lock(mutex_);
    progress_.add(phase_bytes - std::min(phase_bytes, waiting_bytes_));
    shows_progress_ = true;
    const bool done = changed_.wait(lock, std::move(stop), [&] { return all_read(); });
    shows_progress_ = false;
    if (!done) {
        return fail(Errc::cancelled, "read the release back");
    }
    return std::exchange(faults_, {});
}

CheckedContent ReadBack::read(FileChunk at, ReadFrom from, Sealing& sealing, const Seal& known) {
    CheckedContent checked;
    const auto walked =
        walkers_.at(tree_.entries[at.file].path, [&](int parent, const char* name) -> Result<> {
            checked = check_content(parent, name, tree_, at, from, sealing, known);
            return {};
        });
    if (!walked) {
        checked.wrong = "its directory cannot be opened: " + walked.error().code.message();
    }
    return checked;
}

bool ReadBack::must_write() const {
    return after_sync_bytes_ >= sync_bytes && !writing_;
}

void ReadBack::write_waiting(std::unique_lock<std::mutex>& lock) {
    writing_ = true;
    auto written = std::exchange(after_sync_, {});
    after_sync_bytes_ = 0;
    lock.unlock();
    // If it fails, so will the sync of the whole release; reading from the disk is right anyway.
    (void)::syncfs(walkers_.root());
    lock.lock();
    ready_.insert(ready_.end(), written.begin(), written.end());
    writing_ = false;
    changed_.notify_all();
}

void ReadBack::read_next(std::unique_lock<std::mutex>& lock, Sealing& sealing) {
    const auto item = ready_.front();
    ready_.pop_front();
    ++reading_;
    const auto known = seals_[seal_of(item.at)];
    lock.unlock();
    auto checked = read(item.at, item.from, sealing, known);
    lock.lock();
    --reading_;
    seals_[seal_of(item.at)] = checked.seal;
    waiting_bytes_ -= bytes_of(item.at);
    if (shows_progress_) {
        progress_.add(bytes_of(item.at));
    }
    if (!checked.wrong.empty() && faults_.size() < faults_max) {
        faults_.push_back(
            {tree_.entries[item.at.file].path, std::move(checked.wrong), item.at.file});
    }
    if (all_read()) {
        changed_.notify_all();
    }
}

void ReadBack::work(const std::stop_token& stop) {
    Sealing sealing(key_);
    std::unique_lock lock(mutex_);
    while (changed_.wait(lock, stop, [&] { return must_write() || !ready_.empty(); }) &&
           !stop.stop_requested()) {
        if (must_write()) {
            write_waiting(lock);
        } else {
            read_next(lock, sealing);
        }
    }
}

} // namespace slipway::agent
