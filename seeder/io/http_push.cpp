#include <boost/beast/http/error.hpp>
#include <boost/beast/http/read.hpp>
#include <nlohmann/json.hpp>

#include "common/core/errc.h"
#include "common/io/blocking.h"
#include "common/io/log.h"
#include "common/trust/metadata.h"
#include "seeder/io/http_connection.h"
#include "seeder/io/push_commit.h"

namespace slipway::seeder {
namespace beast = boost::beast;
namespace http = beast::http;
namespace {

constexpr std::size_t receive_bytes = 256UL * 1024;

http::status status_of(const Error& error) {
    if (error.code == Errc::verification_failed) {
        return http::status::unprocessable_entity;
    }
    if (error.code == Errc::busy) {
        return http::status::service_unavailable;
    }
    if (error.code == std::errc::no_space_on_device) {
        return http::status::insufficient_storage;
    }
    return error.code == Errc::failed || error.code == Errc::not_found
               ? http::status::conflict
               : http::status::internal_server_error;
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

net::awaitable<bool> Connection::send_error(const Request& request, Error error) {
    log_event(LogLevel::warning, "push.refused",
              {{"publisher", peer_ ? peer_->text() : ""}, {"why", describe(error)}});
    co_return co_await send_text(request, status_of(error), "text/plain",
                                 printable(error.context) + "\n");
}

net::awaitable<bool> Connection::answer_push(Parser& parser, std::string path) {
    const auto& request = parser.get();
    if (!peer_) {
        co_return co_await send_text(request, http::status::forbidden, "text/plain",
                                     "publishers push to a seeder with --tls-cert only\n");
    }
    if (path == "/v1/push/commit" && request.method() == http::verb::post) {
        co_return co_await commit(parser);
    }
    auto object = push_object(path);
    if (!object) {
        co_return co_await send_text(request, http::status::not_found, "text/plain",
                                     "no file of a repository can have this name\n");
    }
    if (request.method() == http::verb::put) {
        co_return co_await receive_part(parser, std::move(*object));
    }
    if (request.method() == http::verb::post) {
        co_return co_await finish_push(parser, std::move(*object));
    }
    auto work = [&store = shared_->pushes.store, publisher = peer_->name, object = *object] {
        return store.progress(publisher, object);
    };
    const auto progress = co_await run_blocking(shared_->pool, std::move(work));
    if (!progress) {
        co_return co_await send_error(request, progress.error());
    }
    const nlohmann::json reply = {{"bytes", progress->bytes}, {"complete", progress->complete}};
    co_return co_await send_text(request, http::status::ok, "application/json",
                                 reply.dump() + "\n");
}

net::awaitable<Result<>> Connection::read_body(Parser& parser, const Fd* file, std::uint64_t offset,
                                               Bytes* small) {
    Bytes buffer(receive_bytes);
    while (!parser.is_done()) {
        auto& body = parser.get().body();
        body.data = buffer.data();
        body.size = buffer.size();
        boost::system::error_code ec;
        auto into_ec = net::redirect_error(net::use_awaitable, ec);
        stream_.tcp().expires_after(shared_->options.send_timeout);
        co_await http::async_read(stream_, buffer_, parser, into_ec);
        if (ec && ec != http::error::need_buffer) {
            co_return fail(Errc::unreachable, "receive a push: " + ec.message());
        }
        const auto part = std::span<const std::uint8_t>(buffer).first(buffer.size() - body.size);
        if (small != nullptr) {
            small->insert(small->end(), part.begin(), part.end());
            continue;
        }
        auto writing = [fd = file->get(), part, offset] {
            return pwrite_all(fd, part, offset, "file that is pushed");
        };
        auto written = co_await run_blocking(shared_->pool, std::move(writing));
        if (!written) {
            co_return written;
        }
        offset += part.size();
    }
    co_return Result<>{};
}

net::awaitable<bool> Connection::receive_part(Parser& parser, PushObject object) {
    const auto& request = parser.get();
    const auto field = request[http::field::content_range];
    const auto range = push_range(std::string_view(field.data(), field.size()));
    const auto length = parser.content_length();
    if (!range || !length || *length != range->bytes) {
        co_return co_await send_text(request, http::status::bad_request, "text/plain",
                                     "a PUT needs Content-Range: bytes FIRST-LAST/TOTAL, at most " +
                                         std::to_string(push_request_bytes_max) +
                                         " bytes, and the same Content-Length\n");
    }
    const auto slot = PushSlot::take(shared_->pushes, peer_->name, object.path);
    if (!slot) {
        co_return co_await send_error(request, slot.error());
    }
    auto opening = [&store = shared_->pushes.store, publisher = peer_->name, object,
                    range = *range] { return store.open(publisher, object, range); };
    const auto file = co_await run_blocking(shared_->pool, std::move(opening));
    if (!file) {
        co_return co_await send_error(request, file.error());
    }
    const auto received = co_await read_body(parser, &*file, range->offset, nullptr);
    if (!received) {
        co_return co_await send_error(request, received.error());
    }
    const nlohmann::json reply = {{"bytes", range->offset + range->bytes}, {"complete", false}};
    co_return co_await send_text(request, http::status::ok, "application/json",
                                 reply.dump() + "\n");
}

net::awaitable<bool> Connection::finish_push(Parser& parser, PushObject object) {
    const auto& request = parser.get();
    const auto slot = PushSlot::take(shared_->pushes, peer_->name, object.path);
    if (!slot) {
        co_return co_await send_error(request, slot.error());
    }
    auto work = [&store = shared_->pushes.store, publisher = peer_->name, object] {
        return store.finish(publisher, object);
    };
    const auto finished = co_await run_blocking(shared_->pool, std::move(work));
    if (!finished) {
        co_return co_await send_error(request, finished.error());
    }
    const nlohmann::json reply = {{"complete", true}};
    co_return co_await send_text(request, http::status::ok, "application/json",
                                 reply.dump() + "\n");
}

net::awaitable<bool> Connection::commit(Parser& parser) {
    const auto& request = parser.get();
    const auto length = parser.content_length();
    if (!length || *length == 0 || *length > trust::limits::timestamp_bytes) {
        co_return co_await send_text(request, http::status::bad_request, "text/plain",
                                     "a commit carries the new timestamp.json\n");
    }
    const std::string publisher = peer_->name;
    auto& desk = shared_->pushes;
    if (has_uploads(desk, publisher) || desk.committing.contains(publisher)) {
        Error busy{Errc::busy, "another push of " + publisher + " is in progress"};
        co_return co_await send_error(request, std::move(busy));
    }
    const CommitMark mark(desk, publisher);
    PushCommit push{
        .publisher = publisher, .timestamp = {}, .now = std::chrono::system_clock::now()};
    const auto received = co_await read_body(parser, nullptr, 0, &push.timestamp);
    if (!received) {
        co_return co_await send_error(request, received.error());
    }
    auto work = [&store = desk.store, push = std::move(push)] { return commit_push(store, push); };
    const auto committed = co_await run_blocking(shared_->pool, std::move(work));
    if (!committed) {
        co_return co_await send_error(request, committed.error());
    }
    log_event(LogLevel::info, "push.committed",
              {{"publisher", publisher},
               {"targets", std::to_string(committed->targets)},
               {"packs", std::to_string(committed->packs)}});
    auto cleaning = [&store = desk.store, publisher] {
        store.remove_all(publisher);
        return true;
    };
    co_await run_blocking(shared_->pool, std::move(cleaning));
    const nlohmann::json reply = {{"targets", committed->targets}, {"packs", committed->packs}};
    co_return co_await send_text(request, http::status::ok, "application/json",
                                 reply.dump() + "\n");
}

} // namespace slipway::seeder
