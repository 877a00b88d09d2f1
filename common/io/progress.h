#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace slipway {

enum class ProgressStyle {
    bar,   ///< A terminal: one line that is drawn again, with rate and time left.
    lines, ///< Elsewhere: a plain line a phase and every few seconds.
    json,  ///< JSON lines.
    none,
};
/// bar if `fd` is a terminal, else lines; json wins over both.
[[nodiscard]] ProgressStyle progress_style(int fd, bool json);

/// Who hears of the same. Calls may come from several threads at a time.
class ProgressWatcher {
public:
    virtual ~ProgressWatcher() = default;
    virtual void phase(std::string_view name) = 0;
    virtual void added(std::uint64_t bytes) = 0;
    virtual void noted(std::string_view text) = 0;
};

/// Shows long work on stderr (json: stdout). Thread-safe; add() is cheap enough for hot loops.
class Progress {
public:
    explicit Progress(ProgressStyle style);
    ~Progress();
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;
    /// Starts a phase ("fetch"), ends the one before. `total_bytes` 0: not known.
    void phase(std::string_view name, std::uint64_t total_bytes);
    void add(std::uint64_t bytes);
    void note(
        std::string_view text); ///< A line that stays, for example "waiting for the lock of pid 7".
    void finish();
    /// Null: nobody. Set while nothing is going on; the watcher must live as long as it is set.
    void watch(ProgressWatcher* watcher);

private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace slipway
