// Measures the codecs on two trees, without a repository: what the patches of a release cost in
// bytes and in CPU time. Usage: delta_codec OLD NEW [--level N|max] [--check] [--no-full]
// [--verbose] [--alone BYTES]. The last line that it prints: see the end of main().

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "common/core/sha256.h"
#include "common/delta/codec.h"
#include "common/delta/likeness.h"

namespace {

using slipway::Bytes;
using slipway::ByteSpan;
namespace fs = std::filesystem;

constexpr std::size_t chunk_bytes = 64ULL << 20U;
constexpr std::size_t group_bytes = 16ULL << 20U;
std::size_t alone_bytes = 4ULL << 20U; // A file from this length on is a block of its own.

double cpu_seconds() {
    timespec now{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

struct Clock {
    double seconds = 0;
    template <typename Work>
    auto operator()(Work work) {
        const auto begin = cpu_seconds();
        auto result = work();
        seconds += cpu_seconds() - begin;
        return result;
    }
};

using Tree = std::map<std::string, Bytes>;

Tree read_tree(const fs::path& root) {
    Tree tree;
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
        if (entry.is_regular_file() && !entry.is_symlink()) {
            std::ifstream file(entry.path(), std::ios::binary);
            tree[entry.path().lexically_relative(root).string()] =
                Bytes(std::istreambuf_iterator<char>(file), {});
        }
    }
    return tree;
}

struct Match {
    std::string path;
    std::optional<std::string> older;
};

bool is_native(const Bytes& bytes) {
    return bytes.size() > 4 && std::memcmp(bytes.data(),
                                           "\x7f"
                                           "ELF",
                                           4) == 0;
}

std::vector<Match> match_files(const Tree& old_tree, const Tree& new_tree,
                               const std::unordered_set<slipway::Sha256Digest>& known,
                               const std::map<std::string, slipway::Sha256Digest>& digests) {
    std::vector<Match> matches;
    std::unordered_map<std::string, std::vector<std::string>> by_stem;
    std::vector<std::pair<slipway::Sketch, std::string>> sketches;
    for (const auto& [path, bytes] : old_tree) {
        if (!new_tree.count(path)) {
            by_stem[slipway::path_stem(path)].push_back(path);
            sketches.emplace_back(slipway::sketch_of(bytes), path);
        }
    }
    for (const auto& [path, bytes] : new_tree) {
        if (known.count(digests.at(path)) || bytes.empty()) {
            continue;
        }
        if (old_tree.count(path)) {
            matches.push_back({path, path});
            continue;
        }
        const auto sketch = slipway::sketch_of(bytes);
        double best = 0.05;
        std::optional<std::string> older;
        for (const auto& [other, name] : sketches) {
            if (const auto alike = slipway::likeness(sketch, other); alike > best) {
                best = alike;
                older = name;
            }
        }
        const auto stem = by_stem.find(slipway::path_stem(path));
        if (!older && stem != by_stem.end()) {
            older = stem->second.front();
        }
        matches.push_back({path, older});
    }
    return matches;
}

struct Job {
    Bytes raw;
    Bytes base;
    std::string name;
};

std::vector<Job> make_jobs(const std::vector<Match>& matches, const Tree& old_tree,
                           const Tree& new_tree) {
    std::vector<Job> jobs;
    Job group;
    std::unordered_set<std::string> bases_of_group;
    const auto flush = [&] {
        if (!group.raw.empty()) {
            group.name = "(group)";
            jobs.push_back(std::move(group));
        }
        group = {};
        bases_of_group.clear();
    };
    for (const auto& match : matches) {
        const auto& raw = new_tree.at(match.path);
        if (raw.size() >= alone_bytes || is_native(raw)) {
            const Bytes none;
            const auto& base = match.older ? old_tree.at(*match.older) : none;
            for (std::size_t at = 0; at < raw.size(); at += chunk_bytes) {
                Job job;
                job.name = match.path;
                job.raw.assign(raw.begin() + static_cast<std::ptrdiff_t>(at),
                               raw.begin() + static_cast<std::ptrdiff_t>(
                                                 std::min(raw.size(), at + chunk_bytes)));
                job.base = base;
                jobs.push_back(std::move(job));
            }
            continue;
        }
        if (group.raw.size() + raw.size() > group_bytes) {
            flush();
        }
        group.raw.insert(group.raw.end(), raw.begin(), raw.end());
        if (match.older && bases_of_group.insert(*match.older).second) {
            const auto& base = old_tree.at(*match.older);
            group.base.insert(group.base.end(), base.begin(), base.end());
        }
    }
    flush();
    return jobs;
}

} // namespace

int main(int argc, char** argv) {
    if (argc < 3) {
        std::fprintf(stderr, "usage: delta_codec OLD NEW [options]\n");
        return 2;
    }
    slipway::EffortLevel level;
    bool check = false;
    bool verbose = false;
    bool full = true;
    for (int i = 3; i < argc; ++i) {
        const std::string flag = argv[i];
        if (flag == "--level") {
            const std::string value = argv[++i];
            level.try_sdiff = value == "max";
            level.zstd_level =
                value == "max" ? 19 : static_cast<int>(std::strtol(value.c_str(), nullptr, 10));
        }
        if (flag == "--alone") {
            alone_bytes = std::strtoull(argv[++i], nullptr, 10);
        }
        check |= flag == "--check";
        verbose |= flag == "--verbose";
        full &= flag != "--no-full";
    }
    const auto old_tree = read_tree(argv[1]);
    const auto new_tree = read_tree(argv[2]);
    std::unordered_set<slipway::Sha256Digest> known;
    for (const auto& [path, bytes] : old_tree) {
        known.insert(slipway::sha256(bytes));
    }
    Clock hashing;
    Clock matching;
    Clock full_clock;
    Clock patching;
    Clock decoding;
    std::size_t tree_bytes = 0;
    std::map<std::string, slipway::Sha256Digest> digests;
    for (const auto& [path, bytes] : new_tree) {
        tree_bytes += bytes.size();
        digests[path] = hashing([&content = bytes] { return slipway::sha256(content); });
    }
    const auto matches = matching([&] { return match_files(old_tree, new_tree, known, digests); });
    const auto jobs = make_jobs(matches, old_tree, new_tree);
    std::size_t full_bytes = 0;
    std::size_t patch_bytes = 0;
    std::size_t raw_bytes = 0;
    for (const auto& job : jobs) {
        slipway::Encoded whole;
        if (full) {
            whole = full_clock([&] { return slipway::encode_full(job.raw, level); });
        }
        const auto patch =
            patching([&] { return slipway::encode_patch(job.raw, job.base, level); });
        full_bytes += whole.bytes.size();
        patch_bytes += full ? std::min(whole.bytes.size(), patch.bytes.size()) : patch.bytes.size();
        raw_bytes += job.raw.size();
        if (verbose) {
            std::printf("  %10zu %10zu %10zu %s %s\n", job.raw.size(), whole.bytes.size(),
                        patch.bytes.size(), std::string(slipway::to_string(patch.codec)).c_str(),
                        job.name.c_str());
        }
        if (check) {
            Bytes out(job.raw.size());
            const auto ok = decoding([&] {
                return slipway::decode_block(patch.codec, patch.bytes, job.base, out).has_value();
            });
            if (!ok || out != job.raw) {
                std::fprintf(stderr, "decoding gave other bytes: %s\n", job.name.c_str());
                return 1;
            }
        }
    }
    // tree, changed, full, patch in bytes; seconds of hashing, matching, full, patch, decoding.
    std::printf("%zu %zu %zu %zu %.3f %.3f %.3f %.3f %.3f\n", tree_bytes, raw_bytes, full_bytes,
                patch_bytes, hashing.seconds, matching.seconds, full_clock.seconds,
                patching.seconds, decoding.seconds);
    return 0;
}
