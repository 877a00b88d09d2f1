#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <optional>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "cli/command.h"
#include "cli/key_options.h"
#include "cli/output.h"
#include "cli/remote.h"
#include "common/core/errc.h"
#include "common/core/numbers.h"
#include "common/io/file_ops.h"
#include "common/io/progress.h"
#include "common/repository/layout.h"
#include "common/repository/mirror.h"
#include "common/repository/publisher.h"
#include "common/repository/pusher.h"
#include "common/tls/flags.h"

namespace slipway::cli {
namespace {

struct Options {
    KeyOptions keys;
    std::string trust;
    std::string cache;
    tls::TlsFiles tls;
    std::string id;
    std::string tree;
    std::string kind = "code";
    std::string unit;
    std::string run_spec;
    std::string level = "3";
    std::vector<std::string> labels;
    std::vector<std::string> patch_from;
    bool no_patch = false;
    bool allow_setuid = false;
};

Result<EffortLevel> parse_level(const std::string& text) {
    if (text == "max") {
        return EffortLevel{19, true};
    }
    const auto number = parse_number<int>(text);
    if (!number || *number < 1 || *number > 19) {
        return fail(Errc::usage, "--level " + text + ": a number from 1 to 19, or max");
    }
    return EffortLevel{.zstd_level = *number};
}

Result<> take_run_spec(const Options& options, PublishRequest& request) {
    if (options.run_spec.empty()) {
        return {};
    }
    return read_file(options.run_spec, run_spec_bytes_max)
        .and_then([&](const Bytes& text) { return decode_run_spec(text, options.run_spec); })
        .map_error([](Error error) {
            error.code = Errc::usage; // A file of the caller, not something that was signed.
            return error;
        })
        .map([&](RunSpec spec) { request.run = std::move(spec); });
}

Result<> take_names(const Options& options, PublishRequest& request) {
    return ArtifactId::parse(options.id)
        .and_then([&](ArtifactId id) {
            request.id = std::move(id);
            return parse_artifact_kind(options.kind);
        })
        .and_then([&](ArtifactKind kind) {
            request.kind = kind;
            return options.unit.empty() ? Result<std::string>("") : parse_unit_name(options.unit);
        })
        .and_then([&](std::string unit) {
            request.unit = std::move(unit);
            return take_run_spec(options, request);
        })
        .and_then([&] { return parse_level(options.level); })
        .map([&](EffortLevel level) { request.level = level; });
}

Result<> take_lists(const Options& options, PublishRequest& request) {
    for (const auto& text : options.labels) {
        auto label = parse_label(text);
        if (!label) {
            return tl::unexpected(label.error());
        }
        request.labels[label->first] = label->second;
    }
    if (request.labels.size() > labels_max) {
        return fail(Errc::usage, "more than " + std::to_string(labels_max) + " labels");
    }
    if (options.no_patch) {
        request.patch_from.emplace();
    } else if (!options.patch_from.empty()) {
        for (const auto& version : options.patch_from) {
            if (auto good = parse_version(version); !good) {
                return tl::unexpected(within("--patch-from", good.error()));
            }
        }
        request.patch_from = options.patch_from;
    }
    return {};
}

nlohmann::json result_json(const PublishResult& result, const std::optional<PushReport>& pushed) {
    auto packs = nlohmann::json::array();
    for (const auto& pack : result.new_packs) {
        packs.push_back({{"id", pack.id.name()},
                         {"bytes", pack.id.bytes},
                         {"role", pack.role == PackRole::base ? "base" : "patch"},
                         {"from", pack.from_version}});
    }
    nlohmann::json out = {{"artifact", result.manifest.id.text()},
                          {"digest", result.digest.hex()},
                          {"already_published", result.already_published},
                          {"files", result.manifest.files},
                          {"entries", result.manifest.entries},
                          {"tree_bytes", result.manifest.tree_bytes},
                          {"new_packs", std::move(packs)},
                          {"waiting", as_json(result.waiting)}};
    if (pushed) {
        out["pushed"] = {{"sent_bytes", pushed->sent_bytes},
                         {"resumed_bytes", pushed->resumed_bytes}};
    }
    return out;
}

void show(const PublishResult& result, const std::optional<PushReport>& pushed) {
    const auto& manifest = result.manifest;
    if (result.already_published) {
        print_line(manifest.id.text() + " is published already, with this very tree (manifest " +
                   result.digest.hex().substr(0, 16) + "...)");
        return;
    }
    print_line((result.waiting.empty() ? "Published " : "Prepared ") + manifest.id.text() + ": " +
               std::to_string(manifest.files) + " files, " + human_bytes(manifest.tree_bytes) +
               ", manifest " + result.digest.hex().substr(0, 16) + "...");
    for (const auto& pack : result.new_packs) {
        print_line("  " + human_bytes(pack.id.bytes) +
                   (pack.role == PackRole::base ? " of new content in full"
                                                : " of patches from " + pack.from_version));
    }
    if (pushed) {
        print_line("  " + human_bytes(pushed->sent_bytes) + " sent" +
                   (pushed->resumed_bytes > 0
                        ? ", " + human_bytes(pushed->resumed_bytes) + " were there already"
                        : std::string()));
    }
    show_waiting(result.waiting);
}

Result<std::filesystem::path> cache_for(const Options& options) {
    if (!options.cache.empty()) {
        return std::filesystem::path(options.cache);
    }
    std::string name = options.keys.repo.substr(options.keys.repo.find("://") + 3);
    std::ranges::replace_if(name, [](char c) { return c == '/' || c == ':'; }, '_');
    const auto* const cache = std::getenv("XDG_CACHE_HOME");
    const auto* const home = std::getenv("HOME");
    if (cache == nullptr && home == nullptr) {
        return fail(Errc::usage, "--cache DIR is needed where there is no HOME");
    }
    const auto base =
        cache != nullptr ? std::filesystem::path(cache) : std::filesystem::path(home) / ".cache";
    return base / "slipway" / name;
}

/// Publishes into the local mirror of a remote repository, and pushes what is new.
class RemotePublication {
public:
    RemotePublication(const Options& options, PublishRequest& request, std::stop_token stop)
        : options_(options), request_(request), stop_(std::move(stop)) {}

