#include <chrono>
#include <memory>

#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/output.h"
#include "common/core/errc.h"
#include "common/http/enroll_desk.h"
#include "common/io/blocking.h"
#include "common/tls/authority.h"
#include "common/trust/utc_time.h"

namespace slipway::cli {
namespace {

struct Options {
    std::string directory;
    std::string identity;
    std::string listen = "127.0.0.1:7072";
    int minutes = 60;
    int days = 90;
};

std::chrono::sys_seconds now() {
    return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

Result<> token(const Options& options, const Context& context) {
    const auto until = now() + std::chrono::minutes(options.minutes);
    return Identity::parse_text(options.identity).and_then([&](const Identity& identity) {
        return tls::Authority::open(options.directory)
            .and_then([&](tls::Authority authority) {
                return authority.make_token(identity, until, now());
            })
            .map([&](const std::string& text) {
                if (context.json) {
                    print_json({{"token", text},
                                {"identity", identity.text()},
                                {"not_after", trust::format_utc(until)}});
                } else {
                    print_line(text);
                    print_note("for one certificate of " + identity.text() + ", until " +
                               trust::format_utc(until));
                }
            });
    });
}

Result<> serve(const Options& options, const Context& context) {
    const auto address = http::parse_listen_address(options.listen);
    if (!address) {
        return tl::unexpected(address.error());
    }
    net::io_context io{1};
    http::EnrollDesk desk({options.directory, std::chrono::days(options.days)});
    if (auto listening = desk.listen(io, *address); !listening) {
        return listening;
    }
    std::stop_source stop;
    const std::stop_callback stopped{context.stop,
                                     [&] { net::post(io, [&stop] { stop.request_stop(); }); }};
    net::co_spawn(io, desk.serve(stop.get_token()), rethrow);
    print_line("listening http=" + http::host_port(address->ip, desk.port()));
    io.run();
    return {};
}

} // namespace

std::vector<Command> ca_enroll_commands(CLI::App& ca, Context& context) {
    auto options = std::make_shared<Options>();
    auto* give = ca.add_subcommand("token", "A token with which a host enrolls itself, once");
    give->add_option("identity", options->identity, "As of issue: agent/HOST")->required();
    give->add_option("--minutes", options->minutes, "How long it may be used")
        ->capture_default_str()
        ->check(CLI::Range(1, 60 * 24 * 30));
    auto* answer = ca.add_subcommand("serve", "Answer hosts that enroll, until told to stop");
    answer->add_option("--listen", options->listen, "IP:PORT; port 0 takes a free one")
        ->capture_default_str();
    answer->add_option("--days", options->days, "How long certificates are valid")
        ->capture_default_str()
        ->check(CLI::Range(1, 36'500));
    for (auto* app : {give, answer}) {
        app->add_option("--ca", options->directory, "Directory of the authority")->required();
        add_json_flag(*app, context);
    }
    return {{give, [options](const Context& given) { return token(*options, given); }},
            {answer, [options](const Context& given) { return serve(*options, given); }}};
}

} // namespace slipway::cli
