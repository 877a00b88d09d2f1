#include "common/io/progress.h"

#include <array>
#include <cstdio>
#include <mutex>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "common/core/errc.h"
#include "common/core/progress_text.h"

namespace slipway {
namespace {

using Clock = std::chrono::steady_clock;

void print(std::FILE* to, const std::string& text) {
    std::fwrite(text.data(), 1, text.size(), to);
    std::fflush(to);
}

} // namespace

ProgressStyle progress_style(int fd, bool json) {
    if (json) {
        return ProgressStyle::json;
    }
    return ::isatty(fd) == 1 ? ProgressStyle::bar : ProgressStyle::lines;
}

struct Progress::State {
    ProgressStyle style;
    ProgressWatcher* watcher = nullptr;
    std::mutex mutex;
    PhaseProgress phase;
    bool running = false;
    Clock::time_point started;
    Clock::time_point last_shown;

    [[nodiscard]] std::chrono::milliseconds interval() const {
        using std::chrono::milliseconds;
        return style == ProgressStyle::bar ? milliseconds(100) : milliseconds(5'000);
    }

    void show(bool last) {
        last_shown = Clock::now();
        phase.elapsed = std::chrono::duration_cast<std::chrono::milliseconds>(last_shown - started);
        if (style == ProgressStyle::bar) {
            print(stderr, "\r\x1b[K" + progress_bar(phase, 30) + (last ? "\n" : ""));
        } else if (style == ProgressStyle::lines) {
            print(stderr, progress_line(phase, last) + "\n");
        } else if (style == ProgressStyle::json) {
            const nlohmann::json line = {{"event", last ? "phase_done" : "progress"},
                                         {"phase", phase.name},
                                         {"done_bytes", phase.done_bytes},
                                         {"total_bytes", phase.total_bytes},
                                         {"elapsed_ms", phase.elapsed.count()}};
            print(stdout, line.dump() + "\n");
        }
    }
    void end_phase() {
        if (running) {
            show(true);
            running = false;
        }
    }
};

Progress::Progress(ProgressStyle style) : state_(std::make_unique<State>()) {
    state_->style = style;
}
Progress::~Progress() {
    finish();
}

void Progress::watch(ProgressWatcher* watcher) {
    state_->watcher = watcher;
}

void Progress::phase(std::string_view name, std::uint64_t total_bytes) {
    if (state_->watcher != nullptr) {
        state_->watcher->phase(name);
    }
    const std::scoped_lock lock(state_->mutex);
    state_->end_phase();
    state_->phase = {.name = std::string(name), .total_bytes = total_bytes};
    state_->running = true;
    state_->started = state_->last_shown = Clock::now();
}

void Progress::add(std::uint64_t bytes) {
    if (state_->watcher != nullptr) {
        state_->watcher->added(bytes);
    }
    const std::scoped_lock lock(state_->mutex);
    state_->phase.done_bytes += bytes;
    if (state_->running && state_->style != ProgressStyle::none &&
        Clock::now() - state_->last_shown >= state_->interval()) {
        state_->show(false);
    }
}

void Progress::note(std::string_view text) {
    if (state_->watcher != nullptr) {
        state_->watcher->noted(text);
    }
    const std::scoped_lock lock(state_->mutex);
    if (state_->style == ProgressStyle::json) {
        print(stdout, nlohmann::json{{"event", "note"}, {"text", text}}.dump(
                          -1, ' ', false, nlohmann::json::error_handler_t::replace) +
                          "\n");
    } else if (state_->style != ProgressStyle::none) {
        print(stderr,
              (state_->style == ProgressStyle::bar ? "\r\x1b[K" : "") + printable(text) + "\n");
    }
}

void Progress::finish() {
    const std::scoped_lock lock(state_->mutex);
    state_->end_phase();
}

} // namespace slipway
