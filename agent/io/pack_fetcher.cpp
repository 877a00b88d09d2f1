#include "agent/io/pack_fetcher.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>

#include "common/core/errc.h"
#include "common/io/file_ops.h"
#include "common/repository/layout.h"
#include "common/swarm/metainfo.h"

namespace slipway::agent {
namespace {

bool is_loopback(const std::string& address) {
    const auto start = address.find("://");
    const auto host = start == std::string::npos ? address : address.substr(start + 3);
    return host.starts_with("127.") || host.starts_with("localhost") || host.starts_with("[::1]");
}

} // namespace

PackFetcher::PackFetcher(const HostLayout& host, const std::vector<std::string>& seeders,
                         FetcherOptions options, Progress& progress)
    : host_(host), options_(std::move(options)), progress_(progress) {
    for (const auto& address : seeders) {
        seeders_.push_back({address, local_directory(address).value_or(""), std::nullopt});
    }
}

PackFetcher::~PackFetcher() = default;

bool PackFetcher::has_network() const {
    return std::ranges::any_of(seeders_, [](const Seeder& one) { return one.directory.empty(); });
}

void PackFetcher::ask_seeders(std::stop_token stop) {
    if (std::exchange(asked_, true)) {
        return;
    }
    HttpClient http(options_.tls);
    HttpLimits limits;
    limits.body_bytes_max = seeder_info_bytes_max;
    limits.total_timeout = std::chrono::seconds(10);
    for (auto& seeder : seeders_) {
        if (!seeder.directory.empty()) {
            continue;
        }
        progress_.add(0); // Each has its own deadline.
        const auto url = join_url(seeder.address, "v1/seeder");
        auto info = http.get(url, limits, stop).and_then([&](const Bytes& body) {
            return decode_seeder_info(body, url);
        });
        if (info) {
            seeder.info = std::move(*info);
        } else if (info.error().code != Errc::not_found) { // 404: a plain web server.
            progress_.note("seeder " + describe(info.error()) + "; used as a web server only");
        }
    }
}

Result<PackFile> PackFetcher::load_metainfo(const PackId& id) {
    PackFile pack{id, host_.pack(id), {}, {}, {}};
    const auto cached = host_.metainfo(id);
    const auto limit = swarm::metainfo_bytes_max(id.bytes);
    if (auto bytes = read_file(cached, limit)) {
        if (auto layer = swarm::verify_metainfo(*bytes, id, cached.string())) {
            pack.layer = std::move(*layer);
            pack.metainfo = std::move(*bytes);
            return pack;
        }
    }
    std::string reasons;
    auto code = make_error_code(Errc::unreachable);
    for (const auto& seeder : seeders_) {
        progress_.add(0); // Each has its own deadline.
        RepositorySource source(seeder.directory.empty() ? seeder.address : seeder.directory,
                                options_.tls);
        const auto path = layout::metainfo_path(id);
        const auto what = join_url(seeder.address, path);
        auto bytes = source.fetch(path, limit);
        auto layer = bytes ? swarm::verify_metainfo(*bytes, id, what)
                           : tl::unexpected(std::move(bytes.error()));
        if (layer) {
            pack.layer = std::move(*layer);
            pack.metainfo = std::move(*bytes);
            return replace_file(cached, pack.metainfo).map([&] { return std::move(pack); });
        }
        if (layer.error().code == Errc::verification_failed || reasons.empty()) {
            code = layer.error().code;
        }
        reasons += (reasons.empty() ? "" : "; ") + describe(layer.error());
    }
    return fail(code, "metainfo of pack " + id.name() + ": " + reasons);
}

Result<PackFetcher::Known*> PackFetcher::know(const PackId& id, std::stop_token stop) {
    if (const auto known = known_.find(id); known != known_.end()) {
        return &known->second;
    }
    if (stop.stop_requested()) {
        return fail(Errc::cancelled, "fetch pack " + id.name());
    }
    return load_metainfo(id).map([&](PackFile file) {
        return &known_.emplace(id, Known{std::move(file), {}}).first->second;
    });
}

Result<std::vector<std::vector<Range>>>
PackFetcher::missing(const std::vector<PackRequest>& requests, std::stop_token stop) {
    std::vector<std::vector<Range>> all;
    for (const auto& request : requests) {
        auto known = know(request.pack, stop);
        if (!known) {
            return tl::unexpected(std::move(known.error()));
        }
        auto& wanted = (*known)->wanted;
        wanted.insert(wanted.end(), request.wanted.begin(), request.wanted.end());
        wanted = merged(std::move(wanted));
        auto missing = request.wanted.empty()
                           ? std::vector<Range>{}
                           : missing_ranges((*known)->file, request.wanted, stop, &progress_);
        if (!missing) {
            return tl::unexpected(std::move(missing.error()));
        }
        all.push_back(std::move(*missing));
    }
    return all;
}

Result<> PackFetcher::fetch(const std::vector<PackRequest>& requests, std::stop_token stop) {
    auto all = missing(requests, stop);
    if (!all) {
        return tl::unexpected(std::move(all.error()));
    }
    std::vector<swarm::FetchRequest> over_network;
    for (std::size_t i = 0; i < requests.size(); ++i) {
        auto& missing = (*all)[i];
        totals_.had_bytes += total_bytes(requests[i].wanted) -
                             std::min(total_bytes(requests[i].wanted), total_bytes(missing));
        auto& known = known_.at(requests[i].pack);
        auto done = reserve_ranges(known.file, missing).and_then([&] {
            return copy_from_directories(known.file, missing, stop);
        });
        if (!done) {
            return done;
        }
        if (!missing.empty()) {
            ask_seeders(stop);
            if (auto left = leave_if_gone(known.file.id, missing); !left) {
                return left;
            }
            over_network.push_back(request_for(known, missing));
        }
    }
    if (over_network.empty()) {
        return {};
    }
    return fetch_over_network(std::move(over_network), stop).map([&] {
        for (std::size_t i = 0; i < requests.size(); ++i) {
            auto& file = known_.at(requests[i].pack).file;
            note_verified(file, (*all)[i]);
            note_shared(file, (*all)[i]);
        }
    });
}

Result<> PackFetcher::copy_from_directories(PackFile& pack, std::vector<Range>& missing,
                                            std::stop_token stop) {
    for (const auto& seeder : seeders_) {
        if (seeder.directory.empty() || missing.empty()) {
            continue;
        }
        const auto source = std::filesystem::path(seeder.directory) / layout::pack_path(pack.id);
        auto copied = copy_ranges(pack, source, missing, progress_, stop);
        if (copied) {
            totals_.fetched_bytes += total_bytes(missing);
            note_verified(pack, missing);
            missing.clear();
            return {};
        }
        const bool is_last = &seeder == &seeders_.back();
        if (copied.error().code == Errc::cancelled || (is_last && !has_network())) {
            return copied;
        }
        progress_.note(describe(copied.error()) + "; trying another seeder");
        auto left = missing_ranges(pack, missing, stop, &progress_);
        if (!left) {
            return tl::unexpected(std::move(left.error()));
        }
        missing = std::move(*left);
    }
    if (!missing.empty() && !has_network()) {
        return fail(Errc::unreachable, "no seeder has pack " + pack.id.name());
    }
    return {};
}

swarm::FetchRequest PackFetcher::request_for(const Known& known,
                                             const std::vector<Range>& wanted) const {
    swarm::FetchRequest request;
    request.pack = known.file.id;
    request.metainfo = known.file.metainfo;
    request.file = known.file.file;
    for (const auto& range : wanted) {
        request.wanted.push_back({range.offset, range.bytes});
    }
    for (const auto& seeder : seeders_) {
        if (!seeder.directory.empty()) {
            continue;
        }
        request.web_seeds.push_back(join_url(seeder.address, layout::pack_path(known.file.id)));
        if (seeder.info && &seeder == assigning()) {
            request.assigned = true;
        } else if (seeder.info) {
            request.trackers.push_back(join_url(seeder.address, "announce"));
            request.peers.push_back({seeder.info->bittorrent_ip, seeder.info->bittorrent_port});
        }
    }
    return request;
}

// The first seeder that assigns peers does so for this host; others are sources as they always
// were.
const Seeder* PackFetcher::assigning() const {
    const auto found = std::ranges::find_if(
        seeders_, [](const Seeder& seeder) { return seeder.info && seeder.info->assigns; });
    return found == seeders_.end() ? nullptr : &*found;
}

// A seeder that was started again may share at another port.
void PackFetcher::call_seeder() {
    const auto* const seeder = assigning();
    const bool called = seeder != nullptr && caller_ &&
                        caller_->calls(seeder->address, {seeder->info->bittorrent_ip,
                                                         seeder->info->bittorrent_port});
    if (seeder != nullptr && !called) {
        const SwarmCallerOptions options{
            .url = seeder->address,
            .source = {seeder->info->bittorrent_ip, seeder->info->bittorrent_port},
            .port = session_->port(),
            .zone = options_.zone,
            .region = options_.region,
            .tls = options_.tls};
        caller_.reset(); // Two at a time would listen to one session.
        caller_ = std::make_unique<SwarmCaller>(options, session_->assignments());
    }
}

Result<> PackFetcher::start_session() {
    if (session_) {
        return {};
    }
    swarm::SessionOptions options;
    options.listen = options_.listen;
    options.tls = options_.swarm_tls ? options_.swarm_tls->tls() : nullptr;
    if (options.listen.empty()) {
        const bool local = std::ranges::all_of(seeders_, [](const Seeder& seeder) {
            return !seeder.directory.empty() || is_loopback(seeder.address);
        });
        options.listen = local ? "127.0.0.1:0" : "0.0.0.0:0";
    }
    const std::lock_guard lock(rates_mutex_);
    options.upload_bytes_per_s_max = rates_.upload_bytes_per_s;
    options.download_bytes_per_s_max = rates_.download_bytes_per_s;
    return swarm::PackSession::start(options).map(
        [&](std::unique_ptr<swarm::PackSession> session) { session_ = std::move(session); });
}

Result<> PackFetcher::fetch_over_network(const std::vector<swarm::FetchRequest>& requests,
                                         std::stop_token stop) {
    if (auto started = start_session(); !started) {
        return started;
    }
    call_seeder();
    return session_
        ->fetch(
            requests, options_.patience, [&](std::uint64_t bytes) { progress_.add(bytes); },
            std::move(stop))
        .map([&](const swarm::FetchReport& report) {
            totals_.fetched_bytes += report.received_bytes;
            for (const auto& peer : report.banned) {
                progress_.note(peer + " sent bad data and was left out");
            }
        });
}

Result<> PackFetcher::share(std::chrono::seconds duration, std::stop_token stop) {
    if (!has_network() || known_.empty() || duration.count() <= 0) {
        return {};
    }
    ask_seeders(stop);
    std::vector<swarm::FetchRequest> requests;
    for (const auto& [id, known] : known_) {
        if (!known.wanted.empty()) {
            requests.push_back(request_for(known, known.wanted));
        }
    }
    if (auto shared = fetch_over_network(std::move(requests), stop); !shared) {
        return shared;
    }
    std::mutex mutex;
    std::unique_lock lock(mutex);
    std::condition_variable_any().wait_for(lock, stop, duration, [] { return false; });
    return {}; // Being told to stop is a good end of sharing.
}

} // namespace slipway::agent
