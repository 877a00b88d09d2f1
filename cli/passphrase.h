#pragma once

#include "common/trust/keys.h"

namespace slipway::cli {

/// The first line of the descriptor, then for every key the same.
[[nodiscard]] trust::Passphrase passphrase_from_fd(int fd);
/// The first line of a file that only its owner can read.
[[nodiscard]] trust::Passphrase passphrase_from_file(std::string path);
/// Asked for on the terminal without echo, once for a key. Errc::failed if there is no terminal.
[[nodiscard]] trust::Passphrase passphrase_from_terminal();

} // namespace slipway::cli
