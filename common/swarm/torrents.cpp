#include "common/swarm/torrents.h"

#include <algorithm>
#include <cassert>

#include <libtorrent/add_torrent_params.hpp>
#include <libtorrent/address.hpp>
#include <libtorrent/alert_types.hpp>
#include <libtorrent/extensions.hpp>
#include <libtorrent/load_torrent.hpp>
#include <libtorrent/torrent_flags.hpp>
#include <libtorrent/torrent_info.hpp>

#include "common/core/errc.h"
#include "common/swarm/hash_guard.h"
#include "common/swarm/metainfo.h"
#include "common/swarm/session_settings.h"
#include "common/swarm/spread_plugin.h"

namespace slipway::swarm {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds listen_patience{5};
constexpr std::chrono::seconds remove_patience{10};
constexpr std::chrono::seconds flush_patience{120};
constexpr std::chrono::milliseconds poll{20};

std::error_code to_std(const lt::error_code& error) {
    const bool of_system = error.category() == boost::system::system_category() ||
                           error.category() == boost::system::generic_category();
    return of_system ? std::error_code(error.value(), std::generic_category())
                     : make_error_code(Errc::failed);
}

// Pieces that are not selected have priority 0: libtorrent leaves them alone.
std::vector<lt::download_priority_t> priorities(const Ledger& ledger) {
    std::vector<lt::download_priority_t> result;
    for (const bool selected : ledger.selection()) {
        result.push_back(selected ? lt::default_priority : lt::dont_download);
    }
    return result;
}

lt::add_torrent_params params_of(const TorrentSource& source, std::string_view authority_pem,
                                 const Ledger& ledger) {
    const auto metainfo = make_metainfo(source.pack, source.layer, authority_pem);
    lt::load_torrent_limits limits;
    limits.max_buffer_size = static_cast<int>(metainfo.size());
    limits.max_pieces = static_cast<int>(ledger.grid().count());
    const auto text = as_text(metainfo);
    auto params = lt::load_torrent_buffer({text.data(), std::ptrdiff_t(text.size())}, limits);
    const auto path = std::filesystem::absolute(source.file);
    params.save_path = path.parent_path().string();
    if (path.filename() != source.pack.name()) {
        params.renamed_files[lt::file_index_t{0}] = path.filename().string();
    }
    params.storage_mode = lt::storage_mode_sparse;
    params.trackers = source.trackers;
    using namespace lt::torrent_flags;
    params.flags &= ~(auto_managed | paused);
    // What is there was verified before; seed_mode would hash it again for every peer.
    params.flags |= no_verify_files | duplicate_is_error | disable_dht | disable_lsd | disable_pex;
    const auto have = ledger.have();
    params.have_pieces.resize(static_cast<int>(have.size()), false);
    for (std::size_t piece = 0; piece < have.size(); ++piece) {
        if (have[piece]) {
            params.have_pieces.set_bit(lt::piece_index_t{static_cast<int>(piece)});
        }
    }
    params.piece_priorities = priorities(ledger);
    if (!authority_pem.empty()) {
        params.flags |= paused; // Until its TLS context is as it must be.
    }
    return params;
}

// Runs a call into libtorrent, which may throw that a torrent or the session is gone.
template <typename Work>
Result<> guarded(const std::string& attempt, Work&& work) {
    try {
        std::forward<Work>(work)();
        return {};
    } catch (const lt::system_error& error) {
        return fail(to_std(error.code()), attempt + ": " + error.what());
    } catch (const std::exception& error) {
        return fail(Errc::failed, attempt + ": " + error.what());
    }
}

// BEP 52 truncates on the wire.
std::string wire_hash(const Sha256Digest& info_hash) {
    constexpr std::size_t digits = 40;
    return info_hash.hex().substr(0, digits);
}

void connect_to(const lt::torrent_handle& torrent, const std::vector<PeerAddress>& peers) {
    const auto asked = guarded("connect to peers", [&] {
        for (const auto& peer : peers) {
            if (const auto endpoint = endpoint_of(peer)) {
                torrent.connect_peer(*endpoint);
            }
        }
    });
    (void)asked; // The torrent was removed meanwhile, and needs no peers.
}

} // namespace

