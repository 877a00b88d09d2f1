#include "agent/core/installer_protocol.h"

#include <catch2/catch.hpp>

namespace slipway::agent {
namespace {

const ReleaseId old_release{"1.0-0123456789ab"};
const ReleaseId new_release{"1.1-0123456789ab"};

InstallerRequest build_request() {
    InstallerRequest request;
    request.id = 7;
    request.op = InstallerOp::build;
    request.service = "web";
    request.artifact = ArtifactId::parse("web@1.1").value();
    request.digest = sha256(as_bytes("manifest"));
    return request;
}

} // namespace

TEST_CASE("installer protocol: a request is read as it was written", "[installer]") {
    auto rollback = build_request();
    rollback.op = InstallerOp::roll_back;
    rollback.release = old_release;
    rollback.from = new_release;
    rollback.keep = 3;
    for (const auto& request : {InstallerRequest{}, build_request(), rollback}) {
        CHECK(decode_request(as_bytes(encode_request(request))).value() == request);
    }
}

TEST_CASE("installer protocol: a reply is read as it was written", "[installer]") {
    InstallerReply progress;
    progress.kind = ReplyKind::progress;
    progress.phase = "build";
    progress.total_bytes = 5;
    InstallerReply done;
    done.release = new_release;
    done.previous = old_release;
    done.releases = {old_release, new_release};
    done.removed = 2;
    auto failed = failure(9, {Errc::verification_failed, "pack x"});
    failed.missing = {{PackId{sha256(as_bytes("pack")), 100}, Range{10, 20}}};
    for (const auto& reply : {progress, done, failed}) {
        CHECK(decode_reply(as_bytes(encode_reply(reply))).value() == reply);
    }
    CHECK(error_of(failed).code == Errc::verification_failed);
}

TEST_CASE("installer protocol: what is not whole, not safe or not known is refused",
          "[installer]") {
    for (
        const auto* const bad :
        {"", "[]", "{}", R"({"version":1})", R"({"version":2,"op":"hello","id":1})",
         R"({"version":1,"op":"eat","id":1})", R"({"version":1,"op":"hello","id":-1})",
         R"({"version":1,"op":"status","id":1})",
         R"({"version":1,"op":"status","id":1,"service":"../web"})",
         R"({"version":1,"op":"switch","id":1,"service":"web"})",
         R"({"version":1,"op":"switch","id":1,"service":"web","release":"../../etc"})",
         R"({"version":1,"op":"rollback","id":1,"service":"web"})",
         R"({"version":1,"op":"build","id":1,"service":"web","artifact":"web@1"})",
         R"({"version":1,"op":"build","id":1,"service":"web","artifact":"web@1","digest":"ab"})"}) {
        CAPTURE(bad);
        CHECK_FALSE(decode_request(as_bytes(bad)));
    }
    CHECK_FALSE(decode_request(as_bytes(std::string(installer_message_bytes_max + 1, ' '))));
}

TEST_CASE("installer protocol: the longest reason and the longest lists fit a packet",
          "[installer]") {
    auto failed = failure(~0ULL, {Errc::failed, std::string(100'000, '\x01')});
    for (std::size_t i = 0; i < listed_max; ++i) {
        failed.missing.emplace_back(PackId{sha256(as_bytes(std::to_string(i))), ~0ULL},
                                    Range{1, ~0ULL - 1});
    }
    CHECK(encode_reply(failed).size() <= installer_message_bytes_max);
}

} // namespace slipway::agent
