#include "agent/io/file_copy.h"

#include <algorithm>
#include <cerrno>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <vector>

#include "common/core/errc.h"
#include "common/io/file_ops.h"

namespace slipway::agent {
namespace {

Result<> copy_by_hand(int from, int to, std::uint64_t bytes, const std::string& name) {
    Bytes buffer(std::size_t{256} * 1024);
    while (bytes > 0) {
        const auto got = ::read(from, buffer.data(), std::min<std::uint64_t>(bytes, buffer.size()));
        if (got < 0) {
            return fail_errno("read the installed " + name);
        }
        if (got == 0) {
            return {};
        }
        if (auto written =
                write_all(to, ByteSpan(buffer).first(static_cast<std::size_t>(got)), name);
            !written) {
            return written;
        }
        bytes -= static_cast<std::uint64_t>(got);
    }
    return {};
}

} // namespace

Result<> clone_or_copy(int from, int to, std::uint64_t bytes, const std::string& name) {
    if (::ioctl(to, FICLONE, from) == 0) {
        return {};
    }
    while (bytes > 0) {
        const auto copied = ::copy_file_range(from, nullptr, to, nullptr, bytes, 0);
        if (copied == 0) {
            return {};
        }
        if (copied < 0) {
            if (errno == ENOSPC || errno == EDQUOT || errno == EIO) {
                return fail_errno("copy the installed " + name);
            }
            return copy_by_hand(from, to, bytes, name);
        }
        bytes -= static_cast<std::uint64_t>(copied);
    }
    return {};
}

} // namespace slipway::agent
