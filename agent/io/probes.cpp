#include "agent/io/probes.h"

#include <cerrno>
#include <cmath>
#include <cstring>
#include <memory>

#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>

#include "agent/io/unit_control.h"
#include "common/core/errc.h"
#include "common/core/numbers.h"
#include "common/io/file_ops.h"
#include "common/io/http_client.h"

namespace slipway::agent {
namespace {

using Outcome = ProbeResult::Outcome;

ProbeResult success() {
    return {.outcome = Outcome::success, .detail = {}};
}
ProbeResult failure(std::string why) {
    return {.outcome = Outcome::failure, .detail = std::move(why)};
}
ProbeResult unknown(std::string why) {
    return {.outcome = Outcome::unknown, .detail = std::move(why)};
}

/// Reasons of this host, not of the service.
ProbeResult from_error(const Error& error) {
    const bool ours = error.code == Errc::cancelled ||
                      error.code == std::errc::too_many_files_open ||
                      error.code == std::errc::not_enough_memory ||
                      error.code == std::errc::resource_unavailable_try_again;
    return ours ? unknown(describe(error)) : failure(describe(error));
}

/// Believes the authorities of one file and no other. Read anew for each probe: it may be replaced.
class PrivateAuthority final : public HttpTls {
public:
    explicit PrivateAuthority(std::string file) : file_(std::move(file)) {}
    Result<> prepare(ssl_ctx_st* context, std::string& /*refusal*/) override {
        ::SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
        if (::SSL_CTX_load_verify_file(context, file_.c_str()) != 1) {
            ::ERR_clear_error();
            return fail(Errc::usage, "probe_authority " + file_ + " has no certificate to read");
        }
        return {};
    }

private:
    std::string file_;
};

Result<Bytes> get(const ProbeSpec& probe, const ProbeContext& context, std::stop_token stop) {
    HttpLimits limits;
    limits.connect_timeout = probe.timeout;
    limits.total_timeout = probe.timeout;
    limits.body_bytes_max = 4ULL << 20U;
    auto tls = context.authority.empty() ? std::shared_ptr<HttpTls>()
                                         : std::make_shared<PrivateAuthority>(context.authority);
    return HttpClient(std::move(tls)).get(probe.url, limits, std::move(stop));
}

ProbeResult probe_http(const ProbeSpec& probe, const ProbeContext& context, std::stop_token stop) {
    const auto body = get(probe, context, std::move(stop));
    return body ? success() : from_error(body.error());
}

ProbeResult judge_metric(const ProbeSpec& probe, double value) {
    const auto min = probe.min ? parse_number<double>(*probe.min) : std::optional(-HUGE_VAL);
    const auto max = probe.max ? parse_number<double>(*probe.max) : std::optional(HUGE_VAL);
    if (!min || !max) {
        return unknown(probe.metric + ": its bound is no number");
    }
    const auto is = probe.metric + " is " + std::to_string(value);
    if (std::isnan(value)) {
        return unknown(is);
    }
    if (value < *min) {
        return failure(is + ", below " + *probe.min);
    }
    return value > *max ? failure(is + ", above " + *probe.max) : success();
}

ProbeResult probe_metric(const ProbeSpec& probe, const ProbeContext& context,
                         std::stop_token stop) {
    const auto body = get(probe, context, std::move(stop));
    if (!body) {
        return from_error(body.error());
    }
    const auto value = metric_value(as_text(*body), probe.metric);
    return value ? judge_metric(probe, *value) : failure(describe(value.error()));
}

struct FreeAddresses {
    void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};
using Addresses = std::unique_ptr<addrinfo, FreeAddresses>;

/// Connects within the time; the errno, or 0.
int connect_within(const addrinfo& to, std::chrono::milliseconds timeout) {
    const Fd fd(::socket(to.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd || ::connect(fd.get(), to.ai_addr, to.ai_addrlen) == 0) {
        return fd ? 0 : errno;
    }
    if (errno != EINPROGRESS) {
        return errno;
    }
    pollfd wait{.fd = fd.get(), .events = POLLOUT, .revents = 0};
    if (::poll(&wait, 1, static_cast<int>(timeout.count())) <= 0) {
        return ETIMEDOUT;
    }
    int error = 0;
    socklen_t bytes = sizeof error;
    ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &bytes);
    return error;
}

ProbeResult probe_tcp(const ProbeSpec& probe) {
    const auto colon = probe.address.rfind(':');
    auto host = probe.address.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) {
        host = host.substr(1, host.size() - 2);
    }
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* raw = nullptr;
    const int found =
        ::getaddrinfo(host.c_str(), probe.address.substr(colon + 1).c_str(), &hints, &raw);
    const Addresses list(raw);
    if (found != 0) {
        return failure(probe.address + ": " + ::gai_strerror(found));
    }
    int error = 0;
    for (const auto* to = raw; to != nullptr; to = to->ai_next) {
        error = connect_within(*to, probe.timeout);
        if (error == 0) {
            return success();
        }
    }
    return from_error(
        {.code = {error, std::generic_category()}, .context = "connect to " + probe.address});
}

ProbeResult probe_systemd(const ProbeSpec& probe, const ProbeContext& context) {
    auto control = UnitControl::open(context.bus);
    if (!control) {
        return unknown(describe(control.error()));
    }
    const auto status = control->status(probe.unit.empty() ? context.unit : probe.unit);
    if (!status) {
        return status.error().code == Errc::not_found ? failure(describe(status.error()))
                                                      : unknown(describe(status.error()));
    }
    return status->active == "active" ? success() : failure(status->text());
}

ProbeResult probe_exec(const ProbeSpec& probe, const ProbeContext& context, std::stop_token stop) {
    if (context.hooks == nullptr) {
        return unknown("this process runs no programs of releases");
    }
    const auto outcome = context.hooks->run({.name = "probe",
                                             .program = probe.program,
                                             .release = context.release,
                                             .variables = context.variables},
                                            std::move(stop));
    if (!outcome) {
        return from_error(outcome.error());
    }
    return outcome->ok ? success() : failure(outcome->message);
}

} // namespace

