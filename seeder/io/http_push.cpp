#include <nlohmann/json.hpp>

#include "common/core/errc.h"
#include "common/io/blocking.h"
#include "common/io/log.h"
#include "common/trust/metadata.h"
#include "seeder/io/http_answer.h"
#include "seeder/io/push_commit.h"

namespace slipway::seeder {
namespace {

constexpr std::size_t receive_bytes = 256UL * 1024;

int status_of(const Error& error) {
    if (error.code == Errc::verification_failed) {
        return 422;
    }
    if (error.code == Errc::busy) {
        return 503;
    }
    if (error.code == std::errc::no_space_on_device) {
        return 507;
    }
    return error.code == Errc::failed || error.code == Errc::not_found ? 409 : 500;
}

/// The right to write to one object of one publisher, for as long as it lives.
class PushSlot {
public:
    static Result<PushSlot> take(PushDesk& desk, std::string publisher, std::string path) {
        if (desk.committing.contains(publisher)) {
            return fail(Errc::busy, "a push of " + publisher + " is being put in place");
        }
        if (desk.busy.size() >= desk.uploads_max) {
            return fail(Errc::busy, std::to_string(desk.uploads_max) +
                                        " uploads are in progress here; try again later");
        }
        std::pair key(std::move(publisher), std::move(path));
        if (!desk.busy.insert(key).second) {
            return fail(Errc::busy, key.second + " is being sent by another push of " + key.first);
        }
        return PushSlot(desk, std::move(key));
    }
    ~PushSlot() {
        if (desk_ != nullptr) {
            desk_->busy.erase(key_);
        }
    }
    PushSlot(PushSlot&& other) noexcept
        : desk_(std::exchange(other.desk_, nullptr)), key_(std::move(other.key_)) {}
    PushSlot& operator=(PushSlot&&) = delete;
    PushSlot(const PushSlot&) = delete;
    PushSlot& operator=(const PushSlot&) = delete;

private:
    PushSlot(PushDesk& desk, std::pair<std::string, std::string> key)
        : desk_(&desk), key_(std::move(key)) {}
    PushDesk* desk_;
    std::pair<std::string, std::string> key_;
};

/// A publisher's commit, while which nothing of its push may change.
class CommitMark {
public:
    CommitMark(PushDesk& desk, std::string publisher)
        : desk_(desk), publisher_(std::move(publisher)) {
        desk_.committing.insert(publisher_);
    }
    ~CommitMark() { desk_.committing.erase(publisher_); }
    CommitMark(const CommitMark&) = delete;
    CommitMark& operator=(const CommitMark&) = delete;

private:
    PushDesk& desk_;
    std::string publisher_;
};

bool has_uploads(const PushDesk& desk, const std::string& publisher) {
    const auto first = desk.busy.lower_bound({publisher, ""});
    return first != desk.busy.end() && first->first == publisher;
}

} // namespace

net::awaitable<void> Answer::send_error(Error error) {
    log_event(
        LogLevel::warning, "push.refused",
        {{"publisher", request_.peer ? request_.peer->text() : ""}, {"why", describe(error)}});
    co_return co_await send_text(status_of(error), "text/plain", printable(error.context) + "\n");
}

net::awaitable<void> Answer::answer_push() {
    if (!request_.peer) {
        co_return co_await send_text(403, "text/plain",
                                     "publishers push to a seeder with --tls-cert only\n");
    }
    if (request_.path == "/v1/push/commit" && request_.method == "POST") {
        co_return co_await commit();
    }
    auto object = push_object(request_.path);
    if (!object) {
        co_return co_await send_text(404, "text/plain",
                                     "no file of a repository can have this name\n");
    }
    if (request_.method == "PUT") {
        co_return co_await receive_part(std::move(*object));
    }
    if (request_.method == "POST") {
        co_return co_await finish_push(std::move(*object));
    }
    auto work = [&store = shared_.pushes.store, publisher = request_.peer->name, object = *object] {
        return store.progress(publisher, object);
    };
    const auto progress = co_await run_blocking(shared_.pool, std::move(work));
    if (!progress) {
        co_return co_await send_error(progress.error());
    }
    const nlohmann::json reply = {{"bytes", progress->bytes}, {"complete", progress->complete}};
    co_return co_await send_text(200, "application/json", reply.dump() + "\n");
}

net::awaitable<Result<>> Answer::read_body(const Fd* file, std::uint64_t offset, Bytes* small) {
    Bytes buffer(receive_bytes);
    while (true) {
        const auto read = co_await exchange_.read(buffer);
        if (!read) {
            auto error = within("receive a push", read.error());
            co_return tl::unexpected(std::move(error));
        }
        if (*read == 0) {
            break;
        }
        const auto part = std::span<const std::uint8_t>(buffer).first(*read);
        if (small != nullptr) {
            small->insert(small->end(), part.begin(), part.end());
            continue;
        }
        auto writing = [fd = file->get(), part, offset] {
            return pwrite_all(fd, part, offset, "file that is pushed");
        };
        auto written = co_await run_blocking(shared_.pool, std::move(writing));
        if (!written) {
            co_return written;
        }
        offset += part.size();
    }
    co_return Result<>{};
}

net::awaitable<void> Answer::receive_part(PushObject object) {
    const auto range = push_range(exchange_.header("Content-Range"));
    const auto& length = request_.content_length;
    if (!range || !length || *length != range->bytes) {
        co_return co_await send_text(400, "text/plain",
                                     "a PUT needs Content-Range: bytes FIRST-LAST/TOTAL, at most " +
                                         std::to_string(push_request_bytes_max) +
                                         " bytes, and the same Content-Length\n");
    }
    const auto slot = PushSlot::take(shared_.pushes, request_.peer->name, object.path);
    if (!slot) {
        co_return co_await send_error(slot.error());
    }
    auto opening = [&store = shared_.pushes.store, publisher = request_.peer->name, object,
                    range = *range] { return store.open(publisher, object, range); };
    const auto file = co_await run_blocking(shared_.pool, std::move(opening));
    if (!file) {
        co_return co_await send_error(file.error());
    }
    const auto received = co_await read_body(&*file, range->offset, nullptr);
    if (!received) {
        co_return co_await send_error(received.error());
    }
    const nlohmann::json reply = {{"bytes", range->offset + range->bytes}, {"complete", false}};
    co_return co_await send_text(200, "application/json", reply.dump() + "\n");
}

net::awaitable<void> Answer::finish_push(PushObject object) {
    const auto slot = PushSlot::take(shared_.pushes, request_.peer->name, object.path);
    if (!slot) {
        co_return co_await send_error(slot.error());
    }
    auto work = [&store = shared_.pushes.store, publisher = request_.peer->name, object] {
        return store.finish(publisher, object);
    };
    const auto finished = co_await run_blocking(shared_.pool, std::move(work));
    if (!finished) {
        co_return co_await send_error(finished.error());
    }
    const nlohmann::json reply = {{"complete", true}};
    co_return co_await send_text(200, "application/json", reply.dump() + "\n");
}

net::awaitable<void> Answer::commit() {
    const auto& length = request_.content_length;
    if (!length || *length == 0 || *length > trust::limits::timestamp_bytes) {
        co_return co_await send_text(400, "text/plain",
                                     "a commit carries the new timestamp.json\n");
    }
    const std::string publisher = request_.peer->name;
    auto& desk = shared_.pushes;
    if (has_uploads(desk, publisher) || desk.committing.contains(publisher)) {
        Error busy{Errc::busy, "another push of " + publisher + " is in progress"};
        co_return co_await send_error(std::move(busy));
    }
    const CommitMark mark(desk, publisher);
    PushCommit push{
        .publisher = publisher, .timestamp = {}, .now = std::chrono::system_clock::now()};
    const auto received = co_await read_body(nullptr, 0, &push.timestamp);
    if (!received) {
        co_return co_await send_error(received.error());
    }
    auto work = [&store = desk.store, push = std::move(push)] { return commit_push(store, push); };
    const auto committed = co_await run_blocking(shared_.pool, std::move(work));
    if (!committed) {
        co_return co_await send_error(committed.error());
    }
    log_event(LogLevel::info, "push.committed",
              {{"publisher", publisher},
               {"targets", std::to_string(committed->targets)},
               {"packs", std::to_string(committed->packs)}});
    auto cleaning = [&store = desk.store, publisher] {
        store.remove_all(publisher);
        return true;
    };
    co_await run_blocking(shared_.pool, std::move(cleaning));
    const nlohmann::json reply = {{"targets", committed->targets}, {"packs", committed->packs}};
    co_return co_await send_text(200, "application/json", reply.dump() + "\n");
}

} // namespace slipway::seeder
