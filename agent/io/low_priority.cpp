#include "agent/io/low_priority.h"

#include <linux/ioprio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace slipway::agent {
namespace {

constexpr int nice_while_working = 10;
constexpr int lowest_level = 7;

} // namespace

void lower_priority() {
    // On Linux both are of the thread: setpriority(2), "C library/kernel differences"; 0 means it.
    (void)::setpriority(PRIO_PROCESS, 0, nice_while_working);
    (void)::syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0,
                    IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, lowest_level));
}

} // namespace slipway::agent
