#include "agent/io/installer.h"

#include <algorithm>
#include <fcntl.h>
#include <type_traits>
#include <unistd.h>

#include "agent/io/artifact_packs.h"
#include "agent/io/block_decoder.h"
#include "agent/io/read_back.h"
#include "agent/io/seal_key.h"
#include "agent/io/tree_verifier.h"
#include "common/core/errc.h"
#include "common/io/file_ops.h"
#include "common/trust/utc_time.h"

namespace slipway::agent {
namespace fs = std::filesystem;
namespace {

using Clock = std::chrono::steady_clock;

// A source that proves corrupt leads to a new plan without it; each round distrusts at least one
// chunk more, and a disk that is this bad should be told about.
constexpr int rounds_max = 16;

Result<> sync_file_system(const fs::path& path) {
    return open_file(path, O_RDONLY | O_DIRECTORY).and_then([&](const Fd& fd) -> Result<> {
        if (::syncfs(fd.get()) != 0) {
            return fail_errno("write the release in " + path.string() + " to the disk");
        }
        return {};
    });
}

// One install under the service's lock.
class Run {
public:
    Run(const HostLayout& host, FileOps& files, Progress& progress, PackSource& source,
        const BuildRequest& request, std::stop_token stop)
        : host_(host), files_(files), progress_(progress), source_(source), request_(request),
          stop_(std::move(stop)), store_(files, host.service(request.service)),
          now_(trust::format_utc(std::chrono::time_point_cast<std::chrono::seconds>(request.now))) {
    }

    Result<InstallResult> install() {
        return phase("metadata", 0, [&] { return look(); })
            .and_then([&](bool whole) { return whole ? Result<>{} : bring(); })
            .and_then([&] { return phase("switch", 0, [&] { return make_current(); }); })
            .map([&] {
                progress_.finish();
                return std::move(result_);
            })
            .map_error([&](Error why) {
                read_back_.reset();
                reservation_.reset();
                (void)clear_staging(); // The next run does it if this one cannot.
                return why;
            });
    }

private:
    template <typename Work>
    std::invoke_result_t<Work> phase(const std::string& name, std::uint64_t total_bytes,
                                     Work work) {
        progress_.phase(name, total_bytes);
        if (request_.on_phase) {
            request_.on_phase(name, total_bytes);
        }
        const auto started = Clock::now();
        auto done = work();
        result_.seconds[name] += std::chrono::duration<double>(Clock::now() - started).count();
        return done;
    }

    // Metadata, and whether the release is on this host already, whole and right.
    Result<bool> look() {
        auto recovered = store_.recover(now_);
        if (!recovered) {
            return tl::unexpected(std::move(recovered.error()));
        }
        history_ = std::move(*recovered);
        auto metadata = request_.metadata();
        if (!metadata) {
            return tl::unexpected(std::move(metadata.error()));
        }
        if (request_.digest && *request_.digest != metadata->digest) {
            return fail(Errc::verification_failed,
                        request_.artifact.text() + " has manifest " + metadata->digest.hex() +
                            " by its signed metadata, not " + request_.digest->hex());
        }
        metadata_ = std::move(*metadata);
        result_.digest = metadata_.digest;
        result_.release = ReleaseId::of(request_.artifact, metadata_.digest);
        result_.tree_bytes = metadata_.manifest.tree_bytes;
        return store_.is_whole(result_.release) ? check_present() : Result<bool>(false);
    }

