#include "common/config/document.h"

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include "common/core/errc.h"
#include "common/core/toml.h"

namespace slipway::config {
namespace {

constexpr std::size_t mistakes_max = 20;
constexpr std::size_t list_max = 64;
constexpr std::size_t depth_max = 8;

struct Mistake {
    std::uint32_t line = 0; ///< 0: not in the file.
    std::string text;
};

struct Document {
    toml::table root;
    std::map<std::string, std::string> overridden; ///< Key to where it was said.
    std::vector<Mistake> mistakes;

    void complain(std::uint32_t line, std::string text) {
        if (mistakes.size() < mistakes_max) {
            mistakes.push_back({line, std::move(text)});
        }
    }
};

bool is_plain_key(std::string_view key) {
    return !key.empty() && std::ranges::all_of(key, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_' || c == '-';
    });
}

std::vector<std::string> parts_of(std::string_view key) {
    std::vector<std::string> parts;
    while (true) {
        const auto dot = key.find('.');
        parts.emplace_back(key.substr(0, dot));
        if (dot == std::string_view::npos) {
            return parts;
        }
        key.remove_prefix(dot + 1);
    }
}

// "5", "true", "[1, 2]", "\"text\"" as in a file; anything else is a text as it stands.
void insert_value(toml::table& into, const std::string& key, const std::string& value) {
    if (value.find('\n') == std::string::npos) {
        auto parsed = parse_toml("v = " + value);
        auto* node = parsed ? parsed->get("v") : nullptr;
        if (node != nullptr && parsed->size() == 1) {
            into.insert_or_assign(key, std::move(*node));
            return;
        }
    }
    into.insert_or_assign(key, value);
}

void apply(Document& document, const Override& given) {
    const auto parts = parts_of(given.key);
    if (parts.size() > depth_max || !std::ranges::all_of(parts, is_plain_key)) {
        document.complain(0, given.from + ": is no key");
        return;
    }
    auto* table = &document.root;
    for (auto part = parts.begin(); part + 1 != parts.end(); ++part) {
        auto* below = table->get(*part);
        if (below == nullptr) {
            table->insert(*part, toml::table());
            below = table->get(*part);
        }
        table = below->as_table();
        if (table == nullptr) {
            document.complain(0, given.from + ": " + *part + " is no table");
            return;
        }
    }
    insert_value(*table, parts.back(), given.value);
    document.overridden[given.key] = given.from;
}

Result<> result_of(std::string_view what, std::vector<Mistake> mistakes) {
    if (mistakes.empty()) {
        return {};
    }
    std::ranges::stable_sort(mistakes, {}, &Mistake::line);
    std::string text(what);
    const char* before = ": ";
    for (const auto& mistake : mistakes) {
        text += before;
        text += mistake.line == 0 ? "" : "line " + std::to_string(mistake.line) + ": ";
        text += mistake.text;
        before = "; ";
    }
    return fail(Errc::usage, text);
}

} // namespace

struct Table::State {
    Document& document;
    const toml::table& table;
    std::string name; ///< "" or "tls.".
    std::set<std::string, std::less<>> taken;

    const toml::node* get(std::string_view key) {
        taken.emplace(key);
        return table.get(key);
    }
};

Table::Table(std::unique_ptr<State> state) : state_(std::move(state)) {}
Table::Table(Table&& other) noexcept = default;

Table::~Table() {
    if (state_) {
        for (const auto& name : names()) {
            complain(name, "is not known");
        }
    }
}

void Table::take(const char* key, std::string& into) {
    if (const auto* node = state_->get(key)) {
        const auto text = node->value_exact<std::string>();
        text ? void(into = *text) : complain(key, "must be a text");
    }
}

void Table::take(const char* key, bool& into) {
    if (const auto* node = state_->get(key)) {
        const auto truth = node->value_exact<bool>();
        truth ? void(into = *truth) : complain(key, "must be true or false");
    }
}

void Table::take(const char* key, std::vector<std::string>& into) {
    const auto* node = state_->get(key);
    if (node == nullptr) {
        return;
    }
    const auto* list = node->as_array();
    if (list == nullptr || list->size() > list_max) {
        complain(key, "must be a list of 64 texts at most");
        return;
    }
    std::vector<std::string> taken;
    for (const auto& one : *list) {
        const auto text = one.value_exact<std::string>();
        if (!text) {
            complain(key, "must be a list of texts");
            return;
        }
        taken.push_back(*text);
    }
    into = std::move(taken);
}