Result<double> metric_value(std::string_view exposition, std::string_view series) {
    const auto not_found = fail(Errc::not_found, "the metric " + std::string(series));
    for (std::size_t at = 0; at < exposition.size();) {
        const auto end = std::min(exposition.find('\n', at), exposition.size());
        auto line = exposition.substr(at, end - at);
        at = end + 1;
        if (!line.starts_with(series) || line.size() == series.size() ||
            (line[series.size()] != ' ' && line[series.size()] != '\t')) {
            continue;
        }
        line.remove_prefix(std::min(line.find_first_not_of(" \t", series.size()), line.size()));
        line = line.substr(0, line.find_first_of(" \t\r")); // A time stamp may follow.
        if (line.starts_with('+')) {
            line.remove_prefix(1);
        }
        const auto value = parse_number<double>(line);
        if (!value) {
            return fail(Errc::verification_failed, "the metric " + std::string(series) + " is '" +
                                                       std::string(line.substr(0, 32)) +
                                                       "', no number");
        }
        return *value;
    }
    return not_found;
}

ProbeResult run_probe(const ProbeSpec& probe, const ProbeContext& context, std::stop_token stop) {
    switch (probe.kind) {
    case ProbeKind::http:
        return probe_http(probe, context, std::move(stop));
    case ProbeKind::tcp:
        return probe_tcp(probe);
    case ProbeKind::exec:
        return probe_exec(probe, context, std::move(stop));
    case ProbeKind::systemd:
        return probe_systemd(probe, context);
    case ProbeKind::metric:
        break;
    }
    return probe_metric(probe, context, std::move(stop));
}

} // namespace slipway::agent