    // A release that is there counts only if it still is what its index says.
    Result<bool> check_present() {
        const auto id = result_.release;
        const auto index = MappedFile::open(store_.paths().record(id) / record_file::index);
        if (!index || sha256(index->bytes()) != metadata_.manifest.index) {
            progress_.note("the record of release " + id.text + " is damaged; building it anew");
            return false;
        }
        auto tree = read_tree(index->bytes(), "file index of " + request_.artifact.text());
        if (!tree) {
            return tl::unexpected(std::move(tree.error()));
        }
        auto faults = verify_tree(store_.paths().release(id), *tree, {}, progress_, stop_);
        if (!faults) {
            return tl::unexpected(std::move(faults.error()));
        }
        if (faults->empty()) {
            return true;
        }
        progress_.note("release " + id.text + " is damaged (" + faults->front().path + " " +
                       faults->front().why + "); building it anew");
        for (const auto& fault : *faults) {
            if (fault.entry != TreeFault::none) {
                for (const auto& digest : tree->entries[fault.entry].chunks) {
                    distrusted_.push_back(ChunkKey::of(digest));
                }
            }
        }
        return false;
    }

    // Fetches and builds the release, and puts it in its place.
    Result<> bring() {
        auto installed = InstalledContent::read(store_);
        if (!installed) {
            return tl::unexpected(std::move(installed.error()));
        }
        installed_ = std::move(*installed);
        for (const auto& key : distrusted_) {
            installed_.distrust(key);
        }
        packs_.emplace(metadata_.packs, source_, host_, installed_digests());
        return phase("index", 0, [&] { return get_index(); })
            .and_then([&] { return start_build(); })
            .and_then([&] { return build_until_right(); })
            .and_then([&] { return adopt(); });
    }

    std::vector<Sha256Digest> installed_digests() const {
        std::vector<Sha256Digest> digests;
        if (const auto records = store_.installed()) {
            for (const auto& record : *records) {
                digests.push_back(record.digest);
            }
        }
        return digests;
    }

    Result<> get_index() {
        const auto& manifest = metadata_.manifest;
        return packs_->get_chunk(manifest.index, manifest.index_bytes, installed_, stop_)
            .and_then([&](Bytes bytes) {
                index_ = std::move(bytes);
                return read_tree(index_, "file index of " + request_.artifact.text());
            })
            .and_then([&](Tree tree) -> Result<> {
                if (tree.entries.size() != manifest.entries || tree.bytes != manifest.tree_bytes) {
                    return fail(Errc::verification_failed,
                                "file index of " + request_.artifact.text() +
                                    " does not hold what its manifest says");
                }
                tree_ = std::move(tree);
                return {};
            });
    }

    Result<> start_build() {
        const auto& staging = store_.paths().staging();
        for (const auto* const name : {"tree", "record", "scratch"}) {
            if (auto made = files_.make_directory(staging / name); !made) {
                return made;
            }
        }
        return TreeBuilder::start(staging / "tree", tree_, installed_, progress_)
            .and_then([&](std::unique_ptr<TreeBuilder> builder) {
                builder_ = std::move(builder);
                decoder_.emplace(*builder_, installed_, staging / "scratch");
                return service_seal_key(store_.paths());
            })
            .and_then([&](const SealKey& key) {
                return ReadBack::start(staging / "tree", tree_, key, progress_);
            })
            .and_then([&](std::unique_ptr<ReadBack> read_back) {
                read_back_ = std::move(read_back);
                builder_->on_placed([&](const PlacedChunk& placed) { read_back_->add(placed); });
                return phase("plan", 0, [&] { return plan(); });
            })
            .and_then([&] { return phase("reserve", 0, [&] { return reserve(); }); });
    }

    Result<> plan() {
        const auto wanted = builder_->wanted();
        return packs_->plan(wanted, installed_, stop_).map([&](Plan made) {
            plan_ = std::move(made);
        });
    }

