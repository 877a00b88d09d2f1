#include "common/trust/workflow.h"

#include <algorithm>
#include <string>
#include <utility>

#include "common/core/errc.h"
#include "common/trust/utc_time.h"

namespace slipway::trust {
namespace {

tl::unexpected<Error> refuse(std::string_view what, const std::string& why) {
    return fail(Errc::verification_failed, std::string(what) + ": " + why);
}

std::string versions(std::uint64_t got, std::uint64_t expected) {
    return "version " + std::to_string(got) + " where " + std::to_string(expected);
}

/// Signatures first, then fields: unsigned bytes meet as little code as possible.
template <typename T>
Result<T> accept(const Authority& authority, ByteSpan file, std::uint64_t bytes_max,
                 std::string_view what, std::string_view role,
                 Result<T> (*parse)(const Envelope&, std::string_view)) {
    auto envelope = parse_envelope(file, bytes_max, what);
    if (!envelope) {
        return tl::unexpected(envelope.error());
    }
    auto verified = verify_threshold(*envelope, *authority.keys, *authority.role, what, role);
    if (!verified) {
        return tl::unexpected(verified.error());
    }
    return parse(*envelope, what);
}

Result<> check_version(const Header& header, const FileDescription& expected,
                       std::string_view what) {
    if (header.version != expected.version) {
        return refuse(what, versions(header.version, expected.version) +
                                " is listed (mix-and-match attack)");
    }
    return {};
}

bool took_key_away(const RoleKeys& before, const RoleKeys& next) {
    return std::any_of(before.key_ids.begin(), before.key_ids.end(), [&](const std::string& id) {
        return std::find(next.key_ids.begin(), next.key_ids.end(), id) == next.key_ids.end();
    });
}

} // namespace

Result<Root> accept_first_root(ByteSpan file, std::string_view what) {
    const auto envelope = parse_envelope(file, limits::root_bytes, what);
    if (!envelope) {
        return tl::unexpected(envelope.error());
    }
    auto root = parse_root(*envelope, what);
    if (!root) {
        return root;
    }
    const auto verified =
        verify_threshold(*envelope, root->keys, root->roles.at("root"), what, "root");
    if (!verified) {
        return tl::unexpected(verified.error());
    }
    return root;
}

Result<Root> accept_next_root(const Root& trusted, ByteSpan file, std::string_view what) {
    auto by_trusted = accept(authority_of(trusted, "root"), file, limits::root_bytes, what,
                             "root of the trusted version", parse_root);
    if (!by_trusted) {
        return by_trusted;
    }
    auto next = accept_first_root(file, what);
    if (next && next->header.version != trusted.header.version + 1) {
        return refuse(what, versions(next->header.version, trusted.header.version + 1) +
                                " is due (rollback attack)");
    }
    return next;
}

bool revokes_online_keys(const Root& before, const Root& next) {
    return took_key_away(before.roles.at("timestamp"), next.roles.at("timestamp")) ||
           took_key_away(before.roles.at("snapshot"), next.roles.at("snapshot"));
}

Result<Timestamp> accept_timestamp(const Root& root, ByteSpan file, std::string_view what) {
    return accept(authority_of(root, "timestamp"), file, limits::timestamp_bytes, what, "timestamp",
                  parse_timestamp);
}

Result<> check_rollback(const Timestamp& trusted, const Timestamp& next, std::string_view what) {
    if (next.header.version < trusted.header.version) {
        return refuse(what, versions(next.header.version, trusted.header.version) +
                                " is trusted already (rollback attack)");
    }
    const bool newer = next.header.version > trusted.header.version;
    if (newer && next.snapshot.version < trusted.snapshot.version) {
        return refuse(what, "lists snapshot " +
                                versions(next.snapshot.version, trusted.snapshot.version) +
                                " is trusted already (rollback attack)");
    }
    return {};
}

Result<Snapshot> accept_snapshot(const Root& root, ByteSpan file, std::string_view what) {
    return accept(authority_of(root, "snapshot"), file, limits::snapshot_bytes, what, "snapshot",
                  parse_snapshot);
}

Result<Snapshot> accept_snapshot(const Root& root, const FileDescription& expected, ByteSpan file,
                                 std::string_view what) {
    auto intact = verify_bytes(file, expected.length, expected.hashes, what);
    if (!intact) {
        return tl::unexpected(intact.error());
    }
    auto snapshot = accept_snapshot(root, file, what);
    if (!snapshot) {
        return snapshot;
    }
    auto same = check_version(snapshot->header, expected, what);
    if (!same) {
        return tl::unexpected(same.error());
    }
    return snapshot;
}

Result<> check_rollback(const Snapshot& trusted, const Snapshot& next, std::string_view what) {
    for (const auto& [name, before] : trusted.meta) {
        const auto now = next.meta.find(name);
        if (now == next.meta.end()) {
            return refuse(what, "no longer lists " + name + " (rollback attack)");
        }
        if (now->second.version < before.version) {
            return refuse(what, "lists " + name + " " +
                                    versions(now->second.version, before.version) +
                                    " is trusted already (rollback attack)");
        }
    }
    return {};
}

Authority authority_of(const Root& root, const std::string& role) {
    return {&root.keys, &root.roles.at(role)};
}

Authority authority_of(const Targets& delegator, const Delegation& delegation) {
    return {&delegator.keys, &delegation.keys};
}

Result<Targets> accept_targets(const Authority& authority, ByteSpan file, std::string_view what,
                               std::string_view role) {
    return accept(authority, file, limits::targets_bytes, what, role, parse_targets);
}

Result<Targets> accept_targets(const Authority& authority, const FileDescription& expected,
                               ByteSpan file, std::string_view what, std::string_view role) {
    auto intact = verify_bytes(file, expected.length, expected.hashes, what);
    if (!intact) {
        return tl::unexpected(intact.error());
    }
    auto targets = accept_targets(authority, file, what, role);
    if (!targets) {
        return targets;
    }
    auto same = check_version(targets->header, expected, what);
    if (!same) {
        return tl::unexpected(same.error());
    }
    return targets;
}

Result<> check_fresh(const Header& header, std::chrono::sys_seconds now, std::string_view what) {
    if (header.expires <= now) {
        return refuse(what, "expired at " + format_utc(header.expires) + ", it is " +
                                format_utc(now) + " here (freeze attack, or a wrong clock)");
    }
    return {};
}

} // namespace slipway::trust