void Table::take_word(const char* key, std::string& into, std::span<const char* const> words) {
    std::string word = into;
    take(key, word);
    if (std::ranges::find(words, word) != words.end()) {
        into = word;
        return;
    }
    std::string known;
    for (const auto* one : words) {
        known += (known.empty() ? "" : ", ") + std::string(one);
    }
    complain(key, "must be one of " + known);
}

std::optional<std::int64_t> Table::count(const char* key, std::int64_t min, std::int64_t max) {
    const auto* node = state_->get(key);
    if (node == nullptr) {
        return std::nullopt;
    }
    const auto number = node->value_exact<std::int64_t>();
    if (!number || *number < min || *number > max) {
        complain(key,
                 "must be a number from " + std::to_string(min) + " to " + std::to_string(max));
        return std::nullopt;
    }
    return number;
}

bool Table::has(const char* key) const {
    return state_->table.get(key) != nullptr;
}

std::optional<Table> Table::table(const char* key) {
    const auto* node = state_->get(key);
    if (node == nullptr) {
        return std::nullopt;
    }
    const auto* below = node->as_table();
    if (below == nullptr) {
        complain(key, "must be a table");
        return std::nullopt;
    }
    return Table(
        std::unique_ptr<State>(new State{state_->document, *below, state_->name + key + ".", {}}));
}

std::vector<std::string> Table::names() const {
    std::vector<std::string> names;
    for (const auto& [key, node] : state_->table) {
        if (!state_->taken.contains(key.str())) {
            names.emplace_back(key.str());
        }
    }
    return names;
}

std::string Table::json() {
    for (const auto& name : names()) {
        state_->taken.insert(name);
    }
    std::ostringstream text;
    text << toml::json_formatter(state_->table);
    return text.str();
}

void Table::complain(std::string_view key, std::string_view why) {
    const auto full = state_->name + std::string(key);
    const auto said = state_->document.overridden.find(full);
    if (said != state_->document.overridden.end()) {
        state_->document.complain(0, said->second + ": " + full + " " + std::string(why));
        return;
    }
    const auto* node = state_->table.get(key);
    state_->document.complain(node != nullptr ? node->source().begin.line : 0,
                              full + " " + std::string(why));
}

Result<Override> parse_override(std::string_view text) {
    const auto equals = text.find('=');
    if (equals == std::string_view::npos || equals == 0) {
        return fail(Errc::usage, "--set '" + std::string(text.substr(0, 100)) +
                                     "' must be KEY=VALUE, with a key of the configuration file");
    }
    const std::string key(text.substr(0, equals));
    return Override{key, std::string(text.substr(equals + 1)), "--set " + key};
}

std::vector<Override> overrides_of(std::span<const std::string> environment,
                                   std::string_view prefix) {
    std::vector<Override> found;
    for (const auto& variable : environment) {
        const auto equals = variable.find('=');
        if (!variable.starts_with(prefix) || equals == std::string::npos ||
            equals <= prefix.size()) {
            continue;
        }
        const auto name = variable.substr(0, equals);
        std::string key;
        for (auto at = prefix.size(); at < name.size(); ++at) {
            const bool dot = name.compare(at, 2, "__") == 0;
            const char c = name[at];
            key += dot ? '.' : c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
            at += dot ? 1 : 0;
        }
        found.push_back({key, variable.substr(equals + 1), name});
    }
    std::ranges::sort(found, {}, &Override::key);
    return found;
}

Result<> read_document(std::string_view text, std::string_view what,
                       std::span<const Override> overrides,
                       const std::function<void(Table&)>& read) {
    if (text.size() > document_bytes_max) {
        return fail(Errc::usage, std::string(what) + ": is larger than 256 KiB");
    }
    Document document;
    auto parsed = parse_toml(text);
    if (!parsed) {
        document.complain(parsed.error().line, std::move(parsed.error().why));
        return result_of(what, std::move(document.mistakes));
    }
    document.root = std::move(*parsed);
    for (const auto& given : overrides) {
        apply(document, given);
    }
    {
        Table root(
            std::unique_ptr<Table::State>(new Table::State{document, document.root, "", {}}));
        read(root);
    }
    return result_of(what, std::move(document.mistakes));
}

TlsPaths take_tls(Table& table) {
    TlsPaths paths;
    if (auto tls = table.table("tls")) {
        tls->take("certificate", paths.certificate);
        tls->take("key", paths.key);
        tls->take("authority", paths.authority);
        tls->take("revoked", paths.revoked);
    }
    return paths;
}

} // namespace slipway::config
