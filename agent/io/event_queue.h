#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <string>
#include <vector>

#include "common/api/sync.h"
#include "common/core/result.h"
#include "common/io/file_ops.h"

namespace slipway::agent {

/// What happened on a host and is not known upstream yet, in order, on the disk and bounded.
///
/// Guarantees:
/// - What push() took survives a kill at any instant, and from batch() on a loss of power, too. An
///   id is never given out again in a stream, so that whoever keeps events can tell those that come
///   twice.
/// - When the queue is full its oldest event is dropped, and in its place stands an event
///   `events.dropped` that says how many were since the last forget().
///
/// The file is framed as the journal is (agent/core/journal_format.h): `stream`, the 16 digits of
/// the stream; `next`, the first id that was not given out; `event`, JSON of one; `dropped` and
/// `to`, the id up to which events are gone. One that a crash tore is cut off; one that the disk
/// changed is read up to the damage and goes on as another stream, for ids may be lost.
///
/// Not thread-safe; one process per path. Blocking for a write or, in batch(), a sync.
class EventQueue {
public:
    struct Limits {
        std::size_t events = 1'000; ///< Above 0.
        std::size_t bytes = std::size_t{1024} * 1024;
    };
    /// `fresh_stream` (1 to 32 characters) names the stream if the file is not there.
    /// Errors: the errno of the failed call.
    [[nodiscard]] static Result<EventQueue> open(std::filesystem::path path, Limits limits,
                                                 const std::string& fresh_stream);

    /// Adds an event under the next id; its texts are cut to api::sync_text_bytes_max. An error
    /// says that the disk does not have it; it is in the queue nevertheless.
    [[nodiscard]] Result<> push(api::AgentEvent event);
    /// The oldest events, `count` at most, once they are durable.
    [[nodiscard]] Result<std::vector<api::AgentEvent>> batch(std::size_t count);
    /// Forgets all events up to the id. An error means that they may come again.
    [[nodiscard]] Result<> forget(std::uint64_t to);

    [[nodiscard]] const std::string& stream() const { return stream_; }
    [[nodiscard]] std::size_t size() const { return events_.size(); }
    /// Events that were dropped since the daemon started.
    [[nodiscard]] std::uint64_t dropped() const { return dropped_ever_; }
    /// Empty, or what was wrong with the file.
    [[nodiscard]] const std::string& fault() const { return fault_; }

private:
    EventQueue(std::filesystem::path path, Limits limits)
        : path_(std::move(path)), limits_(limits) {}
    void load(const std::string& fresh_stream, ByteSpan bytes);
    void take(const std::string& key, const std::string& value);
    void add(api::AgentEvent event);
    void drop_to(std::uint64_t id);
    [[nodiscard]] bool is_full() const;
    void drop_oldest(std::uint64_t at_ms);
    [[nodiscard]] Result<> append(const std::string& key, const std::string& value);
    [[nodiscard]] Result<> write_anew();

    std::filesystem::path path_;
    Limits limits_;
    Fd fd_;
    std::uint64_t file_bytes_ = 0;
    bool is_whole_ = false;  ///< The file holds all that is in memory.
    bool is_synced_ = false; ///< And it is durable.
    std::string stream_;
    std::uint64_t next_id_ = 1;
    std::deque<api::AgentEvent> events_;
    std::size_t bytes_ = 0;     ///< Of the events' texts.
    std::uint64_t dropped_ = 0; ///< That the first event tells of; 0: it tells of none.
    std::uint64_t dropped_ever_ = 0;
    std::string fault_;
};

} // namespace slipway::agent
