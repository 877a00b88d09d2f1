#include "common/trust/metadata.h"

#include <cassert>
#include <set>
#include <utility>

#include <openssl/evp.h>

#include "common/core/errc.h"
#include "common/core/sha256.h"
#include "common/trust/canonical_json.h"
#include "common/trust/utc_time.h"

namespace slipway::trust {
namespace {

using nlohmann::json;

// Integers that every JSON reader keeps exactly. A version this high can still grow by one.
constexpr std::uint64_t integer_max = (std::uint64_t{1} << 53U) - 2;

/// Reads fields of objects and remembers the first thing that was wrong; what is read after that
/// is empty. So parsing reads as a list of fields, and no field goes unchecked.
class Fields {
public:
    explicit Fields(std::string_view what) : what_(what) {}

    void refuse(const std::string& why) {
        if (complaint_.empty()) {
            complaint_ = why;
        }
    }
    [[nodiscard]] bool good() const { return complaint_.empty(); }
    [[nodiscard]] std::string_view what() const { return what_; }
    [[nodiscard]] tl::unexpected<Error> failure() const {
        return fail(Errc::verification_failed, std::string(what_) + ": " + complaint_);
    }

    /// The member, or null with a complaint if it is missing.
    const json& member(const json& object, const char* name) {
        static const json none;
        const auto found = object.is_object() ? object.find(name) : object.end();
        if (!object.is_object() || found == object.end()) {
            refuse(std::string("no \"") + name + "\"");
            return none;
        }
        return *found;
    }
    const json& object(const json& parent, const char* name, std::size_t size_max) {
        return container(member(parent, name), name, json::value_t::object, size_max);
    }
    const json& array(const json& parent, const char* name, std::size_t size_max) {
        return container(member(parent, name), name, json::value_t::array, size_max);
    }
    std::string text(const json& value, const char* name, std::size_t size_max) {
        if (!value.is_string() || value.get_ref<const std::string&>().size() > size_max) {
            refuse(std::string("\"") + name + "\" is not a string of up to " +
                   std::to_string(size_max) + " bytes");
            return {};
        }
        return value.get<std::string>();
    }
    std::uint64_t integer(const json& value, const char* name, std::uint64_t min) {
        if (!value.is_number_unsigned() || value.get<std::uint64_t>() < min ||
            value.get<std::uint64_t>() > integer_max) {
            refuse(std::string("\"") + name + "\" is not an integer from " + std::to_string(min));
            return min;
        }
        return value.get<std::uint64_t>();
    }
    bool boolean(const json& value, const char* name) {
        if (!value.is_boolean()) {
            refuse(std::string("\"") + name + "\" is not true or false");
            return false;
        }
        return value.get<bool>();
    }

private:
    const json& container(const json& value, const char* name, json::value_t type,
                          std::size_t size_max) {
        static const json empty_object = json::object();
        static const json empty_array = json::array();
        if (value.type() != type || value.size() > size_max) {
            refuse(std::string("\"") + name + "\" is not an " + value_type_name(type) +
                   " of up to " + std::to_string(size_max) + " members");
            return type == json::value_t::object ? empty_object : empty_array;
        }
        return value; // NOLINT(bugprone-return-const-ref-from-parameter): never a temporary.
    }
    static const char* value_type_name(json::value_t type) {
        return type == json::value_t::object ? "object" : "array";
    }

