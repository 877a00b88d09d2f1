#include "agent/io/service_jobs.h"

#include <algorithm>
#include <sys/eventfd.h>
#include <utility>

namespace slipway::agent {

Mailbox::Mailbox() : wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void Mailbox::put(Ended ended) {
    {
        const std::lock_guard lock(mutex_);
        ended_.push_back(std::move(ended));
    }
    ring();
}

void Mailbox::ring() const {
    (void)::eventfd_write(wake_.get(), 1);
}

std::deque<Ended> Mailbox::take() {
    eventfd_t count = 0;
    (void)::eventfd_read(wake_.get(), &count);
    const std::lock_guard lock(mutex_);
    return std::exchange(ended_, {});
}

void ServiceJobs::begin(std::uint64_t number, const std::string& service, Mailbox& mailbox,
                        Work work) {
    if (std::ranges::any_of(jobs_, [&](const Job& job) { return job.number == number; })) {
        return;
    }
    auto& job = jobs_.emplace_back();
    job.number = number;
    job.thread = std::jthread(
        [&job, &mailbox, service, work = std::move(work)](const std::stop_token& stop) {
            auto event = work(stop);
            job.over = true;
            if (event && !stop.stop_requested()) {
                mailbox.put({service, std::move(*event)});
            }
        });
}

void ServiceJobs::abandon(std::uint64_t number) {
    for (auto& job : jobs_) {
        if (job.number == number) {
            job.thread.request_stop();
        }
    }
}

void ServiceJobs::sweep() {
    std::erase_if(jobs_, [](const Job& job) { return job.over.load(); });
}

} // namespace slipway::agent
