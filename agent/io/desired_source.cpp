#include "agent/io/desired_source.h"

#include "common/io/file_ops.h"

namespace slipway::agent {

Result<std::unique_ptr<DesiredFile>> DesiredFile::watch(const std::filesystem::path& file) {
    return FileWatch::start(file).map([&](FileWatch watch) {
        return std::unique_ptr<DesiredFile>(new DesiredFile(file, std::move(watch)));
    });
}

std::optional<Result<api::Desired>> DesiredFile::take() {
    const bool changed = watch_.take();
    if (!changed && !std::exchange(first_, false)) {
        return std::nullopt;
    }
    first_ = false;
    return read_file(file_, api::desired_bytes_max).and_then([&](const Bytes& bytes) {
        return api::decode_desired(bytes, file_.string());
    });
}

} // namespace slipway::agent
