#include "common/trust/repository_editor.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "common/core/errc.h"
#include "common/io/file_ops.h"
#include "common/trust/canonical_json.h"
#include "common/trust/role_body.h"
#include "common/trust/utc_time.h"

namespace slipway::trust {
namespace fs = std::filesystem;
namespace {

using nlohmann::json;
using std::chrono::sys_seconds;

bool is_online(const std::string& role) {
    return role == "snapshot" || role == "timestamp";
}

/// Version of a body that nobody has checked yet.
Result<std::uint64_t> version_of(const Envelope& file, const std::string& role,
                                 const std::string& what) {
    const auto version = [](const auto& parsed) { return parsed.header.version; };
    if (role == "root") {
        return parse_root(file, what).map(version);
    }
    if (role == "timestamp") {
        return parse_timestamp(file, what).map(version);
    }
    if (role == "snapshot") {
        return parse_snapshot(file, what).map(version);
    }
    return parse_targets(file, what).map(version);
}

fs::path staged_file(const fs::path& repository, const std::string& role) {
    return staged_directory(repository) / (escape_role_name(role) + ".json");
}

} // namespace

Result<RepositoryEditor> RepositoryEditor::open(fs::path repository, KeyDirectory keys,
                                                TimePoint now, Validity validity) {
    auto published = read_published(repository, keys);
    if (!published) {
        return tl::unexpected(published.error());
    }
    RepositoryEditor editor(std::move(repository), std::move(keys),
                            std::chrono::floor<std::chrono::seconds>(now), validity,
                            std::move(*published));
    if (auto loaded = editor.load_staged(); !loaded) {
        return tl::unexpected(loaded.error());
    }
    return editor;
}

Result<> RepositoryEditor::load_staged() {
    const auto top_level = [&](const std::string& role) {
        std::vector<Authority> by{authority_of(published_.root, role)};
        if (next_root_) {
            by.push_back(authority_of(*next_root_, role));
        }
        return by;
    };
    if (auto loaded = load_staged("root", top_level("root")); !loaded) {
        return loaded;
    }
    if (const auto root = drafts_.find("root"); root != drafts_.end()) {
        auto parsed = parse_root(root->second.file, "the staged root");
        if (!parsed) {
            return tl::unexpected(parsed.error());
        }
        next_root_ = std::move(*parsed);
    }
    for (const auto* role : {"targets", "snapshot", "timestamp"}) {
        if (auto loaded = load_staged(role, top_level(role)); !loaded) {
            return loaded;
        }
    }
    Targets drafted;
    if (const auto top = drafts_.find("targets"); top != drafts_.end()) {
        auto parsed = parse_targets(top->second.file, "the staged targets");
        if (!parsed) {
            return tl::unexpected(parsed.error());
        }
        drafted = std::move(*parsed);
    }
    std::map<std::string, std::vector<Authority>> delegated;
    for (const auto* top : {&std::as_const(published_.top), &std::as_const(drafted)}) {
        for (const auto& delegation : top->delegations) {
            delegated[delegation.name].push_back(authority_of(*top, delegation));
        }
    }
    for (const auto& [role, by] : delegated) {
        if (auto loaded = load_staged(role, by); !loaded) {
            return loaded;
        }
    }
    return {};
}

Result<> RepositoryEditor::load_staged(const std::string& role, const std::vector<Authority>& by) {
    const auto path = staged_file(repository_, role);
    const auto bytes = read_file(path, bytes_max(role));
    if (!bytes) {
        return bytes.error().code == std::errc::no_such_file_or_directory
                   ? Result<>{}
                   : tl::unexpected(bytes.error());
    }
    auto file = parse_envelope(*bytes, bytes_max(role), path.string());
    if (!file) {
        return tl::unexpected(file.error());
    }
    const auto version = version_of(*file, role, path.string());
    if (!version) {
        return tl::unexpected(version.error());
    }
    if (*version != next_version(role).file.body.at("version").get<std::uint64_t>()) {
        std::error_code ignored; // It is looked at again next time.
        fs::remove(path, ignored);
        return {};
    }
    const bool known = std::any_of(by.begin(), by.end(), [&](const Authority& authority) {
        return !signers(authority, *file).empty();
    });
    if (!known) {
        return fail(Errc::verification_failed,
                    path.string() + ": no key of the role signed it; remove it");
    }
    drafts_[role] = {std::move(*file), false};
    return {};
}

sys_seconds RepositoryEditor::expiry_of(const std::string& role) const {
    return now_ + (role == "root"        ? validity_.root
                   : role == "snapshot"  ? validity_.snapshot
                   : role == "timestamp" ? validity_.timestamp
                                         : validity_.targets);
}

RepositoryEditor::Draft RepositoryEditor::next_version(const std::string& role) const {
    const auto* const before = published_.find(role);
    Draft draft;
    draft.ours = true;
    draft.file.body = before != nullptr ? before->file.body : new_body("targets");
    const auto version = role == "root" || is_online(role) ? before->header.version
                                                           : published_.listed_version(role);
    stamp(draft.file.body, version + 1, expiry_of(role));
    return draft;
}

std::map<std::string, json> RepositoryEditor::drafts() const {
    std::map<std::string, json> out;
    for (const auto& [role, draft] : drafts_) {
        out[role] = draft.file.body;
    }
    return out;
}

Result<const std::vector<KeyDirectory::Held>*> RepositoryEditor::held(const std::string& role) {
    const auto known = held_.find(role);
    if (known != held_.end()) {
        return &known->second;
    }
    auto loaded = keys_.keys_of(role);
    if (!loaded) {
        return tl::unexpected(within("sign " + role, loaded.error()));
    }
    return &held_.emplace(role, std::move(*loaded)).first->second;
}

Result<bool> RepositoryEditor::is_ours(const std::string& role, const Envelope& file) {
    return held(role).map([&](const std::vector<KeyDirectory::Held>* keys) {
        return std::any_of(keys->begin(), keys->end(), [&](const KeyDirectory::Held& one) {
            const auto& key = one.key.public_key();
            const RoleKeys only{{key.id()}, 1};
            const KeyRing ring{{key.id(), key}};
            return meets({&ring, &only}, file);
        });
    });
}

Result<json*> RepositoryEditor::change(const std::string& role) {
    if (!keys_.has(role)) {
        return fail(Errc::not_found,
                    "sign " + role + ": there is no " + keys_.file_of(role).string());
    }
    const auto found = drafts_.find(role);
    if (found == drafts_.end()) {
        return &drafts_.emplace(role, next_version(role)).first->second.file.body;
    }
    auto& draft = found->second;
    if (!draft.ours) {
        const auto ours = is_ours(role, draft.file);
        if (!ours) {
            return tl::unexpected(ours.error());
        }
        if (!*ours) {
            return fail(Errc::busy, "another holder's change of role " + role +
                                        " waits for signatures: sign it (slipway repo sign) or "
                                        "drop it (slipway repo sign --discard " +
                                        role + ") first");
        }
        draft.ours = true;
        draft.file.signatures.clear();
    }
    return &draft.file.body;
}

Result<> RepositoryEditor::discard(const std::string& role) {
    if (drafts_.erase(role) == 0) {
        return fail(Errc::not_found, "a staged change of role " + role);
    }
    if (role == "root") {
        next_root_.reset();
    }
    std::error_code error;
    fs::remove(staged_file(repository_, role), error);
    return error ? fail(error, "remove " + staged_file(repository_, role).string()) : Result<>{};
}

Result<Outcome> RepositoryEditor::settle(Staged staged) {
    staged_ = staged;
    for (auto& [role, draft] : drafts_) {
        draft.file.message = canonical_json(draft.file.body);
    }
    if (const auto root = drafts_.find("root"); root != drafts_.end()) {
        auto parsed = parse_root(root->second.file, "the new root");
        if (!parsed) {
            return fail(Errc::failed, parsed.error().context);
        }
        next_root_ = std::move(*parsed);
    }
    const bool root = has_draft("root");
    const bool targets = has_draft("targets");
    // The most first; what one attempt lacks may not keep another change from its place.
    std::optional<std::vector<Waiting>> waiting;
    for (const auto& [with_root, with_targets] :
         {std::pair{root, targets}, std::pair{root, false}, std::pair{false, targets},
          std::pair{false, false}}) {
        auto plan = make_plan(with_root, with_targets);
        if (!plan) {
            return tl::unexpected(plan.error());
        }
        if (!waiting) {
            waiting = plan->waiting;
        }
        if (!plan->blocked) {
            return carry_out(*plan, std::move(*waiting));
        }
    }
    return carry_out({}, std::move(*waiting));
}

Result<Outcome> RepositoryEditor::renew(bool snapshot) {
    drafts_.clear();
    next_root_.reset();
    force_snapshot_ = snapshot;
    force_timestamp_ = true;
    auto plan = make_plan(false, false);
    if (!plan) {
        return tl::unexpected(plan.error());
    }
    if (plan->blocked) {
        return fail(Errc::failed, "renew " + plan->waiting.front().role + ": too few of the " +
                                      std::to_string(plan->waiting.front().threshold) +
                                      " keys that the root lists for it are in " +
                                      keys_.path().string());
    }
    Outcome outcome;
    return publish(*plan, outcome).map([&] { return outcome; });
}

Result<Outcome> RepositoryEditor::carry_out(const Plan& plan, std::vector<Waiting> waiting) {
    Outcome outcome;
    outcome.waiting = std::move(waiting);
    return stage(plan).and_then([&] { return publish(plan, outcome); }).map([&] {
        clean_up(plan);
        return outcome;
    });
}

/// A draft that is published by this very plan needs no copy, except when a root goes with it: then
/// a kill halfway is finished from the copies.
Result<> RepositoryEditor::stage(const Plan& plan) const {
    const auto directory = staged_directory(repository_);
    std::error_code error;
    for (const auto& [role, draft] : drafts_) {
        const bool planned = std::any_of(plan.files.begin(), plan.files.end(),
                                         [&](const NewFile& one) { return one.role == role; });
        if ((planned && !plan.with_root) || draft.file.signatures.empty()) {
            continue;
        }
        fs::create_directories(directory, error);
        if (error) {
            return fail(error, "create " + directory.string());
        }
        auto written = replace_file(staged_file(repository_, role),
                                    encode_envelope(draft.file.body, draft.file.signatures));
        if (!written) {
            return written;
        }
    }
    return {};
}

Result<> RepositoryEditor::publish(const Plan& plan, Outcome& outcome) const {
    const auto metadata = repository_ / "metadata";
    const auto write = [&](const fs::path& path, const NewFile& file) {
        return replace_file(path, file.bytes).map([&] {
            outcome.published.push_back(path.filename().string());
        });
    };
    const NewFile* root = nullptr;
    const NewFile* timestamp = nullptr;
    for (const auto& file : plan.files) {
        if (file.role == "root" || file.role == "timestamp") {
            (file.role == "root" ? root : timestamp) = &file;
            continue;
        }
        if (auto done = write(metadata / versioned_name(file.role, file.version), file); !done) {
            return done;
        }
    }
    const auto write_root = [&] {
        return root == nullptr ? Result<>{}
                               : write(metadata / versioned_name("root", root->version), *root);
    };
    if (timestamp == nullptr) {
        return write_root();
    }
    if (root == nullptr || plan.seamless) {
        return write(metadata / "timestamp.json", *timestamp).and_then(write_root);
    }
    std::error_code error;
    fs::create_directories(staged_directory(repository_), error);
    // read_published() takes it from there if this process ends before the last step.
    return replace_file(staged_file(repository_, "timestamp"), timestamp->bytes)
        .and_then(write_root)
        .and_then([&] { return write(metadata / "timestamp.json", *timestamp); });
}

void RepositoryEditor::clean_up(const Plan& plan) {
    std::error_code ignored; // What stays is overtaken, and removed when it is seen again.
    for (const auto& file : plan.files) {
        fs::remove(staged_file(repository_, file.role), ignored);
    }
    fs::remove(staged_directory(repository_), ignored); // Succeeds if it is empty.
    if (!plan.with_root) {
        return;
    }
    for (const auto& [role, keys] : held_) {
        const auto before = published_.root.roles.find(role);
        for (const auto& one : keys) {
            const auto& id = one.key.public_key().id();
            if (before != published_.root.roles.end() && lists(before->second, id) &&
                !lists(next_root_->roles.at(role), id)) {
                (void)keys_.retire(one.file); // It is of no use where it stays either.
            }
        }
    }
}

} // namespace slipway::trust
