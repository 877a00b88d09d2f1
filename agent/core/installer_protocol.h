#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/core/fetch_plan.h"
#include "agent/core/release_id.h"
#include "common/core/bytes.h"
#include "common/core/errc.h"
#include "common/format/pack.h"

namespace slipway::agent {

/// What slipway-agent and slipway-installer say to each other: one JSON object a message, one
/// message a packet of a UNIX SOCK_SEQPACKET socket. docs/installer.md has each field.
inline constexpr std::uint64_t installer_protocol_version = 1;
inline constexpr std::size_t installer_message_bytes_max = 64UL * 1024;
inline constexpr std::size_t listed_max = 256; ///< Releases, or ranges of packs, in a reply.

enum class InstallerOp { hello, build, switch_to, roll_back, collect_garbage, status, cancel };
[[nodiscard]] std::string_view to_string(InstallerOp op);

/// Names and a digest, never bytes. Any request may be sent again: what is done is not done twice.
struct InstallerRequest {
    std::uint64_t id = 0; ///< Chosen by the client; replies carry it.
    InstallerOp op = InstallerOp::hello;
    std::string service;                ///< All but hello and cancel.
    std::optional<ArtifactId> artifact; ///< build.
    std::optional<Sha256Digest> digest; ///< build: of the manifest.
    std::optional<ReleaseId> release;   ///< switch; roll_back: where to.
    std::optional<ReleaseId> from;      ///< roll_back: what is left; nothing is done if gone.
    std::uint64_t keep = 0;             ///< gc: releases beside current and previous.
    std::vector<ReleaseId> also = {};   ///< gc: these stay as well; listed_max at most.
    bool operator==(const InstallerRequest&) const = default;
};

enum class ReplyKind { progress, done, failed };

struct InstallerReply {
    std::uint64_t id = 0;
    ReplyKind kind = ReplyKind::done;
    // progress
    std::string phase;
    std::uint64_t total_bytes = 0;
    // done
    std::optional<ReleaseId> release;  ///< build: what was built; else what is current.
    std::optional<ReleaseId> previous; ///< What a rollback leads to.
    std::vector<ReleaseId> releases;   ///< status: all that are whole.
    std::uint64_t removed = 0;         ///< gc.
    // failed
    std::uint64_t status = 0; ///< As an exit status: 3 is a failed verification.
    std::string why;
    std::vector<std::pair<PackId, Range>> missing; ///< build: fetch this, then ask again.
    bool operator==(const InstallerReply&) const = default;
};

[[nodiscard]] std::string encode_request(const InstallerRequest& request);
[[nodiscard]] std::string encode_reply(const InstallerReply& reply);
/// Errors: Errc::verification_failed (not of this form, too long, another version) or Errc::usage
/// (a bad name, or a field that the operation needs is not there).
[[nodiscard]] Result<InstallerRequest> decode_request(ByteSpan message);
[[nodiscard]] Result<InstallerReply> decode_reply(ByteSpan message);

/// A failed reply and the error that it tells of.
[[nodiscard]] InstallerReply failure(std::uint64_t id, const Error& error);
[[nodiscard]] Error error_of(const InstallerReply& failed);

} // namespace slipway::agent
