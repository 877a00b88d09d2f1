#include "common/repository/pusher.h"

#include <fcntl.h>

#include <algorithm>
#include <system_error>
#include <vector>

#include <nlohmann/json.hpp>

#include "common/core/errc.h"
#include "common/io/file_ops.h"
#include "common/repository/lineage.h"
#include "common/repository/mirror.h"
#include "common/repository/workspace.h"
#include "common/trust/metadata.h"

namespace slipway {
namespace fs = std::filesystem;
namespace {

using nlohmann::json;

constexpr std::uint64_t part_bytes = 8ULL * 1024 * 1024;
constexpr unsigned lock_patience_ms = 600'000;

struct Have {
    std::uint64_t bytes = 0;
    bool complete = false;
};

Result<Have> decode_have(ByteSpan reply, const std::string& what) {
    const auto parsed = json::parse(reply.begin(), reply.end(), nullptr, false);
    try {
        return Have{parsed.at("bytes").get<std::uint64_t>(), parsed.at("complete").get<bool>()};
    } catch (const json::exception&) {
        return fail(Errc::unreachable, what + ": not the answer of a seeder");
    }
}

HttpLimits part_limits() {
    HttpLimits limits;
    limits.body_bytes_max = 4096;
    limits.total_timeout = std::chrono::minutes(10);
    return limits;
}

/// For requests that the seeder reads whole files for before it answers.
HttpLimits patient_limits() {
    HttpLimits limits;
    limits.body_bytes_max = 4096;
    limits.total_timeout = std::chrono::hours(1);
    limits.bytes_per_s_min = 0;
    return limits;
}

class Push {
public:
    Push(const PushRequest& request, std::stop_token stop)
        : request_(request), stop_(std::move(stop)), http_(request.tls) {}

    Result<PushReport> run() {
        auto workspace = Workspace::open(request_.mirror, "push " + request_.artifact.text(),
                                         lock_patience_ms, request_.progress);
        if (!workspace) {
            return tl::unexpected(workspace.error());
        }
        return LocalRepository::open(request_.mirror, workspace->temporary() / "trust")
            .and_then([&](LocalRepository repository) { return send_artifact(repository); })
            .and_then([&] { return send_metadata(); })
            .and_then([&] { return commit(); })
            .map([&] { return report_; });
    }

private:
    [[nodiscard]] std::string url_of(const std::string& path) const {
        return request_.url + "/v1/push/" + path;
    }

    Result<> send_artifact(LocalRepository& repository) {
        const auto artifact = repository.load(request_.artifact);
        if (!artifact) {
            return tl::unexpected(artifact.error());
        }
        for (const auto& pack : artifact->packs.packs) {
            std::error_code error;
            // What is not in the mirror was in the repository before.
            if (!fs::exists(request_.mirror / layout::pack_path(pack.id), error)) {
                continue;
            }
            if (auto sent = send_file(layout::pack_path(pack.id)); !sent) {
                return sent;
            }
        }
        for (const auto& path : {layout::manifest_target(request_.artifact),
                                 layout::pack_map_target(request_.artifact)}) {
            auto sent = repository.trusted().find(path).and_then([&](const trust::Target& target) {
                return send_file("targets/" + trust::consistent_target_path(target));
            });
            if (!sent) {
                return sent;
            }
        }
        return {};
    }

    Result<> send_metadata() {
        return new_metadata(request_.mirror).and_then([&](const std::vector<std::string>& names) {
            for (const auto& name : names) {
                if (auto sent = send_file("metadata/" + name); !sent) {
                    return sent;
                }
            }
            return Result<>{};
        });
    }

    Result<> send_file(const std::string& path) {
        const auto file = request_.mirror / path;
        const auto url = url_of(path);
        const auto fd = open_file(file, O_RDONLY);
        std::error_code error;
        const auto bytes = fs::file_size(file, error);
        if (!fd || error) {
            return fd ? fail(error, "read " + file.string()) : tl::unexpected(fd.error());
        }
        const auto have = http_.get(url, {}, stop_).and_then([&](const Bytes& reply) {
            return decode_have(reply, url);
        });
        if (!have) {
            return tl::unexpected(have.error());
        }
        if (have->complete) {
            return {};
        }
        report_.resumed_bytes += have->bytes;
        phase("push " + path.substr(0, path.find('/')), bytes, have->bytes);
        return send_parts(fd->get(), file, url, have->bytes, bytes).and_then([&] {
            const HttpUpload finish{.method = "POST", .body = {}, .content_range = {}};
            return http_.send(url, finish, patient_limits(), stop_).map([](const Bytes&) {});
        });
    }

    Result<> send_parts(int fd, const fs::path& file, const std::string& url, std::uint64_t offset,
                        std::uint64_t total) {
        Bytes buffer(std::min(part_bytes, total));
        while (offset < total) {
            const auto part =
                std::span(buffer).first(std::min<std::uint64_t>(part_bytes, total - offset));
            const HttpUpload upload{.method = "PUT",
                                    .body = part,
                                    .content_range = "bytes " + std::to_string(offset) + "-" +
                                                     std::to_string(offset + part.size() - 1) +
                                                     "/" + std::to_string(total)};
            auto sent = pread_all(fd, part, offset, file).and_then([&] {
                return http_.send(url, upload, part_limits(), stop_).map([](const Bytes&) {});
            });
            if (!sent) {
                return sent;
            }
            offset += part.size();
            report_.sent_bytes += part.size();
            if (request_.progress != nullptr) {
                request_.progress->add(part.size());
            }
        }
        return {};
    }

    Result<> commit() {
        phase("put in place", 0, 0);
        return read_file(request_.mirror / "metadata" / "timestamp.json",
                         trust::limits::timestamp_bytes)
            .and_then([&](const Bytes& timestamp) {
                const HttpUpload upload{.method = "POST", .body = timestamp, .content_range = {}};
                return http_.send(url_of("commit"), upload, patient_limits(), stop_);
            })
            .map([](const Bytes&) {});
    }

    void phase(const std::string& name, std::uint64_t total, std::uint64_t done) const {
        if (request_.progress != nullptr) {
            request_.progress->phase(name, total);
            request_.progress->add(done);
        }
    }

    const PushRequest& request_;
    std::stop_token stop_;
    HttpClient http_;
    PushReport report_;
};

} // namespace

Result<PushReport> push_release(const PushRequest& request, const std::stop_token& stop) {
    return Push(request, stop).run().map_error([&](Error error) {
        return within("push " + request.artifact.text(), std::move(error));
    });
}

} // namespace slipway
