#include "agent/io/enroll.h"

#include "common/core/errc.h"
#include "common/io/http_client.h"
#include "common/tls/certificate_request.h"

namespace slipway::agent {
namespace {

Result<tls::EnrollReply> ask(const EnrollOptions& options, const tls::EnrollRequest& request,
                             const std::stop_token& stop) {
    HttpClient client;
    const auto url = options.url + (options.url.ends_with('/') ? "v1/enroll" : "/v1/enroll");
    const HttpRequest post{.method = "POST", .body = request.encode()};
    HttpLimits limits;
    limits.body_bytes_max = tls::enroll_message_bytes_max;
    return client.request(url, post, limits, stop)
        .and_then([&](const HttpReply& reply) -> Result<tls::EnrollReply> {
            if (reply.status == 200) {
                return tls::EnrollReply::decode(reply.body);
            }
            const auto said = printable(as_text(reply.body).substr(0, 500));
            return fail(reply.status == 403 ? Errc::forbidden : Errc::unreachable,
                        "POST " + url + ": status " + std::to_string(reply.status) + ": " + said);
        });
}

} // namespace

Result<Identity> enroll(const EnrollOptions& options, const std::stop_token& stop) {
    const auto token = tls::EnrollToken::parse(options.token);
    if (!token) {
        return tl::unexpected(token.error());
    }
    return tls::make_certificate_request(options.out).and_then([&](std::string csr) {
        const auto request = tls::make_enroll_request(*token, std::move(csr));
        return ask(options, request, stop).and_then([&](const tls::EnrollReply& reply) {
            return tls::check_mac(*token, request.mac, reply).and_then([&] {
                return tls::accept_certificate(options.out, reply);
            });
        });
    });
}

} // namespace slipway::agent
