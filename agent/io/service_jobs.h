#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "agent/core/install_machine.h"
#include "common/io/file_ops.h"

namespace slipway::agent {

/// How a job of a service ended.
struct Ended {
    std::string service;
    Event event;
};

/// What the working threads leave for the daemon's loop. Thread-safe.
class Mailbox {
public:
    Mailbox();
    /// Readable when there is something, or somebody rang.
    [[nodiscard]] int fd() const { return wake_.get(); }
    void put(Ended ended);
    void ring() const;
    [[nodiscard]] std::deque<Ended> take();

private:
    Fd wake_;
    std::mutex mutex_;
    std::deque<Ended> ended_;
};

/// The threads that work for one service. The last one begun is waited for; others were told to
/// stop. To be used by the daemon's loop only; the mailbox must outlive it.
class ServiceJobs {
public:
    using Work = std::function<std::optional<Event>(const std::stop_token&)>;
    /// Begins `work`, unless the job of that number was begun already. What it ends with goes to
    /// the mailbox, unless that is nothing or the job was told to stop.
    void begin(std::uint64_t number, const std::string& service, Mailbox& mailbox, Work work);
    void abandon(std::uint64_t number);
    /// Forgets jobs that are over.
    void sweep();
    [[nodiscard]] bool empty() const { return jobs_.empty(); }

private:
    struct Job {
        std::uint64_t number = 0;
        std::atomic<bool> over = false;
        std::jthread thread; ///< Last: it is joined before the rest goes.
    };
    std::list<Job> jobs_;
};

} // namespace slipway::agent