    Result<PublishResult> run() {
        return prepare().and_then([&] { return publish_in_mirror(); });
    }
    [[nodiscard]] const std::optional<PushReport>& pushed() const { return pushed_; }

private:
    Result<> prepare() {
        if (!options_.keys.repo.starts_with("https://") || !options_.tls.given()) {
            return fail(Errc::usage,
                        "pushing to " + options_.keys.repo +
                            " takes https:// and a publisher's certificate: --tls-cert, "
                            "--tls-key, --tls-ca");
        }
        if (options_.keys.keys.empty()) {
            return fail(Errc::usage, "--keys DIR is needed: the keys of the repository are not at "
                                     "the seeder");
        }
        return cache_for(options_)
            .and_then([&](std::filesystem::path cache) -> Result<> {
                request_.repository = std::move(cache);
                std::error_code error;
                std::filesystem::create_directories(request_.repository, error);
                return error ? fail(error, "create " + request_.repository.string()) : Result<>{};
            })
            .and_then([&] { return load_credentials(options_.tls); })
            .map([&](std::shared_ptr<tls::Credentials> loaded) { tls_ = std::move(loaded); });
    }

    Result<PublishResult> publish_in_mirror() {
        const auto lock =
            FileLock::acquire(request_.repository / ".mirror.lock", "publish " + request_.id.text(),
                              request_.lock_patience_ms);
        if (!lock) {
            return tl::unexpected(lock.error());
        }
        MirrorRequest mirror{.directory = request_.repository,
                             .root = std::nullopt,
                             .artifact = request_.id,
                             .patch_from = request_.patch_from,
                             .now = request_.now,
                             .progress = request_.progress};
        if (!options_.trust.empty()) {
            mirror.root = options_.trust;
        }
        RepositorySource remote(options_.keys.repo, tls_);
        const auto state = update_mirror(remote, mirror, stop_);
        if (!state) {
            return tl::unexpected(state.error());
        }
        auto result = publish(request_, stop_);
        const bool complete = result && result->waiting.empty(); // Else other holders sign first.
        return complete && !state->is_published ? push(remote, std::move(*result)) : result;
    }

