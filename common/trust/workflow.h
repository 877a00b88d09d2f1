#pragma once

#include <chrono>
#include <string_view>

#include "common/core/bytes.h"
#include "common/core/result.h"
#include "common/trust/metadata.h"

/// The checks of TUF 1.0.34 section 5 as pure functions: trusted metadata and received bytes in,
/// newly trusted metadata or the reason against it out. Client fetches and stores around them,
/// the signer builds on them.
///
/// Errors of all: Errc::verification_failed. The context names the file, the check and, where one
/// applies, the attack. `what` is the file's name for that context.
namespace slipway::trust {

/// 5.2: a root that someone vouches for. It must be signed by its own threshold.
[[nodiscard]] Result<Root> accept_first_root(ByteSpan file, std::string_view what);

/// 5.3.4 and 5.3.5: signed by both thresholds, version exactly one higher.
[[nodiscard]] Result<Root> accept_next_root(const Root& trusted, ByteSpan file,
                                            std::string_view what);

/// 5.3.11: whether `next` takes a key away from a role's keys of `before`: then attackers may have
/// had that key, and the versions that they signed must not bind the client.
[[nodiscard]] bool revokes_online_keys(const Root& before, const Root& next);

/// 5.4.2 without comparison: for a file of our own disk.
[[nodiscard]] Result<Timestamp> accept_timestamp(const Root& root, ByteSpan file,
                                                 std::string_view what);
/// 5.4.3: `next` may be equal in version, and then has to be discarded.
[[nodiscard]] Result<> check_rollback(const Timestamp& trusted, const Timestamp& next,
                                      std::string_view what);

/// 5.5.3: signatures only, for a file of our own disk.
[[nodiscard]] Result<Snapshot> accept_snapshot(const Root& root, ByteSpan file,
                                               std::string_view what);
/// 5.5.2 to 5.5.4, in that order.
[[nodiscard]] Result<Snapshot> accept_snapshot(const Root& root, const FileDescription& expected,
                                               ByteSpan file, std::string_view what);
/// 5.5.5: no targets file may shrink in version or vanish.
[[nodiscard]] Result<> check_rollback(const Snapshot& trusted, const Snapshot& next,
                                      std::string_view what);

/// Who may sign a targets role: keys of the root or of the delegating role.
struct Authority {
    const KeyRing* keys;
    const RoleKeys* role;
};
[[nodiscard]] Authority authority_of(const Root& root, const std::string& role);
[[nodiscard]] Authority authority_of(const Targets& delegator, const Delegation& delegation);

/// 5.6.3: signatures only, for a file of our own disk.
[[nodiscard]] Result<Targets> accept_targets(const Authority& authority, ByteSpan file,
                                             std::string_view what, std::string_view role);
/// 5.6.2 to 5.6.4, in that order; the same for delegated roles.
[[nodiscard]] Result<Targets> accept_targets(const Authority& authority,
                                             const FileDescription& expected, ByteSpan file,
                                             std::string_view what, std::string_view role);

/// 5.3.10, 5.4.4, 5.5.6, 5.6.5: metadata is valid before, not at, its expiry.
[[nodiscard]] Result<> check_fresh(const Header& header, std::chrono::sys_seconds now,
                                   std::string_view what);

} // namespace slipway::trust
