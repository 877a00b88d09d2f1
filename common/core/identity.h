#pragma once

#include <compare>
#include <span>
#include <string>
#include <string_view>

#include "common/core/result.h"

namespace slipway {

/// What a party is in the fleet; its certificate says so.
enum class Role { agent, seeder, publisher, human_operator, orchestrator };
[[nodiscard]] std::string_view to_string(Role role);

/// What an operator may do: each level may see everything; a deployer moves releases, an approver
/// says yes at a gate that asks for a person (and moves nothing), an admin does both and sets up.
enum class OperatorLevel { viewer, deployer, approver, admin };
[[nodiscard]] std::string_view to_string(OperatorLevel level);

/// Who is at the other end of a connection, from a URI in the certificate's subject alternative
/// names:
///
///     slipway://agent/HOST                  slipway://publisher/NAME
///     slipway://seeder/REGION               slipway://orchestrator/NAME
///     slipway://operator/NAME?role=viewer|deployer|approver|admin
///
/// The name: up to 253 bytes (a DNS name's limit) of [a-z0-9][a-z0-9._-]*, without "..".
struct Identity {
    Role role = Role::agent;
    std::string name;
    OperatorLevel level = OperatorLevel::viewer; ///< Of an operator; else viewer.
    auto operator<=>(const Identity&) const = default;

    [[nodiscard]] std::string uri() const;
    /// Without "slipway://": for messages and the command line.
    [[nodiscard]] std::string text() const;
    /// What text() gives. Error: Errc::usage, with the rule.
    [[nodiscard]] static Result<Identity> parse_text(std::string_view text);
};

/// The identity among all URIs of a certificate. URIs of other schemes are for other readers and
/// are passed over; exactly one must be of ours and well-formed, so that no two readers can take
/// one certificate for different parties. Errors: Errc::verification_failed, with what is wrong.
[[nodiscard]] Result<Identity> identity_from_uris(std::span<const std::string> uris);

/// What a party asks for.
enum class Action {
    read_repository, ///< Metadata, targets, packs, and what a seeder says about itself.
    announce,        ///< Take part in a swarm: be told of peers, and be told to them.
    push_release,    ///< Put a release into a repository.
};
[[nodiscard]] std::string_view to_string(Action action);

/// The one table of who may do what. Error: Errc::forbidden; the context says who, what, and which
/// role may.
[[nodiscard]] Result<> authorize(const Identity& who, Action what);

} // namespace slipway
