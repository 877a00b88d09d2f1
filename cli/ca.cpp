#include <chrono>
#include <memory>

#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/output.h"
#include "common/core/errc.h"
#include "common/tls/authority.h"
#include "common/trust/utc_time.h"

namespace slipway::cli {
namespace {

using tls::Authority;
using tls::Issued;
using tls::KeyAlgorithm;

constexpr int days_max = 36'500;

struct Options {
    std::string directory;
    std::string name = tls::AuthorityRequest{}.name;
    std::string identity;
    std::vector<std::string> dns;
    std::vector<std::string> addresses;
    std::string out;
    std::string algorithm = "p256";
    int days = 0;
};

std::chrono::sys_seconds now() {
    return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

KeyAlgorithm algorithm_of(const Options& options) {
    return options.algorithm == "p256" ? KeyAlgorithm::p256 : KeyAlgorithm::ed25519;
}

nlohmann::json as_json(const Issued& one) {
    nlohmann::json out = {{"identity", one.identity.text()},
                          {"serial", one.serial},
                          {"not_after", trust::format_utc(one.not_after)},
                          {"revoked", nullptr}};
    if (one.revoked) {
        out["revoked"] = trust::format_utc(*one.revoked);
    }
    return out;
}

std::string as_line(const Issued& one) {
    return one.identity.text() + "  until " + trust::format_utc(one.not_after) + "  serial " +
           one.serial +
           (one.revoked ? "  revoked " + trust::format_utc(*one.revoked) : std::string());
}

void show(const Context& context, const std::vector<Issued>& all) {
    auto list = nlohmann::json::array();
    for (const auto& one : all) {
        list.push_back(as_json(one));
        if (!context.json) {
            print_line(as_line(one));
        }
    }
    if (context.json) {
        print_json({{"certificates", std::move(list)}});
    }
}

Result<> init(const Options& options, const Context& context) {
    const tls::AuthorityRequest request{.name = options.name,
                                        .valid = std::chrono::days(options.days),
                                        .algorithm = algorithm_of(options)};
    return Authority::init(options.directory, request, now()).map([&] {
        if (context.json) {
            print_json(
                {{"ca", options.directory + "/ca.pem"}, {"crl", options.directory + "/ca.crl"}});
            return;
        }
        print_line("Made an authority in " + options.directory + ".");
        print_line("  ca.key  signs certificates: who has it can be anyone; keep it offline");
        print_line("  ca.pem  goes to every host, for --tls-ca");
        print_line("  ca.crl  goes to every host, for --tls-crl; renew it with `slipway ca crl`");
    });
}

Result<> check_reachable(const Options& options, const Identity& identity) {
    const bool serves = identity.role == Role::seeder || identity.role == Role::orchestrator;
    if (serves && options.dns.empty() && options.addresses.empty()) {
        return fail(Errc::usage, identity.text() + " is connected to by name or address, which its "
                                                   "certificate must have: --dns NAME or --ip "
                                                   "ADDRESS");
    }
    return {};
}

Result<> issue(const Options& options, const Context& context) {
    tls::IssueRequest request{.identity = {},
                              .dns_names = options.dns,
                              .addresses = options.addresses,
                              .valid = std::chrono::days(options.days),
                              .algorithm = algorithm_of(options),
                              .out = options.out};
    return Identity::parse_text(options.identity)
        .and_then([&](Identity identity) {
            request.identity = std::move(identity);
            return check_reachable(options, request.identity);
        })
        .and_then([&] { return Authority::open(options.directory); })
        .and_then([&](Authority authority) { return authority.issue(request, now()); })
        .map([&](const Issued& issued) {
            if (context.json) {
                auto out = as_json(issued);
                out["cert"] = options.out + "/cert.pem";
                out["key"] = options.out + "/key.pem";
                out["ca"] = options.out + "/ca.pem";
                print_json(out);
                return;
            }
            print_line("Issued " + as_line(issued));
            print_line("  --tls-cert " + options.out + "/cert.pem --tls-key " + options.out +
                       "/key.pem --tls-ca " + options.out + "/ca.pem");
        });
}

Result<> revoke(const Options& options, const Context& context) {
    return Authority::open(options.directory)
        .and_then([&](Authority authority) {
            return authority.revoke(options.identity, std::chrono::days(options.days), now());
        })
        .map([&](const std::vector<Issued>& touched) {
            show(context, touched);
            print_note("bring " + options.directory +
                       "/ca.crl to every --tls-crl; it is taken up without a restart");
        });
}

Result<> renew_list(const Options& options, const Context& context) {
    const auto until = now() + std::chrono::days(options.days);
    return Authority::open(options.directory)
        .and_then([&](Authority authority) {
            return authority.renew_list(std::chrono::days(options.days), now());
        })
        .map([&] {
            if (context.json) {
                print_json({{"crl", options.directory + "/ca.crl"},
                            {"not_after", trust::format_utc(until)}});
            } else {
                print_line("Wrote " + options.directory + "/ca.crl, valid until " +
                           trust::format_utc(until));
            }
        });
}

Result<> list(const Options& options, const Context& context) {
    return Authority::open(options.directory).map([&](const Authority& authority) {
        show(context, authority.issued());
    });
}

using Work = Result<> (*)(const Options&, const Context&);

/// A subcommand with the flags that all have; `options->days` begins with `days` unless it is 0.
struct Builder {
    CLI::App& ca;
    Context& context;
    std::vector<Command>& commands;

    std::pair<CLI::App*, std::shared_ptr<Options>> add(const char* name, const char* what, int days,
                                                       Work work) const {
        auto* app = ca.add_subcommand(name, what);
        auto options = std::make_shared<Options>();
        options->days = days;
        app->add_option("--ca", options->directory, "Directory of the authority")->required();
        if (days != 0) {
            app->add_option("--days", options->days, "How long it is valid")
                ->capture_default_str()
                ->check(CLI::Range(1, days_max));
        }
        add_json_flag(*app, context);
        commands.push_back(
            {app, [options, work](const Context& given) { return work(*options, given); }});
        return {app, options};
    }
};

void add_algorithm(CLI::App& app, Options& options) {
    app.add_option("--algorithm", options.algorithm, "Of the key: p256 or ed25519")
        ->capture_default_str()
        ->check(CLI::IsMember({"p256", "ed25519"}));
}

} // namespace

std::vector<Command> ca_commands(CLI::App& parent, Context& context) {
    auto* ca = parent.add_subcommand("ca", "A small certificate authority for a fleet");
    ca->require_subcommand(1);
    std::vector<Command> commands;
    const Builder builder{*ca, context, commands};
    const auto list_days = static_cast<int>(tls::list_valid_by_default.count());

    const auto [make, made] = builder.add("init", "Make an authority", 3650, init);
    make->add_option("--name", made->name, "Name in its certificate")->capture_default_str();
    add_algorithm(*make, *made);

    const auto [give, given] = builder.add("issue", "Issue a key and a certificate", 90, issue);
    give->add_option("identity", given->identity,
                     "agent/HOST, seeder/REGION, publisher/NAME, orchestrator/NAME or "
                     "operator/NAME?role=viewer|deployer|approver|admin")
        ->required();
    give->add_option("--dns", given->dns, "Name that it is reached by; repeatable")
        ->allow_extra_args(false);
    give->add_option("--ip", given->addresses, "Address that it is reached by; repeatable")
        ->allow_extra_args(false);
    give->add_option("--out", given->out, "Directory for cert.pem, key.pem and ca.pem")->required();
    add_algorithm(*give, *given);

    const auto [take, taken] =
        builder.add("revoke", "Revoke certificates and write the list", list_days, revoke);
    take->add_option("what", taken->identity, "An identity (all its certificates) or a serial")
        ->required();
    (void)builder.add("crl", "Sign the revocation list again before it expires", list_days,
                      renew_list);
    (void)builder.add("list", "What was issued and revoked", 0, list);
    for (const auto& more : ca_enroll_commands(*ca, context)) {
        commands.push_back(more);
    }
    return commands;
}

} // namespace slipway::cli
