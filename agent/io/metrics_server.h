#pragma once

#include <filesystem>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "common/core/result.h"
#include "common/io/file_ops.h"

namespace slipway::agent {

/// Answers every HTTP request on its sockets with the text that was published last. One thread, one
/// caller at a time, 2 s for each: callers that dawdle hold up each other, and nothing else.
class MetricsServer {
public:
    /// A UNIX socket at `path` (mode 0660; one that an earlier run left is replaced) and, if `tcp`
    /// is not empty, a numeric "IP:PORT". Errors: Errc::usage for the address; the errno.
    [[nodiscard]] static Result<std::unique_ptr<MetricsServer>>
    start(const std::filesystem::path& path, const std::string& tcp);
    MetricsServer(const MetricsServer&) = delete;
    MetricsServer& operator=(const MetricsServer&) = delete;
    ~MetricsServer() = default;

    /// Thread-safe.
    void publish(std::string text);

private:
    explicit MetricsServer(std::vector<Fd> sockets);
    void run(const std::stop_token& stop);
    void answer(int caller);

    std::vector<Fd> sockets_;
    Fd wake_;
    std::mutex mutex_;
    std::string text_;
    std::jthread thread_; ///< Last: it uses the others.
};

} // namespace slipway::agent
