#include "agent/io/read_back.h"

#include <algorithm>

#include "common/core/errc.h"
#include "common/io/parallel.h"

namespace slipway::agent {
namespace {

// A chunk that is at least as long is written by itself without a loss.
constexpr std::uint64_t large_bytes = 1024ULL * 1024;
// Beyond one a core: they wait for the disk most of the time.
constexpr unsigned more_threads = 4;

} // namespace

ReadBack::ReadBack(WalkerPool walkers, const Tree& tree, Progress& progress)
    : walkers_(std::move(walkers)), tree_(tree), progress_(progress) {
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
                                                  const Tree& tree, Progress& progress) {
    return WalkerPool::open(directory).map([&](WalkerPool walkers) {
        return std::unique_ptr<ReadBack>(new ReadBack(std::move(walkers), tree, progress));
    });
}

std::uint64_t ReadBack::bytes_of(FileChunk at) const {
    return chunk_length(tree_.entries[at.file].bytes, at.chunk);
}

void ReadBack::add(FileChunk at, bool is_new) {
    const auto bytes = bytes_of(at);
    {
        const std::scoped_lock lock(mutex_);
        waiting_bytes_ += bytes;
        if (is_new && bytes < large_bytes) {
            after_sync_.push_back({at, ReadFrom::disk});
            return;
        }
        ready_.push_back({at, is_new ? ReadFrom::disk : ReadFrom::cache});
    }
    changed_.notify_one();
}

void ReadBack::synced() {
    {
        const std::scoped_lock lock(mutex_);
        ready_.insert(ready_.end(), after_sync_.begin(), after_sync_.end());
        after_sync_.clear();
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
    const bool done = changed_.wait(lock, stop, [&] { return all_read(); });
    shows_progress_ = false;
    if (!done) {
        return fail(Errc::cancelled, "read the release back");
    }
    return std::exchange(faults_, {});
}

void ReadBack::work(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    while (changed_.wait(lock, stop, [&] { return !ready_.empty(); }) && !stop.stop_requested()) {
        const auto item = ready_.front();
        ready_.pop_front();
        ++reading_;
        lock.unlock();
        std::string wrong;
        const auto& path = tree_.entries[item.at.file].path;
        const auto walked = walkers_.at(path, [&](int parent, const char* name) -> Result<> {
            wrong = wrong_content(parent, name, tree_, item.at, item.from);
            return {};
        });
        if (!walked) {
            wrong = "its directory cannot be opened: " + walked.error().code.message();
        }
        lock.lock();
        --reading_;
        waiting_bytes_ -= bytes_of(item.at);
        if (shows_progress_) {
            progress_.add(bytes_of(item.at));
        }
        if (!wrong.empty() && faults_.size() < faults_max) {
            faults_.push_back({path, wrong, item.at.file});
        }
        if (all_read()) {
            changed_.notify_all();
        }
    }
}

} // namespace slipway::agent