    // All space is there, and ours, before the first payload byte is fetched.
    Result<> reserve() {
        const auto& staging = store_.paths().staging();
        auto need = builder_->needed();
        const auto tree_bytes = need.bytes;
        auto mapped = packs_->bytes();
        if (!mapped) {
            return tl::unexpected(std::move(mapped.error()));
        }
        std::vector<const PackToc*> tocs;
        for (const auto& pack : *mapped) {
            tocs.push_back(pack.toc);
        }
        std::unordered_set<ChunkKey> in_tree;
        for (const auto number : tree_.files) {
            for (const auto& digest : tree_.entries[number].chunks) {
                in_tree.insert(ChunkKey::of(digest));
            }
        }
        const auto scratch = scratch_bytes(plan_, tocs, in_tree);
        auto missing = packs_->missing_bytes(plan_, stop_);
        if (!missing) {
            return tl::unexpected(std::move(missing.error()));
        }
        need.bytes += scratch + *missing + index_.size();
        fetch_bytes_ = *missing;
        return free_space(staging)
            .and_then([&](const Space& free) {
                return check_space(with_overhead(need), free, host_.root.string());
            })
            .and_then([&] { return SpaceReservation::take(staging / "reserved", tree_bytes); })
            .map([&](std::unique_ptr<SpaceReservation> held) {
                reservation_ = std::move(held);
                builder_->use(reservation_.get());
            });
    }

    Result<> build_until_right() {
        if (auto made = builder_->make_directories(); !made) {
            return made;
        }
        for (int round = 0; round < rounds_max; ++round) {
            auto right =
                phase("fetch", fetch_bytes_, [&] {
                    return packs_->fetch(plan_, stop_);
                }).and_then([&] {
                      return phase("build", tree_.bytes, [&] { return build(); });
                  }).and_then([&](bool complete) {
                    return complete ? check() : Result<bool>(false);
                });
            if (!right) {
                return tl::unexpected(std::move(right.error()));
            }
            if (*right) {
                return {};
            }
            progress_.note("a part of an installed release is damaged; fetching it instead");
            if (auto planned = plan(); !planned) {
                return planned;
            }
            fetch_bytes_ = 0;
        }
        return fail(Errc::failed, "the installed releases of service " + request_.service +
                                      " are damaged in too many places; see verify --all");
    }

    Result<bool> build() {
        return builder_->link_installed(stop_)
            .and_then([&] { return builder_->copy_chunks(stop_); })
            .and_then([&] { return packs_->bytes(); })
            .and_then([&](const std::vector<PackBytes>& packs) {
                return decoder_->decode(plan_, packs, stop_);
            })
            .map([&](bool decoded) { return decoded && builder_->is_complete(); });
    }

    // What the disk holds is what the index says; what is not is taken away again. Contents were
    // read back since the first was placed.
    Result<bool> check() {
        const auto& staging = store_.paths().staging();
        return builder_->finish()
            .and_then([&] { return write_record(); })
            .and_then([&] {
                reservation_.reset();
                builder_->use(nullptr);
                return phase("sync", 0, [&] { return sync_file_system(staging); });
            })
            .and_then([&] {
                const auto bytes = read_back_->waiting_bytes();
                return phase("verify", bytes, [&] { return faults(bytes); });
            })
            .and_then([&](const std::vector<TreeFault>& faults) { return reject(faults); });
    }

    Result<std::vector<TreeFault>> faults(std::uint64_t phase_bytes) {
        read_back_->synced();
        auto names = verify_tree(store_.paths().staging() / "tree", tree_, {.read_contents = false},
                                 progress_, stop_);
        if (!names) {
            return names;
        }
        return read_back_->finish(stop_, phase_bytes).map([&](std::vector<TreeFault> all) {
            all.insert(all.end(), names->begin(), names->end());
            std::ranges::stable_sort(all, {}, &TreeFault::path);
            const auto again = std::ranges::unique(all, {}, &TreeFault::path);
            all.erase(again.begin(), again.end());
            return all;
        });
    }

    Result<bool> reject(const std::vector<TreeFault>& faults) {
        for (const auto& fault : faults) {
            if (fault.entry == TreeFault::none ||
                tree_.entries[fault.entry].kind != EntryKind::file) {
                return fail(Errc::failed,
                            fault.path + " " + fault.why + " in the tree that was just built");
            }
            if (auto rejected = builder_->reject(fault.entry); !rejected) {
                return tl::unexpected(std::move(rejected.error()));
            }
        }
        return faults.empty();
    }