    Result<PublishResult> push(const RepositorySource& remote, PublishResult result) {
        const PushRequest request{.url = remote.location(),
                                  .mirror = request_.repository,
                                  .artifact = request_.id,
                                  .tls = tls_,
                                  .progress = request_.progress};
        return push_release(request, stop_).map([&](const PushReport& report) {
            pushed_ = report;
            result.already_published = false; // By an earlier run, into the mirror only.
            return std::move(result);
        });
    }

    const Options& options_;
    PublishRequest& request_;
    std::stop_token stop_;
    std::shared_ptr<tls::Credentials> tls_;
    std::optional<PushReport> pushed_;
};

Result<> run(const Options& options, const Context& context) {
    PublishRequest request;
    request.repository = options.keys.repo;
    request.keys = options.keys.directory();
    request.tree = options.tree;
    request.allow_setuid = options.allow_setuid;
    request.now = std::chrono::system_clock::now();
    if (auto taken =
            take_names(options, request).and_then([&] { return take_lists(options, request); });
        !taken) {
        return taken;
    }
    Progress progress(progress_style(STDERR_FILENO, context.json));
    request.progress = &progress;
    RemotePublication remote(options, request, context.stop);
    const bool is_remote = options.keys.repo.find("://") != std::string::npos;
    const auto result = is_remote ? remote.run() : publish(request, context.stop);
    progress.finish();
    return result.map([&](const PublishResult& published) {
        if (context.json) {
            print_json(result_json(published, remote.pushed()));
        } else {
            show(published, remote.pushed());
        }
    });
}

} // namespace

Command publish_command(CLI::App& parent, Context& context) {
    auto* app = parent.add_subcommand("publish", "Publish a directory tree as NAME@VERSION");
    auto options = std::make_shared<Options>();
    options->keys.add_to(*app);
    app->get_option("--repo")->description(
        "Directory of the repository, or https:// URL of a seeder");
    app->add_option("--trust", options->trust,
                    "With a URL: root metadata that you trust; needed the first time");
    app->add_option("--cache", options->cache,
                    "With a URL: directory for what is kept of the repository between runs "
                    "(default: ~/.cache/slipway/HOST_PORT)");
    tls::add_flags(*app, options->tls);
    app->add_option("artifact", options->id, "NAME@VERSION")->required();
    app->add_option("tree", options->tree, "Directory to publish")->required();
    app->add_option("--kind", options->kind, "code or config")->capture_default_str();
    auto* unit = app->add_option("--unit", options->unit,
                                 "systemd unit that runs it, for example web.service");
    app->add_option("--run-spec", options->run_spec,
                    "JSON file that says how it runs: unit or command, hooks, probes, bake time")
        ->excludes(unit);
    app->add_option("--label", options->labels, "KEY=VALUE to record in the manifest; repeatable")
        ->allow_extra_args(false);
    auto* from =
        app->add_option("--patch-from", options->patch_from,
                        "Version to make patches from; repeatable (default: the last two)");
    app->add_flag("--no-patch", options->no_patch, "Make no patches")->excludes(from);
    app->add_option("--level", options->level,
                    "Effort: 1 to 19, or max for the fewest bytes to move")
        ->capture_default_str();
    app->add_flag("--allow-setuid", options->allow_setuid,
                  "Publish files with set-user-ID or set-group-ID bits");
    add_json_flag(*app, context);
    app->footer(
        "With --json, progress and the result are JSON lines; the last line is the result.\n"
        "Example: slipway publish --repo /srv/slipway web@1.1.0 build/out");
    return {app, [options](const Context& given) { return run(*options, given); }};
}

} // namespace slipway::cli
