#include "common/core/identity.h"

#include <algorithm>
#include <array>
#include <optional>

#include "common/core/errc.h"

namespace slipway {
namespace {

constexpr std::string_view scheme = "slipway://";
constexpr std::string_view level_query = "?role=";
constexpr std::size_t name_bytes_max = 253;
constexpr std::size_t shown_bytes_max = 100;

constexpr std::array all_roles{Role::agent, Role::seeder, Role::publisher, Role::human_operator,
                               Role::orchestrator};
constexpr std::array all_levels{OperatorLevel::viewer, OperatorLevel::deployer,
                                OperatorLevel::approver, OperatorLevel::admin};

bool is_lower_or_digit(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool is_name(std::string_view name) {
    return !name.empty() && name.size() <= name_bytes_max && is_lower_or_digit(name.front()) &&
           name.find("..") == std::string_view::npos && std::ranges::all_of(name, [](char c) {
               return is_lower_or_digit(c) || c == '.' || c == '_' || c == '-';
           });
}

template <typename T, std::size_t N>
std::optional<T> named(const std::array<T, N>& all, std::string_view name) {
    const auto found = std::ranges::find(all, name, [](T one) { return to_string(one); });
    return found == all.end() ? std::nullopt : std::optional(*found);
}

std::optional<Identity> parse(std::string_view text) {
    const auto slash = text.find('/');
    const auto role = named(all_roles, text.substr(0, slash));
    if (slash == std::string_view::npos || !role) {
        return std::nullopt;
    }
    Identity identity;
    identity.role = *role;
    auto rest = text.substr(slash + 1);
    if (role == Role::human_operator) {
        const auto query = std::min(rest.find(level_query), rest.size());
        const auto level = query == rest.size()
                               ? std::nullopt
                               : named(all_levels, rest.substr(query + level_query.size()));
        if (!level) {
            return std::nullopt;
        }
        identity.level = *level;
        rest = rest.substr(0, query);
    }
    identity.name = rest;
    return is_name(rest) ? std::optional(std::move(identity)) : std::nullopt;
}

// Letters of another case are ours too, though never well-formed: what looks like an identity to
// one reader must not be passed over by another.
bool is_ours(std::string_view uri) {
    constexpr std::string_view name = "slipway:";
    return uri.size() >= name.size() &&
           std::equal(name.begin(), name.end(), uri.begin(), [](char mine, char c) {
               const bool upper = c >= 'A' && c <= 'Z';
               return mine == (upper ? c - 'A' + 'a' : c);
           });
}

std::string quoted(std::string_view text) {
    return "'" + std::string(text.substr(0, shown_bytes_max)) +
           (text.size() > shown_bytes_max ? "...'" : "'");
}

bool may(Role role, Action what) {
    switch (what) {
    case Action::read_repository:
        return true;
    case Action::announce:
        return role == Role::agent || role == Role::seeder || role == Role::orchestrator;
    case Action::push_release:
        return role == Role::publisher;
    }
    return false;
}

std::string roles_that_may(Action what) {
    std::string names;
    for (const auto role : all_roles) {
        if (may(role, what)) {
            names += (names.empty() ? "" : ", ") + std::string(to_string(role));
        }
    }
    return names;
}

} // namespace

std::string_view to_string(Role role) {
    switch (role) {
    case Role::agent:
        return "agent";
    case Role::seeder:
        return "seeder";
    case Role::publisher:
        return "publisher";
    case Role::human_operator:
        return "operator";
    case Role::orchestrator:
        return "orchestrator";
    }
    return "unknown";
}

std::string_view to_string(OperatorLevel level) {
    switch (level) {
    case OperatorLevel::viewer:
        return "viewer";
    case OperatorLevel::deployer:
        return "deployer";
    case OperatorLevel::approver:
        return "approver";
    case OperatorLevel::admin:
        return "admin";
    }
    return "unknown";
}

std::string_view to_string(Action action) {
    switch (action) {
    case Action::read_repository:
        return "read the repository";
    case Action::announce:
        return "announce to the tracker";
    case Action::push_release:
        return "push a release";
    }
    return "unknown";
}

std::string Identity::text() const {
    auto out = std::string(to_string(role)) + "/" + name;
    if (role == Role::human_operator) {
        out += std::string(level_query) + std::string(to_string(level));
    }
    return out;
}

std::string Identity::uri() const {
    return std::string(scheme) + text();
}

Result<Identity> Identity::parse_text(std::string_view text) {
    auto identity = parse(text);
    if (!identity) {
        return fail(Errc::usage, quoted(text) +
                                     " is not agent/HOST, seeder/REGION, publisher/NAME, "
                                     "orchestrator/NAME or "
                                     "operator/NAME?role=viewer|deployer|approver|admin "
                                     "with a name of [a-z0-9._-], up to 253 bytes");
    }
    return std::move(*identity);
}

Result<Identity> identity_from_uris(std::span<const std::string> uris) {
    const std::string* ours = nullptr;
    for (const auto& uri : uris) {
        if (!is_ours(uri)) {
            continue;
        }
        if (ours != nullptr) {
            return fail(Errc::verification_failed, "the certificate names two identities, " +
                                                       quoted(*ours) + " and " + quoted(uri) +
                                                       "; it must name one");
        }
        ours = &uri;
    }
    if (ours == nullptr) {
        return fail(Errc::verification_failed,
                    "the certificate names no identity: it needs a URI like slipway://agent/HOST "
                    "in its subject alternative names");
    }
    auto identity = ours->starts_with(scheme) ? parse(std::string_view(*ours).substr(scheme.size()))
                                              : std::nullopt;
    if (!identity) {
        return fail(Errc::verification_failed,
                    "the certificate's " + quoted(*ours) + " is not a well-formed identity");
    }
    return std::move(*identity);
}

Result<> authorize(const Identity& who, Action what) {
    if (may(who.role, what)) {
        return {};
    }
    return fail(Errc::forbidden, who.text() + " may not " + std::string(to_string(what)) +
                                     "; the role that may: " + roles_that_may(what));
}

} // namespace slipway
