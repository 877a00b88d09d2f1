#include "agent/core/installer_protocol.h"

#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>

#include "common/trust/canonical_json.h"

namespace slipway::agent {
namespace {

using nlohmann::json;

constexpr std::array<std::pair<InstallerOp, std::string_view>, 7> op_names{
    {{InstallerOp::hello, "hello"},
     {InstallerOp::build, "build"},
     {InstallerOp::switch_to, "switch"},
     {InstallerOp::roll_back, "rollback"},
     {InstallerOp::collect_garbage, "gc"},
     {InstallerOp::status, "status"},
     {InstallerOp::cancel, "cancel"}}};

constexpr std::array<std::pair<ReplyKind, std::string_view>, 3> kind_names{
    {{ReplyKind::progress, "progress"}, {ReplyKind::done, "done"}, {ReplyKind::failed, "failed"}}};

// Longer reasons are cut: a reply always fits its packet. A byte may become six characters.
constexpr std::size_t why_bytes_max = 1'024;
constexpr std::size_t phase_bytes_max = 64;

std::string cut(const std::string& text, std::size_t bytes_max) {
    auto end = std::min(text.size(), bytes_max);
    while (end > 0 && end < text.size() &&
           (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80) {
        --end; // Not in the middle of a character.
    }
    return text.substr(0, end);
}

std::string dump(const json& value) {
    return value.dump(-1, ' ', true, json::error_handler_t::replace);
}

tl::unexpected<Error> malformed(const std::string& why) {
    return fail(Errc::verification_failed, "message of the installer protocol: " + why);
}

// Reads the fields of one message; the first that is wrong is the error.
class Fields {
public:
    explicit Fields(const json& object) : object_(object) {}

    template <typename Parse>
    auto text(const char* key, Parse parse) {
        using Value = typename decltype(parse(std::string()))::value_type;
        std::optional<Value> value;
        if (const auto found = object_.find(key); found != object_.end()) {
            if (!found->is_string()) {
                note({Errc::verification_failed, std::string(key) + " is not a string"});
            } else if (auto parsed = parse(found->template get<std::string>())) {
                value = std::move(*parsed);
            } else {
                note(std::move(parsed.error()));
            }
        }
        return value;
    }
    std::string text(const char* key) {
        return text(key, [](std::string value) { return Result<std::string>(std::move(value)); })
            .value_or("");
    }
    std::uint64_t number(const char* key) {
        const auto found = object_.find(key);
        if (found == object_.end()) {
            return 0;
        }
        if (!found->is_number_unsigned()) {
            note({Errc::verification_failed, std::string(key) + " is not a number"});
            return 0;
        }
        return found->get<std::uint64_t>();
    }
    const json& list(const char* key) {
        static const json none = json::array();
        const auto found = object_.find(key);
        if (found == object_.end()) {
            return none;
        }
        if (!found->is_array() || found->size() > listed_max) {
            note({Errc::verification_failed, std::string(key) + " is not a list, or too long"});
            return none;
        }
        return *found;
    }
    void note(Error error) {
        if (!first_) {
            first_ = std::move(error);
        }
    }
    void need(bool there, const char* what) {
        if (!there) {
            note({Errc::usage, std::string("the operation needs ") + what});
        }
    }
    template <typename Value>
    Result<Value> checked(Value value) {
        if (first_) {
            return tl::unexpected(within("message of the installer protocol", std::move(*first_)));
        }
        return value;
    }

private:
    const json& object_;
    std::optional<Error> first_;
};

Result<json> parse(ByteSpan message) {
    return parse_json(message, installer_message_bytes_max, "message of the installer protocol")
        .and_then([](json value) -> Result<json> {
            if (!value.is_object() || !value.contains("version")) {
                return malformed("not an object with a version");
            }
            if (value["version"] != installer_protocol_version) {
                return malformed("version " + value["version"].dump().substr(0, 20) +
                                 "; this program speaks version " +
                                 std::to_string(installer_protocol_version));
            }
            return value;
        });
}

void check_needs(Fields& fields, const InstallerRequest& request) {
    const bool on_service = request.op != InstallerOp::hello && request.op != InstallerOp::cancel;
    fields.need(!on_service || !request.service.empty(), "a service");
    if (request.op == InstallerOp::build) {
        fields.need(request.artifact && request.digest, "artifact and digest");
    } else if (request.op == InstallerOp::switch_to) {
        fields.need(request.release.has_value(), "a release");
    } else if (request.op == InstallerOp::roll_back) {
        fields.need(request.release || request.from, "release or from");
    }
}

Result<std::pair<PackId, Range>> decode_missing(const json& value) {
    if (!value.is_object()) {
        return malformed("missing is not a list of objects");
    }
    Fields fields(value);
    const auto root =
        fields.text("pack", [](const std::string& hex) { return Sha256Digest::from_hex(hex); });
    fields.need(root.has_value(), "a pack");
    const PackId pack{root.value_or(Sha256Digest{}), fields.number("pack_bytes")};
    const Range range{fields.number("offset"), fields.number("bytes")};
    if (range.offset > pack.bytes || range.bytes > pack.bytes - range.offset) {
        fields.note({Errc::verification_failed, "a range beyond its pack"});
    }
    return fields.checked(std::pair(pack, range));
}

void add_done(json& value, const InstallerReply& reply) {
    if (reply.release) {
        value["release"] = reply.release->text;
    }
    if (reply.previous) {
        value["previous"] = reply.previous->text;
    }
    if (reply.removed != 0) {
        value["removed"] = reply.removed;
    }
    for (const auto& release : reply.releases) {
        value["releases"].push_back(release.text);
    }
}

void add_failed(json& value, const InstallerReply& reply) {
    value["status"] = reply.status;
    value["why"] = cut(reply.why, why_bytes_max);
    for (const auto& [pack, range] : reply.missing) {
        value["missing"].push_back({{"pack", pack.name()},
                                    {"pack_bytes", pack.bytes},
                                    {"offset", range.offset},
                                    {"bytes", range.bytes}});
    }
}

} // namespace

std::string_view to_string(InstallerOp op) {
    return std::ranges::find(op_names, op, &decltype(op_names)::value_type::first)->second;
}

std::string encode_request(const InstallerRequest& request) {
    json value = {
        {"version", installer_protocol_version}, {"id", request.id}, {"op", to_string(request.op)}};
    if (!request.service.empty()) {
        value["service"] = request.service;
    }
    if (request.artifact) {
        value["artifact"] = request.artifact->text();
    }
    if (request.digest) {
        value["digest"] = request.digest->hex();
    }
    if (request.release) {
        value["release"] = request.release->text;
    }
    if (request.from) {
        value["from"] = request.from->text;
    }
    if (request.keep != 0) {
        value["keep"] = request.keep;
    }
    for (const auto& release : request.also) {
        value["also"].push_back(release.text);
    }
    return dump(value);
}

Result<InstallerRequest> decode_request(ByteSpan message) {
    return parse(message).and_then([](const json& value) {
        Fields fields(value);
        InstallerRequest request;
        request.id = fields.number("id");
        const auto name = fields.text("op");
        const auto* const op =
            std::ranges::find(op_names, name, &decltype(op_names)::value_type::second);
        if (op == op_names.end()) {
            fields.note({Errc::verification_failed, "an operation that is not known"});
        } else {
            request.op = op->first;
        }
        request.service = fields.text("service", parse_service_name).value_or("");
        request.artifact = fields.text("artifact", ArtifactId::parse);
        request.digest = fields.text("digest", Sha256Digest::from_hex);
        request.release = fields.text("release", ReleaseId::parse);
        request.from = fields.text("from", ReleaseId::parse);
        request.keep = fields.number("keep");
        for (const auto& text : fields.list("also")) {
            auto id = text.is_string() ? ReleaseId::parse(text.get<std::string>())
                                       : malformed("also is not a list of names");
            if (id) {
                request.also.push_back(std::move(*id));
            } else {
                fields.note(std::move(id.error()));
            }
        }
        check_needs(fields, request);
        return fields.checked(std::move(request));
    });
}

std::string encode_reply(const InstallerReply& reply) {
    const auto* const kind =
        std::ranges::find(kind_names, reply.kind, &decltype(kind_names)::value_type::first);
    json value = {
        {"version", installer_protocol_version}, {"id", reply.id}, {"type", kind->second}};
    if (reply.kind == ReplyKind::progress) {
        value["phase"] = cut(reply.phase, phase_bytes_max);
        value["total_bytes"] = reply.total_bytes;
    } else if (reply.kind == ReplyKind::done) {
        add_done(value, reply);
    } else {
        add_failed(value, reply);
    }
    return dump(value);
}

Result<InstallerReply> decode_reply(ByteSpan message) {
    return parse(message).and_then([](const json& value) {
        Fields fields(value);
        InstallerReply reply;
        reply.id = fields.number("id");
        const auto name = fields.text("type");
        const auto* const kind =
            std::ranges::find(kind_names, name, &decltype(kind_names)::value_type::second);
        if (kind == kind_names.end()) {
            fields.note({Errc::verification_failed, "a type that is not known"});
        } else {
            reply.kind = kind->first;
        }
        reply.phase = fields.text("phase");
        reply.total_bytes = fields.number("total_bytes");
        reply.release = fields.text("release", ReleaseId::parse);
        reply.previous = fields.text("previous", ReleaseId::parse);
        reply.removed = fields.number("removed");
        reply.status = fields.number("status");
        reply.why = fields.text("why");
        for (const auto& text : fields.list("releases")) {
            auto id = text.is_string() ? ReleaseId::parse(text.get<std::string>())
                                       : malformed("releases is not a list of names");
            if (!id) {
                fields.note(std::move(id.error()));
                break;
            }
            reply.releases.push_back(std::move(*id));
        }
        for (const auto& one : fields.list("missing")) {
            auto lacking = decode_missing(one);
            if (!lacking) {
                fields.note(std::move(lacking.error()));
                break;
            }
            reply.missing.push_back(*lacking);
        }
        return fields.checked(std::move(reply));
    });
}

InstallerReply failure(std::uint64_t id, const Error& error) {
    InstallerReply reply;
    reply.id = id;
    reply.kind = ReplyKind::failed;
    reply.status = static_cast<std::uint64_t>(exit_status(error));
    reply.why = describe(error);
    return reply;
}

Error error_of(const InstallerReply& failed) {
    const auto code = failed.status == 2   ? Errc::usage
                      : failed.status == 3 ? Errc::verification_failed
                      : failed.status == 4 ? Errc::not_found
                                           : Errc::failed;
    return {code, "installer: " + failed.why};
}

} // namespace slipway::agent
