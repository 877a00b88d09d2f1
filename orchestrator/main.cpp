#include <cstdio>
#include <string_view>

#include "common/core/errc.h"

// The program exists so that packages and scripts can rely on its name. It drives no deployments
// yet, says so, and fails: a caller must never mistake it for one that did its work.
int main(int argc, char** argv) {
    const std::string_view argument = argc > 1 ? argv[1] : "";
    if (argument == "--version") {
        std::puts("slipway-orchestrator " SLIPWAY_VERSION);
        return static_cast<int>(slipway::ExitStatus::done);
    }
    std::fputs(
        "slipway-orchestrator: deployments over a fleet are not implemented in this version; "
        "install on one host with `slipway-agent install`\n",
        stderr);
    return static_cast<int>(argument.empty() ? slipway::ExitStatus::usage
                                             : slipway::ExitStatus::failed);
}
