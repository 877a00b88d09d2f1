#include "agent/io/self_restart.h"

#include <unistd.h>

#include "common/core/errc.h"

namespace slipway::agent {
namespace {

bool is_below(const std::filesystem::path& path, const std::filesystem::path& directory) {
    return path.native().starts_with(directory.native() + "/");
}

} // namespace

Result<SelfRestart> self_restart(const UnitStatus& unit, const ServicePaths& service,
                                 const ReleaseId& release) {
    if (unit.main_pid != ::getpid()) {
        return SelfRestart::other;
    }
    std::error_code error;
    const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
    const auto tree = std::filesystem::canonical(service.release(release), error);
    if (error) {
        return fail(error, "look at what this process runs");
    }
    if (is_below(program, tree)) {
        return SelfRestart::done;
    }
    // ExecSearchPath= finds a plain name in `current`, which is this release by now.
    const bool leads_there = unit.program.starts_with('/')
                                 ? is_below(unit.program, service.current())
                                 : std::filesystem::exists(tree / unit.program, error);
    if (!leads_there) {
        return fail(Errc::failed, unit.name + " would run " + unit.program +
                                      " again and not the release: ExecStart= must lead to a "
                                      "program that the release has below " +
                                      service.current().string());
    }
    return SelfRestart::due;
}

} // namespace slipway::agent
