#include "agent/output.h"

#include <iostream>

#include <nlohmann/json.hpp>

#include "agent/core/space.h"
#include "common/core/errc.h"
#include "common/trust/utc_time.h"

namespace slipway::agent {
namespace {

using nlohmann::json;

// File names are bytes: what is not UTF-8 is shown as replacement characters in JSON.
void print(const json& value) {
    std::cout << value.dump(-1, ' ', false, json::error_handler_t::replace) << '\n' << std::flush;
}

json to_json(const ReleaseRecord& record) {
    return {{"release", record.id().text},   {"artifact", record.artifact.text()},
            {"digest", record.digest.hex()}, {"installed", record.installed_at},
            {"entries", record.entries},     {"tree_bytes", record.tree_bytes}};
}

std::string percent_of(std::uint64_t part, std::uint64_t whole) {
    return whole == 0 ? "0 %" : std::to_string(part * 100 / whole) + " %";
}

json to_json(const InstallRequest& request, const InstallResult& result) {
    json value = {{"event", "installed"},
                  {"service", request.service},
                  {"artifact", request.artifact.text()},
                  {"release", result.release.text},
                  {"digest", result.digest.hex()},
                  {"was_current", result.was_current},
                  {"tree_bytes", result.tree_bytes},
                  {"fetched_bytes", result.fetch.fetched_bytes},
                  {"had_bytes", result.fetch.had_bytes},
                  {"reused_bytes", result.build.linked_bytes + result.build.copied_bytes},
                  {"decoded_bytes", result.decoded_bytes},
                  {"linked_files", result.build.linked_files},
                  {"copied_files", result.build.copied_files},
                  {"seconds", result.seconds}};
    if (result.previous) {
        value["previous"] = result.previous->text;
    }
    return value;
}

} // namespace

void show_install(const InstallRequest& request, const InstallResult& result, bool json) {
    if (json) {
        print(to_json(request, result));
        return;
    }
    if (result.was_current) {
        std::cout << request.service << " runs " << request.artifact.text()
                  << " already, and it is what its index says (" << result.release.text << ")\n"
                  << std::flush;
        return;
    }
    std::cout << request.service << " is at " << request.artifact.text() << " ("
              << result.release.text << "): fetched " << human_bytes(result.fetch.fetched_bytes)
              << " of " << human_bytes(result.tree_bytes) << " ("
              << percent_of(result.fetch.fetched_bytes, result.tree_bytes) << "), "
              << human_bytes(result.build.linked_bytes + result.build.copied_bytes)
              << " in files that did not change\n"
              << std::flush;
}

void show_stage(const InstallRequest& request, const StageResult& result, bool json) {
    if (json) {
        print({{"event", "fetched"},
               {"service", request.service},
               {"artifact", request.artifact.text()},
               {"release", result.release.text},
               {"digest", result.digest.hex()},
               {"fetched_bytes", result.fetch.fetched_bytes},
               {"had_bytes", result.fetch.had_bytes}});
        return;
    }
    std::cout << request.artifact.text() << " is ready to be built for " << request.service
              << ": fetched " << human_bytes(result.fetch.fetched_bytes) << "; its manifest is "
              << result.digest.hex() << '\n'
              << std::flush;
}

namespace {

void show_service_of_daemon(const std::string& name, const nlohmann::json& service) {
    std::cout << "  " << name << ": " << service.at("state").get<std::string>();
    const auto say = [&](const char* before, const char* key, const char* after = "") {
        const auto& value = service.at(key);
        if (!value.is_null() && value != "" && value != 0) {
            std::cout << before
                      << (value.is_string() ? printable(value.get<std::string>()) : value.dump())
                      << after;
        }
    };
    say(", wanted is ", "wanted");
    say(", doing ", "step");
    say(", failed tries ", "tries");
    say(", tries again in ", "waits_ms", " ms");
    for (const auto& staged : service.at("staged")) {
        std::cout << ", staged " << printable(staged.at("artifact").get<std::string>());
    }
    say("\n    last error: ", "last_error");
    std::cout << '\n';
}

std::string utc_text(std::int64_t unix_s) {
    return trust::format_utc(std::chrono::sys_seconds(std::chrono::seconds(unix_s)));
}

void show_upstream(const nlohmann::json& upstream) {
    if (upstream.is_null()) {
        return;
    }
    const auto error = printable(upstream.at("error").get<std::string>());
    const auto answered = upstream.at("answered_unix_s").get<std::int64_t>();
    std::cout << "orchestrator " << printable(upstream.at("url").get<std::string>()) << ": "
              << (upstream.at("connected").get<bool>() ? "connected" : "not connected") << " since "
              << utc_text(upstream.at("since_unix_s").get<std::int64_t>()) << ", last answer "
              << (answered == 0 ? std::string("never") : utc_text(answered)) << ", "
              << upstream.at("events_queued") << " events queued\n";
    if (!error.empty()) {
        std::cout << "  last error: " << error << '\n';
    }
}

void show_daemon(const nlohmann::json& daemon) {
    if (daemon.is_null()) {
        return;
    }
    try {
        const auto& packs = daemon.at("packs");
        const auto bytes = [&](const char* key) {
            return human_bytes(packs.at(key).get<std::uint64_t>());
        };
        std::cout << "daemon " << daemon.at("program").get<std::string>() << ": shares "
                  << packs.at("shared") << " packs with " << packs.at("peers") << " peers, sends "
                  << bytes("upload_bytes_per_s") << "/s, receives " << bytes("download_bytes_per_s")
                  << "/s\n";
        show_upstream(daemon.at("upstream"));
        for (const auto& [name, service] : daemon.at("services").items()) {
            show_service_of_daemon(name, service);
        }
    } catch (const nlohmann::json::exception&) {
        std::cout << "\n  the daemon is of another version than this program\n";
    }
}

} // namespace

void show_status(const HostLayout& host, const std::vector<ServiceStatus>& all,
                 const std::optional<std::string>& daemon, bool json) {
    const auto live = daemon ? nlohmann::json::parse(*daemon, nullptr, false) : nlohmann::json();
    auto services = nlohmann::json::array();
    for (const auto& status : all) {
        nlohmann::json one = {{"service", status.service},
                              {"current", nullptr},
                              {"previous", nullptr},
                              {"releases", status.releases.size()}};
        if (status.current) {
            one["current"] = to_json(*status.current);
            one["since"] = status.since;
        }
        if (status.previous) {
            one["previous"] = to_json(*status.previous);
        }
        services.push_back(std::move(one));
    }
    if (json) {
        print({{"root", host.root.string()},
               {"services", services},
               {"daemon", live.is_discarded() ? nlohmann::json() : live}});
        return;
    }
    for (const auto& status : all) {
        std::cout << status.service << ": ";
        if (!status.current) {
            std::cout << "nothing installed\n";
            continue;
        }
        std::cout << status.current->artifact.text() << " since " << status.since << "\n  release  "
                  << status.current->id().text << "\n  digest   " << status.current->digest.hex()
                  << "\n  previous "
                  << (status.previous ? status.previous->id().text : std::string("none")) << '\n';
    }
    show_daemon(live);
    if (all.empty()) {
        std::cout << "no services in " << printable(host.root.string()) << '\n';
    }
}

void show_releases(const std::vector<ServiceStatus>& all, bool json) {
    auto list = nlohmann::json::array();
    for (const auto& status : all) {
        for (const auto& record : status.releases) {
            const bool current = status.current && status.current->id() == record.id();
            const bool previous = status.previous && status.previous->id() == record.id();
            auto one = to_json(record);
            one["service"] = status.service;
            one["current"] = current;
            one["previous"] = previous;
            list.push_back(std::move(one));
            if (!json) {
                std::cout << status.service << ' ' << record.id().text << ' '
                          << record.artifact.text() << ' ' << record.installed_at << ' '
                          << human_bytes(record.tree_bytes)
                          << (current    ? " current"
                              : previous ? " previous"
                                         : "")
                          << '\n';
            }
        }
    }
    if (json) {
        print({{"releases", list}});
    }
}

void show_verified(const std::vector<VerifiedRelease>& verified, bool json) {
    auto list = nlohmann::json::array();
    for (const auto& one : verified) {
        auto faults = nlohmann::json::array();
        for (const auto& fault : one.faults) {
            faults.push_back({{"path", fault.path}, {"why", fault.why}});
            if (!json) {
                std::cout << one.service << ' ' << one.release.text << ": " << printable(fault.path)
                          << ' ' << fault.why << '\n';
            }
        }
        if (!json && one.faults.empty()) {
            std::cout << one.service << ' ' << one.release.text << ": as its index says\n";
        }
        list.push_back(
            {{"service", one.service}, {"release", one.release.text}, {"faults", faults}});
    }
    if (json) {
        print({{"verified", list}});
    }
    std::cout << std::flush;
}

void show_rollback(const std::string& service, const ReleaseCommands::RolledBack& done, bool json) {
    if (json) {
        print({{"event", "rolled_back"},
               {"service", service},
               {"from", done.from.text},
               {"to", done.to.text}});
    } else {
        std::cout << service << " is back at " << done.to.text << " (was " << done.from.text
                  << ")\n";
    }
}

void show_garbage(const std::vector<Removed>& removed, bool dry_run, bool json) {
    std::uint64_t bytes = 0;
    auto list = nlohmann::json::array();
    for (const auto& one : removed) {
        bytes += one.bytes;
        list.push_back({{"what", one.what}, {"bytes", one.bytes}});
        if (!json) {
            std::cout << (dry_run ? "would remove " : "removed ") << printable(one.what) << " ("
                      << human_bytes(one.bytes) << ")\n";
        }
    }
    if (json) {
        print({{"removed", list}, {"freed_bytes", bytes}, {"dry_run", dry_run}});
    } else {
        std::cout << (dry_run ? "would free " : "freed ") << human_bytes(bytes) << '\n';
    }
}

void show_enrolled(const Identity& identity, const std::filesystem::path& directory, bool json) {
    if (json) {
        print({{"event", "enrolled"},
               {"identity", identity.text()},
               {"directory", directory.string()}});
        return;
    }
    std::cout << "this host is " << identity.text() << "; its certificate is in "
              << directory.string() << '\n';
}

void show_error(const Error& error, bool json) {
    std::cerr << "slipway-agent: " << describe(error) << '\n';
    if (json) {
        print({{"error",
                {{"message", describe(error)},
                 {"code", error.code.message()},
                 {"status", static_cast<int>(exit_status(error))}}}});
    }
}

} // namespace slipway::agent
