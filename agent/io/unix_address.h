#pragma once

#include <cstring>
#include <filesystem>
#include <optional>

#include <sys/socket.h>
#include <sys/un.h>

namespace slipway::agent {

/// The address of the UNIX socket at `path`; nothing if the path is too long for one.
inline std::optional<sockaddr_un> unix_address(const std::filesystem::path& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const auto& text = path.native();
    if (text.size() >= sizeof address.sun_path) {
        return std::nullopt;
    }
    std::memcpy(&address.sun_path, text.c_str(), text.size() + 1);
    return address;
}

inline const sockaddr* generic(const sockaddr_un& address) {
    return reinterpret_cast<const sockaddr*>(&address); // NOLINT: what bind(2) wants.
}

} // namespace slipway::agent
