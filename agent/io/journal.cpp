#include "agent/io/journal.h"

#include <fcntl.h>
#include <unistd.h>

#include "agent/core/journal_format.h"
#include "common/core/errc.h"

namespace slipway::agent {
namespace fs = std::filesystem;

namespace {
// Compacted when this much was written beyond twice what is live.
constexpr std::uint64_t slack_bytes = std::uint64_t{256} * 1024;

// What a killed compact() left. One that stays only takes space.
void remove_temporaries(const fs::path& journal) {
    const auto beginning = "." + journal.filename().string() + ".";
    std::error_code ec;
    for (fs::directory_iterator it(journal.parent_path(), ec);
         !ec && it != fs::directory_iterator(); it.increment(ec)) {
        const auto name = it->path().filename().string();
        if (name.starts_with(beginning) && is_temporary_name(name)) {
            std::error_code ignored;
            fs::remove(it->path(), ignored);
        }
    }
}

} // namespace

Result<Journal> Journal::open(fs::path path) {
    Journal journal(std::move(path));
    remove_temporaries(journal.path_);
    auto bytes = read_file(journal.path_, journal_bytes_max);
    if (!bytes && bytes.error().code != std::errc::no_such_file_or_directory) {
        return tl::unexpected(std::move(bytes.error()));
    }
    const auto content = read_journal(bytes ? ByteSpan(*bytes) : ByteSpan{});
    if (content.end == JournalEnd::unknown_version) {
        return fail(Errc::failed, journal.path_.string() +
                                      " was written by a newer version; install that one again");
    }
    for (const auto& entry : content.entries) {
        journal.values_[entry.key] = entry.value;
    }
    if (content.end == JournalEnd::torn) {
        journal.fault_ = "cut off a last entry that was not written to its end";
    } else if (content.end == JournalEnd::corrupt) {
        journal.corrupt_ = true;
        const auto kept = journal.path_.string() + ".damaged";
        journal.fault_ = "damaged at byte " + std::to_string(content.good_bytes) +
                         "; what was written before it is used, the file is kept as " + kept;
        if (::rename(journal.path_.c_str(), kept.c_str()) != 0) {
            return fail_errno("rename " + journal.path_.string() + " to " + kept);
        }
    }
    // Written anew at each start: short, whole, and never continued behind a torn entry.
    if (auto written = journal.compact(); !written) {
        return tl::unexpected(std::move(written.error()));
    }
    return journal;
}

Result<> Journal::put(const std::string& key, const std::string& value) {
    if (key.empty() || key.size() > 255 || value.size() > journal_value_bytes_max) {
        return fail(Errc::failed, path_.string() + ": an entry of " + std::to_string(value.size()) +
                                      " bytes is too long");
    }
    if (bytes_ > compact_bytes_) {
        if (auto made = compact(); !made) {
            return made;
        }
    }
    Bytes entry;
    append_journal_entry(entry, {key, value});
    // What an earlier put() wrote in part must not stand before this entry.
    if (::ftruncate(fd_.get(), static_cast<off_t>(bytes_)) != 0) {
        return fail_errno("cut " + path_.string());
    }
    if (auto written = pwrite_all(fd_.get(), entry, bytes_, path_); !written) {
        return written;
    }
    if (::fdatasync(fd_.get()) != 0) {
        // After a failed sync the kernel forgets which pages were not written: begin a new file.
        auto failed = fail_errno("write " + path_.string() + " to the disk");
        compact_bytes_ = 0;
        return failed;
    }
    bytes_ += entry.size();
    values_[key] = value;
    return {};
}

Result<> Journal::compact() {
    auto bytes = journal_header();
    for (const auto& [key, value] : values_) {
        append_journal_entry(bytes, {key, value});
    }
    return replace_file(path_, bytes, 0600).and_then([&] { return open_for_append(); }).map([&] {
        bytes_ = bytes.size();
        compact_bytes_ = 2 * bytes_ + slack_bytes;
    });
}

Result<> Journal::open_for_append() {
    return open_file(path_, O_WRONLY).map([&](Fd fd) { fd_ = std::move(fd); });
}

} // namespace slipway::agent