    // Durable by the syncfs that follows.
    Result<> write_record() {
        const ReleaseRecord record{request_.artifact, metadata_.digest, now_,
                                   metadata_.manifest.entries, metadata_.manifest.tree_bytes};
        const auto manifest = encode_manifest(metadata_.manifest);
        const auto release = encode_release_record(record);
        const auto map = encode_pack_map(metadata_.packs);
        return write_to_record(record_file::manifest, as_bytes(manifest))
            .and_then([&] { return write_to_record(record_file::index, index_); })
            .and_then([&] { return write_to_record(record_file::pack_map, map); })
            .and_then([&] { return write_to_record(record_file::release, as_bytes(release)); });
    }

    Result<> write_to_record(const char* name, ByteSpan bytes) {
        const auto file = store_.paths().staging() / "record" / name;
        return open_file(file, O_WRONLY | O_CREAT | O_TRUNC, 0644).and_then([&](const Fd& fd) {
            return write_all(fd.get(), bytes, file);
        });
    }

    Result<> adopt() {
        if (stop_.stop_requested()) {
            return fail(Errc::cancelled, "install " + request_.artifact.text());
        }
        result_.build = builder_->report();
        result_.decoded_bytes = decoder_->decoded_bytes();
        const auto& staging = store_.paths().staging();
        // Not synced: seals that a power cut spoils only cost the next install their use.
        return write_to_record(record_file::seals, encode_seals(read_back_->seals())).and_then([&] {
            return store_.adopt(result_.release, staging / "tree", staging / "record");
        });
    }

    Result<> make_current() {
        result_.previous = history_.previous();
        result_.was_current = !builder_ && history_.current() == result_.release;
        if (history_.current() == result_.release || !request_.activate) {
            return clear_staging();
        }
        result_.previous = history_.current();
        return store_.activate(history_, after_install(history_, result_.release, now_))
            .and_then([&] { return clear_staging(); });
    }

    Result<> clear_staging() {
        for (const auto& path : store_.leftovers()) {
            if (auto removed = files_.remove(path); !removed) {
                return removed;
            }
        }
        return {};
    }

    const HostLayout& host_;
    FileOps& files_;
    Progress& progress_;
    PackSource& source_;
    const BuildRequest& request_;
    std::stop_token stop_;
    ReleaseStore store_;
    std::string now_;
    History history_;
    ArtifactMetadata metadata_;
    std::vector<ChunkKey> distrusted_;
    InstalledContent installed_;
    std::optional<ArtifactPacks> packs_;
    Bytes index_;
    Tree tree_;
    std::unique_ptr<TreeBuilder> builder_;
    std::optional<BlockDecoder> decoder_;
    std::unique_ptr<ReadBack> read_back_;
    std::unique_ptr<SpaceReservation> reservation_;
    Plan plan_;
    std::uint64_t fetch_bytes_ = 0;
    InstallResult result_;
};

} // namespace

Installer::Installer(const HostLayout& host, FileOps& files, Progress& progress)
    : host_(host), files_(files), progress_(progress) {}

Result<InstallResult> Installer::run(const BuildRequest& request, PackSource& packs,
                                     std::stop_token stop) {
    const auto service = host_.service(request.service);
    if (auto made = files_.make_directory(service.directory); !made) {
        return tl::unexpected(std::move(made.error()));
    }
    const auto patience =
        std::chrono::duration_cast<std::chrono::milliseconds>(request.lock_timeout).count();
    const auto lock = FileLock::acquire(
        service.lock(), "install " + request.artifact.text(), static_cast<unsigned>(patience),
        [&](const std::string& holder) { progress_.note("waiting for " + holder); });
    if (!lock) {
        return tl::unexpected(lock.error());
    }
    return Run(host_, files_, progress_, packs, request, std::move(stop)).install();
}

} // namespace slipway::agent
