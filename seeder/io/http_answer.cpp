#include "seeder/io/http_answer.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "common/core/errc.h"
#include "common/io/blocking.h"
#include "common/metrics/metrics.h"
#include "seeder/io/address_bytes.h"

namespace slipway::seeder {
namespace {

constexpr std::size_t send_bytes = 256UL * 1024;

// RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS (openat2(2)): whatever the path says and whatever stands
// in the repository, nothing outside it is opened.
Result<OpenedFile> open_beneath(int directory, const std::string& path) {
    open_how how{};
    how.flags = O_RDONLY | O_CLOEXEC;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
    OpenedFile file;
    file.fd = Fd(static_cast<int>(
        ::syscall(SYS_openat2, directory, path.c_str(), &how, sizeof how))); // NOLINT
    struct stat info{};
    if (!file.fd || ::fstat(file.fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
        return fail(Errc::not_found, path);
    }
    file.bytes = static_cast<std::uint64_t>(info.st_size);
    return file;
}

/// What the tracker and the repository's files are to the table of who may do what.
Action action_of(std::string_view path) {
    if (path.starts_with("/v1/push/")) {
        return Action::push_release;
    }
    return path == "/announce" || path == "/scrape" || path == "/v1/swarms"
               ? Action::announce
               : Action::read_repository;
}

} // namespace

Result<> Answer::check_allowed(Action action) const {
    return request_.peer ? authorize(*request_.peer, action) : Result<>{};
}

std::string Answer::announce(std::string_view query) {
    const auto parsed = parse_announce(query, address_bytes(request_.remote.address()));
    if (!parsed) {
        const auto why = describe(parsed.error());
        return "d14:failure reason" + std::to_string(why.size()) + ":" + why + "e";
    }
    const PeerEndpoint self{.address = address_bytes(request_.local.address()),
                            .port = shared_.options.bittorrent_port};
    return shared_.tracker.announce(*parsed, self, std::chrono::steady_clock::now());
}

std::string Answer::describe_seeder() const {
    const nlohmann::json description = {{"version", 1},
                                        {"region", shared_.options.region},
                                        {"assigns", true},
                                        {"bittorrent",
                                         {{"ip", request_.local.address().to_string()},
                                          {"port", shared_.options.bittorrent_port}}}};
    return description.dump() + "\n";
}

net::awaitable<void> Answer::run() {
    const std::string_view path = request_.path;
    const std::string_view query = request_.query;
    if (path == "/healthz") {
        co_return co_await send_text(200, "text/plain", "ok\n");
    }
    if (const auto allowed = check_allowed(action_of(path)); !allowed) {
        co_return co_await send_text(403, "text/plain", allowed.error().context + "\n");
    }
    if (path.starts_with("/v1/push/")) {
        co_return co_await answer_push();
    }
    if (path == "/v1/swarms" && request_.method == "POST") {
        co_return co_await shared_.desk.answer(exchange_);
    }
    if (request_.method != "GET" && request_.method != "HEAD") {
        co_return co_await send_text(405, "text/plain", "only GET and HEAD are answered here\n");
    }
    if (path == "/announce") {
        co_return co_await send_text(200, "text/plain", announce(query));
    }
    if (path == "/scrape") {
        const auto hashes = parse_scrape(query);
        const auto now = std::chrono::steady_clock::now();
        auto reply = hashes ? shared_.tracker.scrape(*hashes, now) : std::string("de");
        co_return co_await send_text(200, "text/plain", std::move(reply));
    }
    if (path == "/v1/seeder") {
        co_return co_await send_text(200, "application/json", describe_seeder());
    }
    if (path == "/metrics") {
        co_return co_await send_text(200, Metrics::content_type, shared_.options.metrics_text());
    }
    if (auto file = repository_path(path)) {
        co_return co_await send_file(std::move(*file));
    }
    co_return co_await send_text(404, "text/plain", "no such file in the repository\n");
}

net::awaitable<void> Answer::send_text(int status, std::string type, std::string text) {
    http::Head head;
    head.status = status;
    head.type = std::move(type);
    co_await exchange_.send(std::move(head), std::move(text));
}

net::awaitable<void> Answer::send_file(std::string path) {
    auto opening = [directory = shared_.directory.get(), path] {
        return open_beneath(directory, path);
    };
    auto file = co_await run_blocking(shared_.pool, std::move(opening));
    if (!file) {
        co_return co_await send_text(404, "text/plain", "no such file in the repository\n");
    }
    const auto range = range_to_send(exchange_.header("Range"), file->bytes);
    http::Head head;
    head.type = "application/octet-stream";
    head.fields.emplace_back("Accept-Ranges", "bytes");
    if (!range) {
        head.status = 416;
        head.fields.emplace_back("Content-Range", "bytes */" + std::to_string(file->bytes));
    }
    head.bytes = range ? range->bytes : 0;
    if (range && range->partial) {
        head.status = 206;
        head.fields.emplace_back("Content-Range",
                                 "bytes " + std::to_string(range->offset) + "-" +
                                     std::to_string(range->offset + range->bytes - 1) + "/" +
                                     std::to_string(file->bytes));
    }
    const auto begun = co_await exchange_.begin(std::move(head));
    if (begun && range && request_.method != "HEAD") {
        co_await send_bytes_of(std::move(*file), *range);
    }
}

net::awaitable<void> Answer::send_bytes_of(OpenedFile file, FileRange range) {
    Bytes buffer(std::min<std::uint64_t>(send_bytes, range.bytes));
    while (range.bytes > 0) {
        const auto part =
            std::span(buffer).first(std::min<std::uint64_t>(buffer.size(), range.bytes));
        auto reading = [fd = file.fd.get(), part, offset = range.offset] {
            return pread_all(fd, part, offset, "repository file");
        };
        const auto read = co_await run_blocking(shared_.pool, std::move(reading));
        if (!read) {
            co_return; // The file shrank: the length promised cannot be kept.
        }
        const auto sent = co_await exchange_.write(part);
        if (!sent) {
            co_return;
        }
        shared_.metrics.http_sent(part.size());
        range.offset += part.size();
        range.bytes -= part.size();
    }
}

} // namespace slipway::seeder
