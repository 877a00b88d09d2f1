#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
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

/// Shows long work on stderr (json: stdout). Thread-safe; add() is cheap enough for hot loops.
class Progress {
public:
    /// `on_add`, if given, hears of each add(); it may come from several threads at a time.
    explicit Progress(ProgressStyle style, std::function<void(std::uint64_t)> on_add = {});
    ~Progress();
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;
    /// Starts a phase ("fetch"), ends the one before. `total_bytes` 0: not known.
    void phase(std::string_view name, std::uint64_t total_bytes);
    void add(std::uint64_t bytes);
    void note(
        std::string_view text); ///< A line that stays, for example "waiting for the lock of pid 7".
    void finish();

private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace slipway