Result<lt::tcp::endpoint> endpoint_of(const PeerAddress& peer) {
    lt::error_code error;
    const auto address = lt::make_address(peer.ip, error);
    if (error || peer.port == 0) {
        return fail(Errc::usage, "'" + printable(peer.ip) + ":" + std::to_string(peer.port) +
                                     "' is not the address of a peer");
    }
    return lt::tcp::endpoint(address, peer.port);
}

Result<std::unique_ptr<Torrents>> Torrents::start(const SessionOptions& options) {
    std::unique_ptr<Torrents> torrents(new Torrents);
    const auto listening = torrents->listen(options);
    if (!listening) {
        return tl::unexpected(listening.error());
    }
    return torrents;
}

void Torrents::set_rates(std::uint64_t upload_bytes_per_s_max,
                         std::uint64_t download_bytes_per_s_max) {
    swarm::set_rates(*session_, upload_bytes_per_s_max, download_bytes_per_s_max);
}

Result<> Torrents::listen(const SessionOptions& options) {
    const std::string attempt = "listen for BitTorrent peers on " + options.listen;
    tls_ = options.tls;
    source_ = options.source;
    auto started = guarded(attempt, [&] {
        auto params = session_params(options);
        params.extensions.push_back(make_spread_ticker(ticks_));
        if (tls_) {
            params.extensions.push_back(make_doorkeeper(door_));
        }
        session_ = std::make_unique<lt::session>(std::move(params));
        limit_all_peers(*session_);
        session_->set_alert_notify([signal = signal_] { signal->raise(); });
    });
    if (!started) {
        return started;
    }
    for (const auto end = Clock::now() + listen_patience; Clock::now() < end;) {
        pump();
        if (listen_error_) {
            return fail(Errc::failed, attempt + ": " + *listen_error_);
        }
        if (port_ != 0) {
            return {};
        }
        signal_->wait(poll);
    }
    return fail(Errc::failed, attempt + ": libtorrent opened no socket");
}

Torrents::~Torrents() {
    if (session_ != nullptr) {
        session_->set_alert_notify([] {});
        session_->abort(); // Announces `stopped`; stop_tracker_timeout limits the wait.
    }
}

Sha256Digest Torrents::own_authority() const {
    return authorities().front();
}

std::vector<Sha256Digest> Torrents::authorities() const {
    if (!tls_) {
        return {Sha256Digest{}};
    }
    std::vector<Sha256Digest> all;
    for (const auto& membership : tls_->all()) {
        all.push_back(membership->authority);
    }
    return all;
}

Torrent* Torrents::find(const SwarmId& swarm) {
    const auto found = torrents_.find(swarm);
    return found == torrents_.end() ? nullptr : &found->second;
}

Torrent* Torrents::find(const PackId& pack) {
    return find(SwarmId{pack, own_authority()});
}

Torrent* Torrents::torrent_of(const lt::torrent_handle& handle) {
    const auto found = swarms_.find(handle);
    return found == swarms_.end() ? nullptr : find(found->second);
}

Result<Torrent*> Torrents::add(const TorrentSource& source, const Sha256Digest& authority,
                               std::shared_ptr<Ledger> ledger) {
    const SwarmId swarm{source.pack, authority};
    assert(find(swarm) == nullptr);
    auto& place = torrents_[swarm];
    place.ledger = std::move(ledger);
    place.file = source.file;
    place.layer = source.layer;
    if (auto started = start(place, source, authority); !started) {
        if (place.handle.is_valid()) {
            (void)leave(swarm); // The first failure tells more.
        } else {
            torrents_.erase(swarm);
        }
        return tl::unexpected(started.error());
    }
    add_sources(place, {}, source.peers);
    if (!source_) {
        assignments_->enter(wire_hash(place.info_hash), place.ledger,
                            [handle = place.handle](const std::vector<PeerAddress>& peers) {
                                connect_to(handle, peers);
                            });
    }
    return &place;
}