    std::string_view what_;
    std::string complaint_;
};

constexpr std::size_t unbounded = SIZE_MAX; // Bounded by the size of the file.
constexpr std::size_t short_text = 128;
constexpr std::size_t hashes_max = 16;

std::map<std::string, std::string> read_hashes(Fields& fields, const json& hashes) {
    std::map<std::string, std::string> out;
    for (const auto& [algorithm, digest] : hashes.items()) {
        out[algorithm] = fields.text(digest, "hashes", short_text);
    }
    return out;
}

Header read_header(Fields& fields, const json& body, const char* type) {
    if (fields.text(fields.member(body, "_type"), "_type", short_text) != type) {
        fields.refuse(std::string("\"_type\" is not \"") + type + "\" (arbitrary software attack)");
    }
    // Any 1.x: by semantic versioning a later minor version adds only what may be ignored.
    const auto spec = fields.text(fields.member(body, "spec_version"), "spec_version", short_text);
    if (!spec.starts_with("1.")) {
        fields.refuse("\"spec_version\" is not 1.x");
    }
    Header out;
    out.version = fields.integer(fields.member(body, "version"), "version", 1);
    const auto expires =
        parse_utc(fields.text(fields.member(body, "expires"), "expires", short_text));
    if (expires) {
        out.expires = *expires;
    } else {
        fields.refuse("\"expires\": " + expires.error().context);
    }
    return out;
}

KeyRing read_keys(Fields& fields, const json& parent) {
    KeyRing out;
    for (const auto& [id, value] : fields.object(parent, "keys", limits::keys).items()) {
        auto key = PublicKey::from_json(value, "key");
        if (!key) {
            fields.refuse(key.error().context);
        } else if (key->id() == id) {
            out.emplace(id, std::move(*key));
        }
    }
    return out;
}

RoleKeys read_role_keys(Fields& fields, const json& role) {
    RoleKeys out;
    std::set<std::string> seen;
    for (const auto& id : fields.array(role, "keyids", limits::keys)) {
        out.key_ids.push_back(fields.text(id, "keyids", short_text));
        if (!seen.insert(out.key_ids.back()).second) {
            fields.refuse("a role lists one key id twice (threshold not met)");
        }
    }
    out.threshold = fields.integer(fields.member(role, "threshold"), "threshold", 1);
    return out;
}

FileDescription read_description(Fields& fields, const json& value) {
    FileDescription out;
    out.version = fields.integer(fields.member(value, "version"), "version", 1);
    if (value.is_object() && value.contains("length")) {
        out.length = fields.integer(value["length"], "length", 0);
    }
    if (value.is_object() && value.contains("hashes")) {
        out.hashes = read_hashes(fields, fields.object(value, "hashes", hashes_max));
    }
    return out;
}

TargetFile read_target(Fields& fields, const json& value) {
    TargetFile out;
    out.length = fields.integer(fields.member(value, "length"), "length", 0);
    out.hashes = read_hashes(fields, fields.object(value, "hashes", hashes_max));
    if (out.hashes.empty()) {
        fields.refuse("a target has no hash");
    }
    if (value.is_object() && value.contains("custom")) {
        out.custom = fields.object(value, "custom", unbounded).dump();
    }
    return out;
}

std::vector<std::string> read_patterns(Fields& fields, const json& role, const char* name) {
    std::vector<std::string> out;
    for (const auto& pattern : fields.array(role, name, unbounded)) {
        out.push_back(fields.text(pattern, name, limits::name_bytes));
    }
    return out;
}

bool is_top_level(const std::string& name) {
    return name == "root" || name == "timestamp" || name == "snapshot" || name == "targets";
}

Delegation read_delegation(Fields& fields, const json& role) {
    Delegation out;
    out.name = fields.text(fields.member(role, "name"), "name", limits::role_name_bytes);
    if (out.name.empty() || is_top_level(out.name) ||
        escape_role_name(out.name).size() > limits::role_name_bytes) {
        fields.refuse("a delegated role's name is empty, too long, or a top-level role's");
    }
    out.keys = read_role_keys(fields, role);
    if (role.is_object() && role.contains("terminating")) {
        out.terminating = fields.boolean(role["terminating"], "terminating");
    }
    if (role.is_object() && role.contains("paths")) {
        out.paths = read_patterns(fields, role, "paths");
    }
    if (role.is_object() && role.contains("path_hash_prefixes")) {
        out.path_hash_prefixes = read_patterns(fields, role, "path_hash_prefixes");
        if (role.contains("paths")) {
            fields.refuse("a delegation has both \"paths\" and \"path_hash_prefixes\"");
        }
    }
    return out;
}

void read_delegations(Fields& fields, const json& body, Targets& out) {
    const auto& delegations = fields.object(body, "delegations", unbounded);
    out.keys = read_keys(fields, delegations);
    std::set<std::string> seen;
    for (const auto& role : fields.array(delegations, "roles", limits::delegations_listed)) {
        out.delegations.push_back(read_delegation(fields, role));
        if (!seen.insert(out.delegations.back().name).second) {
            fields.refuse("two delegations of one name");
        }
    }
}

template <typename T>
Result<T> finished(const Fields& fields, T value) {
    if (!fields.good()) {
        return fields.failure();
    }
    return value;
}

std::string digest_of(ByteSpan bytes, const EVP_MD* algorithm) {
    Bytes digest(static_cast<std::size_t>(EVP_MD_get_size(algorithm)));
    const int done =
        EVP_Digest(bytes.data(), bytes.size(), digest.data(), nullptr, algorithm, nullptr);
    assert(done == 1);
    return done == 1 ? to_hex(digest) : std::string();
}

} // namespace

Result<Envelope> parse_envelope(ByteSpan file, std::uint64_t max_bytes, std::string_view what) {
    if (file.size() > max_bytes) {
        return fail(Errc::verification_failed, std::string(what) + ": longer than " +
                                                   std::to_string(max_bytes) +
                                                   " bytes (endless data attack)");
    }
    auto parsed = parse_json(file, max_bytes, what);
    if (!parsed) {
        return tl::unexpected(parsed.error());
    }
    Fields fields(what);
    Envelope out;
    for (const auto& entry : fields.array(*parsed, "signatures", limits::signatures)) {
        const auto id = fields.text(fields.member(entry, "keyid"), "keyid", short_text);
        const auto sig = fields.text(fields.member(entry, "sig"), "sig", limits::name_bytes);
        if (!out.signatures.emplace(id, sig).second) {
            fields.refuse("two signatures under one key id (threshold not met)");
        }
    }
    out.body = fields.object(*parsed, "signed", unbounded);
    out.message = canonical_json(out.body);
    return finished(fields, std::move(out));
}

Result<Root> parse_root(const Envelope& envelope, std::string_view what) {
    Fields fields(what);
    Root out;
    out.header = read_header(fields, envelope.body, "root");
    if (envelope.body.contains("consistent_snapshot")) {
        out.consistent_snapshot =
            fields.boolean(envelope.body["consistent_snapshot"], "consistent_snapshot");
    }
    out.keys = read_keys(fields, envelope.body);
    for (const auto& [name, role] : fields.object(envelope.body, "roles", hashes_max).items()) {
        out.roles[name] = read_role_keys(fields, role);
    }
    for (const auto* name : {"root", "timestamp", "snapshot", "targets"}) {
        if (!out.roles.contains(name)) {
            fields.refuse(std::string("no role \"") + name + "\"");
        }
    }
    return finished(fields, std::move(out));
}

Result<Timestamp> parse_timestamp(const Envelope& envelope, std::string_view what) {
    Fields fields(what);
    Timestamp out;
    out.header = read_header(fields, envelope.body, "timestamp");
    const auto& meta = fields.object(envelope.body, "meta", 1);
    out.snapshot = read_description(fields, fields.member(meta, "snapshot.json"));
    return finished(fields, std::move(out));
}

Result<Snapshot> parse_snapshot(const Envelope& envelope, std::string_view what) {
    Fields fields(what);
    Snapshot out;
    out.header = read_header(fields, envelope.body, "snapshot");
    for (const auto& [name, value] : fields.object(envelope.body, "meta", unbounded).items()) {
        out.meta[name] = read_description(fields, value);
    }
    if (!out.meta.contains("targets.json")) {
        fields.refuse("\"meta\" does not list targets.json");
    }
    return finished(fields, std::move(out));
}

Result<Targets> parse_targets(const Envelope& envelope, std::string_view what) {
    Fields fields(what);
    Targets out;
    out.header = read_header(fields, envelope.body, "targets");
    for (const auto& [path, value] : fields.object(envelope.body, "targets", unbounded).items()) {
        if (path.empty() || path.size() > limits::name_bytes) {
            fields.refuse("a target's path is empty or longer than " +
                          std::to_string(limits::name_bytes) + " bytes");
        }
        out.targets[path] = read_target(fields, value);
    }
    if (envelope.body.contains("delegations")) {
        read_delegations(fields, envelope.body, out);
    }
    return finished(fields, std::move(out));
}

Result<> verify_threshold(const Envelope& envelope, const KeyRing& keys, const RoleKeys& role,
                          std::string_view what, std::string_view role_name) {
    std::set<std::string> signers; // By bare key, so that one key under two ids counts once.
    for (const auto& id : role.key_ids) {
        const auto key = keys.find(id);
        const auto signature = envelope.signatures.find(id);
        if (key == keys.end() || signature == envelope.signatures.end()) {
            continue;
        }
        const auto raw = from_hex(signature->second);
        if (raw && key->second.verifies(as_bytes(envelope.message), *raw)) {
            signers.insert(key->second.material());
        }
        if (signers.size() >= role.threshold) {
            return {};
        }
    }
    return fail(Errc::verification_failed,
                std::string(what) + ": " + std::to_string(signers.size()) + " of " +
                    std::to_string(role.threshold) + " signatures that role " +
                    std::string(role_name) +
                    " needs are valid (threshold not met: arbitrary software attack)");
}

Result<> verify_bytes(ByteSpan bytes, std::optional<std::uint64_t> length,
                      const std::map<std::string, std::string>& hashes, std::string_view what) {
    const auto refuse = [&](const std::string& why) {
        return fail(Errc::verification_failed, std::string(what) + ": " + why);
    };
    if (length && bytes.size() != *length) {
        return refuse("has " + std::to_string(bytes.size()) + " bytes where the signed metadata" +
                      " says " + std::to_string(*length) + " (mix-and-match attack)");
    }
    bool checked = hashes.empty();
    for (const auto& [algorithm, digest] : hashes) {
        const auto* method = algorithm == "sha256"   ? EVP_sha256()
                             : algorithm == "sha512" ? EVP_sha512()
                                                     : nullptr;
        if (method == nullptr) {
            continue;
        }
        checked = true;
        if (digest_of(bytes, method) != digest) {
            return refuse(algorithm + " is not the one in the signed metadata" +
                          " (mix-and-match attack)");
        }
    }
    return checked ? Result<>() : refuse("no hash of a known algorithm (sha256, sha512)");
}

Bytes encode_envelope(const json& body, const std::map<std::string, std::string>& signatures) {
    auto list = json::array();
    for (const auto& [id, signature] : signatures) {
        list.push_back({{"keyid", id}, {"sig", signature}});
    }
    const auto text = json{{"signatures", std::move(list)}, {"signed", body}}.dump();
    return {text.begin(), text.end()};
}

std::string escape_role_name(std::string_view name) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string out;
    for (const char c : name) {
        const auto byte = static_cast<unsigned char>(c);
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.' || c == '~';
        if (plain) {
            out += c;
        } else {
            out += '%';
            out += digits[byte >> 4U];
            out += digits[byte & 0xfU];
        }
    }
    return out;
}

} // namespace slipway::trust
