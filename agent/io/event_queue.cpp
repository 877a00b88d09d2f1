#include "agent/io/event_queue.h"

#include <algorithm>
#include <fcntl.h>
#include <unistd.h>

#include "agent/core/event_format.h"
#include "agent/core/journal_format.h"
#include "common/core/errc.h"
#include "common/core/numbers.h"

namespace slipway::agent {
namespace {

constexpr std::size_t stream_bytes_max = 32;
constexpr std::uint64_t file_bytes_max = std::uint64_t{64} * 1024 * 1024;
// Written anew when this much is beyond twice what is live.
constexpr std::uint64_t slack_bytes = std::uint64_t{256} * 1024;
// Of the JSON around an event's texts.
constexpr std::size_t event_overhead_bytes = 128;

std::size_t bytes_of(const api::AgentEvent& event) {
    return event.service.size() + event.kind.size() + event.text.size() + event_overhead_bytes;
}

} // namespace

Result<EventQueue> EventQueue::open(std::filesystem::path path, Limits limits,
                                    const std::string& fresh_stream) {
    EventQueue queue(std::move(path), limits);
    const auto bytes = read_file(queue.path_, file_bytes_max);
    if (!bytes && bytes.error().code != std::errc::no_such_file_or_directory) {
        if (bytes.error().code != Errc::verification_failed) {
            return tl::unexpected(bytes.error());
        }
        queue.fault_ = describe(bytes.error()) + "; its events are lost";
    }
    queue.load(fresh_stream, bytes ? ByteSpan(*bytes) : ByteSpan{});
    if (auto written = queue.write_anew(); !written) {
        return tl::unexpected(std::move(written.error()));
    }
    return queue;
}

void EventQueue::load(const std::string& fresh_stream, ByteSpan bytes) {
    const auto content = read_journal(bytes);
    for (const auto& entry : content.entries) {
        take(entry.key, entry.value);
    }
    if (content.end == JournalEnd::corrupt || content.end == JournalEnd::unknown_version) {
        fault_ = path_.string() + ": damaged, or of a newer program, at byte " +
                 std::to_string(content.good_bytes) + "; events behind it are lost";
        stream_.clear();
    }
    if (stream_.empty()) {
        stream_ = fresh_stream;
    }
}

// One entry of the file, in its order. What does not parse is let be.
void EventQueue::take(const std::string& key, const std::string& value) {
    if (key == "stream" && value.size() <= stream_bytes_max) {
        stream_ = value;
        return;
    }
    if (key == "event") {
        if (auto event = decode_event(as_bytes(value), path_.string())) {
            if (events_.empty() || event->id > events_.back().id) {
                next_id_ = std::max(next_id_, event->id + 1);
                add(std::move(*event));
            }
        }
        return;
    }
    if (key == "dropped") {
        if (auto marker = decode_event(as_bytes(value), path_.string())) {
            drop_to(marker->id);
            dropped_ = parse_number<std::uint64_t>(marker->text.substr(0, marker->text.find(' ')))
                           .value_or(1);
            bytes_ += bytes_of(*marker);
            events_.push_front(std::move(*marker));
        }
        return;
    }
    const auto id = parse_number<std::uint64_t>(value);
    if (id && key == "next") {
        next_id_ = std::max(next_id_, *id);
    } else if (id && key == "to") {
        drop_to(*id);
    }
}

void EventQueue::add(api::AgentEvent event) {
    bytes_ += bytes_of(event);
    events_.push_back(std::move(event));
}

void EventQueue::drop_to(std::uint64_t id) {
    while (!events_.empty() && events_.front().id <= id) {
        bytes_ -= bytes_of(events_.front());
        events_.pop_front();
        dropped_ = 0;
    }
}

bool EventQueue::is_full() const {
    return events_.size() > limits_.events || bytes_ > limits_.bytes;
}

// The place of the oldest event is taken by one that says so.
void EventQueue::drop_oldest(std::uint64_t at_ms) {
    const bool has_marker = dropped_ > 0;
    const auto count = dropped_ + 1;
    const auto gone = events_.at(has_marker ? 1 : 0).id;
    drop_to(gone);
    api::AgentEvent marker{gone, at_ms, "", "events.dropped",
                           std::to_string(count) +
                               " events were dropped here: nobody took them, and there was no more "
                               "room"};
    bytes_ += bytes_of(marker);
    events_.push_front(std::move(marker));
    dropped_ = count;
    ++dropped_ever_;
}

Result<> EventQueue::push(api::AgentEvent event) {
    event.id = next_id_++;
    for (auto* text : {&event.service, &event.kind, &event.text}) {
        *text = api::sync_text(*text);
    }
    const auto at_ms = event.at_ms;
    auto written = append("event", encode_event(event));
    add(std::move(event));
    bool dropped = false;
    while (is_full() && events_.size() > (dropped_ > 0 ? 2U : 1U)) {
        drop_oldest(at_ms);
        dropped = true;
    }
    if (dropped && written) {
        written = append("dropped", encode_event(events_.front()));
    }
    return written;
}

Result<std::vector<api::AgentEvent>> EventQueue::batch(std::size_t count) {
    if (!is_whole_) {
        if (auto written = write_anew(); !written) {
            return tl::unexpected(std::move(written.error()));
        }
    }
    if (!is_synced_ && ::fdatasync(fd_.get()) != 0) {
        is_whole_ = false; // The kernel forgets which pages were not written.
        return fail_errno("write " + path_.string() + " to the disk");
    }
    is_synced_ = true;
    const auto end = events_.begin() + static_cast<std::ptrdiff_t>(std::min(count, events_.size()));
    return std::vector<api::AgentEvent>(events_.begin(), end);
}

Result<> EventQueue::forget(std::uint64_t to) {
    const auto before = events_.size();
    drop_to(to);
    return events_.size() == before ? Result<>{} : append("to", std::to_string(to));
}

Result<> EventQueue::append(const std::string& key, const std::string& value) {
    if (!is_whole_ || file_bytes_ > 2 * bytes_ + slack_bytes) {
        // Before the change of memory that the entry tells of: the entry follows.
        if (auto written = write_anew(); !written) {
            return written;
        }
    }
    Bytes entry;
    append_journal_entry(entry, {key, value});
    if (auto written = pwrite_all(fd_.get(), entry, file_bytes_, path_); !written) {
        is_whole_ = false;
        return written;
    }
    file_bytes_ += entry.size();
    is_synced_ = false;
    return {};
}

Result<> EventQueue::write_anew() {
    is_whole_ = false;
    auto bytes = journal_header();
    append_journal_entry(bytes, {"stream", stream_});
    for (const auto& event : events_) {
        const bool is_marker = dropped_ > 0 && &event == &events_.front();
        append_journal_entry(bytes, {is_marker ? "dropped" : "event", encode_event(event)});
    }
    append_journal_entry(bytes, {"next", std::to_string(next_id_)});
    return replace_file(path_, bytes, 0600)
        .and_then([&] { return open_file(path_, O_WRONLY); })
        .map([&](Fd fd) {
            fd_ = std::move(fd);
            file_bytes_ = bytes.size();
            is_whole_ = true;
            is_synced_ = true;
        });
}

} // namespace slipway::agent
