#include "agent/io/host_layout.h"

#include <algorithm>

#include "common/core/names.h"

namespace slipway::agent {
namespace fs = std::filesystem;

Result<std::vector<std::string>> HostLayout::service_names() const {
    std::vector<std::string> names;
    std::error_code ec;
    fs::directory_iterator it(services(), ec);
    if (ec == std::errc::no_such_file_or_directory) {
        return names;
    }
    for (; !ec && it != fs::directory_iterator(); it.increment(ec)) {
        auto name = it->path().filename().string();
        if (parse_service_name(name)) {
            names.push_back(std::move(name));
        }
    }
    if (ec) {
        return fail(ec, "list " + services().string());
    }
    std::ranges::sort(names);
    return names;
}

} // namespace slipway::agent