Result<> Torrents::start(Torrent& torrent, const TorrentSource& source,
                         const Sha256Digest& authority) {
    const auto membership = tls_ ? tls_->find(authority) : nullptr;
    const std::string attempt = "share pack " + source.pack.name();
    if (tls_ && !membership) {
        return fail(Errc::failed, attempt + ": its authority was withdrawn meanwhile");
    }
    const auto pem = membership ? membership->authority_pem : std::string{};
    torrent.info_hash = info_hash(source.pack, pem);
    Result<> gated;
    auto added = guarded(attempt, [&] {
        auto params = params_of(source, pem, *torrent.ledger);
        params.extensions.emplace_back([known = torrent.ledger, sent = uploaded_bytes_](
                                           const lt::torrent_handle&, lt::client_data_t) {
            return make_hash_guard(known, sent);
        });
        params.extensions.emplace_back(
            [known = torrent.ledger, ticks = ticks_, is_source = source_](const lt::torrent_handle&,
                                                                          lt::client_data_t) {
                return is_source ? make_spreading_source(known->grid().count(), ticks)
                                 : make_spread_receiver(known, ticks);
            });
        if (membership) {
            const Gate gate{tls_, authority, wire_hash(torrent.info_hash)};
            params.extensions.emplace_back(
                [gate, &gated, door = door_,
                 peers = torrent.peers](const lt::torrent_handle& handle, lt::client_data_t) {
                    return make_gatekeeper(handle, gate, door, peers, gated);
                });
        }
        torrent.info = params.ti;
        torrent.handle = session_->add_torrent(std::move(params));
        swarms_.emplace(torrent.handle, SwarmId{source.pack, authority});
        if (gated && membership) {
            torrent.handle.resume();
        }
    });
    return added ? gated : added;
}

Result<> Torrents::seed(TorrentSource source) {
    const auto& kept = seeds_.insert_or_assign(source.pack, std::move(source)).first->second;
    return join(kept);
}

// Enters the swarms of all authorities that it is not in.
Result<> Torrents::join(const TorrentSource& source) {
    for (const auto& authority : authorities()) {
        if (find(SwarmId{source.pack, authority}) != nullptr) {
            continue;
        }
        auto ledger = std::make_shared<Ledger>(
            source.pack, std::vector<bool>(source.layer.size(), true), signal_);
        if (auto added = add(source, authority, std::move(ledger)); !added) {
            return tl::unexpected(added.error());
        }
    }
    return {};
}

Result<> Torrents::follow_authorities() {
    const auto present = authorities();
    std::vector<SwarmId> gone;
    for (const auto& [swarm, torrent] : torrents_) {
        if (std::ranges::find(present, swarm.authority) == present.end()) {
            gone.push_back(swarm);
        }
    }
    for (const auto& swarm : gone) {
        if (auto left = leave(swarm); !left) {
            return left;
        }
    }
    for (const auto& [pack, source] : seeds_) {
        if (auto joined = join(source); !joined) {
            return joined;
        }
    }
    return {};
}

std::vector<SwarmStatus> Torrents::swarms() const {
    std::vector<SwarmStatus> all;
    all.reserve(torrents_.size());
    for (const auto& [swarm, torrent] : torrents_) {
        all.push_back({.pack = swarm.pack,
                       .info_hash = torrent.info_hash,
                       .authority = tls_ ? swarm.authority.hex() : "",
                       .peers = *torrent.peers});
    }
    return all;
}

Result<> Torrents::remove(const PackId& pack) {
    seeds_.erase(pack);
    std::vector<SwarmId> swarms;
    for (const auto& [swarm, torrent] : torrents_) {
        if (swarm.pack == pack) {
            swarms.push_back(swarm);
        }
    }
    for (const auto& swarm : swarms) {
        if (auto left = leave(swarm); !left) {
            return left;
        }
    }
    return {};
}

Result<> Torrents::leave(const SwarmId& swarm) {
    const auto handle = torrents_.at(swarm).handle;
    assignments_->leave(wire_hash(torrents_.at(swarm).info_hash));
    const std::string attempt = "stop sharing pack " + swarm.pack.name();
    auto asked = guarded(attempt, [&] { session_->remove_torrent(handle); });
    swarms_.erase(handle);
    torrents_.erase(swarm);
    if (!asked) {
        return asked;
    }
    // Added again before this alert, libtorrent takes the new torrent for the old one.
    for (const auto end = Clock::now() + remove_patience; Clock::now() < end;) {
        pump();
        if (removed_.erase(handle) > 0) {
            return {};
        }
        signal_->wait(poll);
    }
    return fail(Errc::failed, attempt + ": libtorrent does not let go of it");
}

