// The part of RepositoryEditor that decides what can be published together.
#include "common/trust/repository_editor.h"

#include <algorithm>
#include <utility>

#include "common/core/errc.h"
#include "common/trust/canonical_json.h"
#include "common/trust/role_body.h"

namespace slipway::trust {
namespace {

using nlohmann::json;

constexpr const char* by_targets = "the delegation by targets";

std::string under_root(const Root& root) {
    return "root version " + std::to_string(root.header.version);
}

json describe(std::uint64_t version, ByteSpan file) {
    return {{"version", version},
            {"length", file.size()},
            {"hashes", {{"sha256", sha256(file).hex()}}}};
}

/// What the role still lacks, or nothing.
std::optional<Waiting> lacking(const std::string& role, const Authority& authority,
                               const std::string& under, const Envelope& file) {
    if (meets(authority, file)) {
        return std::nullopt;
    }
    Waiting out{role, under, authority.role->threshold, signers(authority, file), {}};
    for (const auto& id : authority.role->key_ids) {
        if (std::find(out.signed_by.begin(), out.signed_by.end(), id) == out.signed_by.end()) {
            out.missing.push_back(id);
        }
    }
    return out;
}

} // namespace

Result<RepositoryEditor::Plan> RepositoryEditor::make_plan(bool with_root, bool with_targets) {
    Plan plan;
    plan.with_root = with_root;
    const Root& next = with_root ? *next_root_ : published_.root;
    Result<> done;
    if (with_root) {
        done = plan_root(plan);
    }
    if (done && !plan.blocked) {
        done = plan_targets(plan, with_targets, next);
    }
    if (done && !plan.blocked) {
        done = plan_snapshot(plan, next);
    }
    if (done && !plan.blocked) {
        done = plan_timestamp(plan, next);
    }
    if (!done) {
        return tl::unexpected(done.error());
    }
    return plan;
}

/// Signs as long as it helps: a signature more would change the bytes that others listed.
Result<> RepositoryEditor::sign(const std::string& role, Draft& draft,
                                const std::vector<Rule>& rules) {
    if (!draft.ours && staged_ == Staged::leave) {
        return {};
    }
    for (const auto& [authority, under] : rules) {
        if (meets(authority, draft.file)) {
            continue;
        }
        const auto keys = held(role);
        if (!keys) {
            return tl::unexpected(keys.error());
        }
        const auto done = signers(authority, draft.file);
        for (const auto& one : **keys) {
            const auto& id = one.key.public_key().id();
            if (!lists(*authority.role, id) ||
                std::find(done.begin(), done.end(), id) != done.end() ||
                meets(authority, draft.file)) {
                continue;
            }
            const auto signature = one.key.sign(as_bytes(draft.file.message));
            if (!signature) {
                return tl::unexpected(within("sign " + role, signature.error()));
            }
            draft.file.signatures[id] = to_hex(*signature);
        }
    }
    return {};
}

/// The file as a client will see it, checked as a client does before anyone sees it.
Result<> RepositoryEditor::add(Plan& plan, const std::string& role, const Draft& draft) const {
    auto bytes = encode_envelope(draft.file.body, draft.file.signatures);
    const auto what = "the new " + role + ".json";
    const auto file = parse_envelope(bytes, bytes_max(role), what);
    if (!file) {
        return fail(Errc::failed, file.error().context);
    }
    const auto version = draft.file.body.at("version").get<std::uint64_t>();
    plan.files.push_back({role, version, std::move(bytes)});
    return {};
}

Result<> RepositoryEditor::plan_root(Plan& plan) {
    auto& draft = drafts_.at("root");
    const std::vector<Rule> rules{
        {authority_of(published_.root, "root"), under_root(published_.root)},
        {authority_of(*next_root_, "root"), under_root(*next_root_)}};
    if (auto done = sign("root", draft, rules); !done) {
        return done;
    }
    for (const auto& [authority, under] : rules) {
        if (auto lacks = lacking("root", authority, under, draft.file)) {
            plan.waiting.push_back(std::move(*lacks));
            plan.blocked = true;
        }
    }
    return add(plan, "root", draft);
}

Result<> RepositoryEditor::plan_targets(Plan& plan, bool with_targets, const Root& next) {
    const Rule now{authority_of(published_.root, "targets"), under_root(published_.root)};
    const Rule then{authority_of(next, "targets"), under_root(next)};
    if (!with_targets && meets(then.authority, published_.targets.file)) {
        return plan_delegated(plan, published_.top);
    }
    if (!with_targets) { // The root takes the keys away that signed them.
        drafts_["targets"] = next_version("targets");
        drafts_["targets"].file.message = canonical_json(drafts_["targets"].file.body);
    }
    auto& draft = drafts_.at("targets");
    if (auto done = sign("targets", draft, {then, now}); !done) {
        return done;
    }
    const auto top = parse_targets(draft.file, "the new targets");
    if (!top) {
        return fail(Errc::failed, top.error().context);
    }
    if (auto lacks = lacking("targets", then.authority, then.under, draft.file)) {
        plan.waiting.push_back(std::move(*lacks));
        plan.blocked = true;
    }
    plan.seamless = plan.seamless && meets(now.authority, draft.file);
    return plan_delegated(plan, *top).and_then([&] { return add(plan, "targets", draft); });
}

/// A role that has no file yet, or one by keys that lost the delegation, goes with the targets that
/// say so. A change of another one may wait for its signatures alone.
Result<> RepositoryEditor::plan_delegated(Plan& plan, const Targets& top) {
    for (const auto& delegation : top.delegations) {
        const auto& role = delegation.name;
        const Rule rule{authority_of(top, delegation), by_targets};
        const auto* const before = published_.find(role);
        const bool needed = before == nullptr || !meets(rule.authority, before->file);
        if (!needed && !has_draft(role)) {
            continue;
        }
        if (!has_draft(role)) {
            drafts_[role] = next_version(role);
            drafts_[role].file.message = canonical_json(drafts_[role].file.body);
        }
        auto& draft = drafts_.at(role);
        if (auto done = sign(role, draft, {rule}); !done) {
            return done;
        }
        if (auto lacks = lacking(role, rule.authority, rule.under, draft.file)) {
            plan.waiting.push_back(std::move(*lacks));
            plan.blocked = plan.blocked || needed;
        } else if (auto added = add(plan, role, draft); !added) {
            return added;
        }
    }
    return {};
}

Result<> RepositoryEditor::plan_snapshot(Plan& plan, const Root& next) {
    auto draft = next_version("snapshot");
    bool needed =
        force_snapshot_ || !meets(authority_of(next, "snapshot"), published_.snapshot.file);
    for (const auto& file : plan.files) {
        if (file.role != "root") {
            draft.file.body["meta"][file.role + ".json"] = describe(file.version, file.bytes);
            needed = true;
        }
    }
    return needed ? plan_online(plan, "snapshot", std::move(draft), next) : Result<>{};
}

Result<> RepositoryEditor::plan_timestamp(Plan& plan, const Root& next) {
    auto draft = next_version("timestamp");
    bool needed =
        force_timestamp_ || !meets(authority_of(next, "timestamp"), published_.timestamp.file);
    if (!plan.files.empty() && plan.files.back().role == "snapshot") {
        const auto& snapshot = plan.files.back();
        draft.file.body["meta"]["snapshot.json"] = describe(snapshot.version, snapshot.bytes);
        needed = true;
    }
    return needed ? plan_online(plan, "timestamp", std::move(draft), next) : Result<>{};
}

/// A staged one that says the same is taken up, with the signatures that it has.
Result<> RepositoryEditor::plan_online(Plan& plan, const std::string& role, Draft wanted,
                                       const Root& next) {
    const auto staged = drafts_.find(role);
    if (staged != drafts_.end()) {
        auto same = wanted.file.body;
        same["expires"] = staged->second.file.body["expires"];
        if (same == staged->second.file.body) {
            wanted.file = staged->second.file;
        }
    }
    wanted.file.message = canonical_json(wanted.file.body);
    const Rule now{authority_of(published_.root, role), under_root(published_.root)};
    const Rule then{authority_of(next, role), under_root(next)};
    if (auto done = sign(role, wanted, {then, now}); !done) {
        return done;
    }
    if (auto lacks = lacking(role, then.authority, then.under, wanted.file)) {
        plan.waiting.push_back(std::move(*lacks));
        plan.blocked = true;
    }
    plan.seamless = plan.seamless && meets(now.authority, wanted.file);
    auto added = add(plan, role, wanted);
    drafts_[role] = std::move(wanted);
    return added;
}

} // namespace slipway::trust