void Torrents::follow_ledger(Torrent& torrent) {
    assignments_->touch();
    const auto done = guarded("select pieces", [&] {
        torrent.handle.prioritize_pieces(priorities(*torrent.ledger));
        look_soon(torrent.handle, ticks_);
    });
    assert(done); // The handle is valid as long as the torrent is in the map.
}

void Torrents::add_sources(Torrent& torrent, const std::vector<std::string>& trackers,
                           const std::vector<PeerAddress>& peers) {
    const auto done = guarded("add sources", [&] {
        for (const auto& url : trackers) {
            torrent.handle.add_tracker(lt::announce_entry(url));
        }
        for (const auto& peer : peers) {
            if (const auto endpoint = endpoint_of(peer)) {
                torrent.handle.connect_peer(*endpoint);
            }
        }
    });
    assert(done);
}

void Torrents::announce(Torrent& torrent) {
    const auto done = guarded("announce", [&] {
        torrent.handle.force_reannounce(0, -1, lt::torrent_handle::ignore_min_interval);
    });
    assert(done);
}

Result<> Torrents::flush(const std::vector<Torrent*>& torrents) {
    std::set<lt::torrent_handle> waiting;
    flushed_.clear();
    auto asked = guarded("flush packs", [&] {
        for (auto* const torrent : torrents) {
            torrent->handle.flush_cache();
            waiting.insert(torrent->handle);
        }
    });
    if (!asked) {
        return asked;
    }
    for (const auto end = Clock::now() + flush_patience; Clock::now() < end;) {
        pump();
        for (auto* const torrent : torrents) {
            if (torrent->disk_error) {
                return tl::unexpected(*torrent->disk_error);
            }
        }
        std::erase_if(waiting, [&](const auto& handle) { return flushed_.contains(handle); });
        if (waiting.empty()) {
            return {};
        }
        signal_->wait(poll);
    }
    return fail(Errc::failed, "flush packs: the disk does not answer");
}

void Torrents::pump() {
    std::vector<lt::alert*> alerts;
    session_->pop_alerts(&alerts);
    for (auto* const alert : alerts) {
        take(*alert);
    }
}

void Torrents::take(lt::alert& alert) {
    if (const auto* listening = lt::alert_cast<lt::listen_succeeded_alert>(&alert)) {
        port_ = static_cast<std::uint16_t>(listening->port);
        door_->port = port_;
    } else if (const auto* failed = lt::alert_cast<lt::listen_failed_alert>(&alert)) {
        listen_error_ = failed->error.message();
    } else if (const auto* removed = lt::alert_cast<lt::torrent_removed_alert>(&alert)) {
        removed_.insert(removed->handle);
    } else if (const auto* flushed = lt::alert_cast<lt::cache_flushed_alert>(&alert)) {
        flushed_.insert(flushed->handle);
    } else if (const auto* any = dynamic_cast<const lt::torrent_alert*>(&alert)) {
        auto* const torrent = torrent_of(any->handle);
        if (torrent == nullptr) {
            return;
        }
        if (lt::alert_cast<lt::torrent_checked_alert>(&alert) != nullptr) {
            torrent->ledger->torrent_started();
        } else if (const auto* refused = lt::alert_cast<lt::tracker_error_alert>(&alert)) {
            const std::string reason = refused->error_message();
            torrent->ledger->note("tracker " + printable(refused->tracker_url()),
                                  reason.empty() ? refused->error.message() : printable(reason));
        } else if (const auto* reply = lt::alert_cast<lt::tracker_reply_alert>(&alert)) {
            torrent->ledger->note("tracker " + printable(reply->tracker_url()),
                                  "named " + std::to_string(reply->num_peers) + " peers");
        } else if (const auto* disk = lt::alert_cast<lt::file_error_alert>(&alert)) {
            torrent->disk_error =
                Error{to_std(disk->error), std::string("pack file ") + torrent->file.string() +
                                               ": " + lt::operation_name(disk->op)};
        } else if (const auto* bad = lt::alert_cast<lt::torrent_error_alert>(&alert)) {
            torrent->disk_error = Error{to_std(bad->error), "pack file " + torrent->file.string()};
        }
    }
}

} // namespace slipway::swarm
