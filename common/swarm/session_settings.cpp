#include "common/swarm/session_settings.h"

#include <limits>
#include <utility>

#include <libtorrent/address.hpp>
#include <libtorrent/alert.hpp>
#include <libtorrent/ip_filter.hpp>
#include <libtorrent/session.hpp>
#include <libtorrent/settings_pack.hpp>

#include "common/swarm/spread_plugin.h"

namespace slipway::swarm {
namespace {

using Settings = lt::settings_pack;

int rate(std::uint64_t bytes_per_s) {
    return static_cast<int>(std::min<std::uint64_t>(bytes_per_s, std::numeric_limits<int>::max()));
}

void set_integers(Settings& settings, const SessionOptions& options) {
    constexpr int mib = 1024 * 1024;
    const std::pair<int, int> integers[] = {
        {Settings::in_enc_policy, Settings::pe_disabled},
        {Settings::out_enc_policy, Settings::pe_disabled},
        {Settings::mixed_mode_algorithm, Settings::prefer_tcp},
        {Settings::upload_rate_limit, rate(options.upload_bytes_per_s_max)},
        {Settings::download_rate_limit, rate(options.download_bytes_per_s_max)},
        {Settings::connections_limit, options.connections_max},
        {Settings::connection_speed, 200},
        {Settings::torrent_connect_boost, 80},
        {Settings::listen_queue_size, 512},
        {Settings::max_retry_port_bind, 0},
        // A seeder that starts late is found within a second or two, not a minute.
        {Settings::min_reconnect_time, 1},
        {Settings::max_failcount, 100},
        {Settings::min_announce_interval, 1}, // The tracker's `min interval` rules.
        {Settings::tracker_backoff, 25},
        {Settings::stop_tracker_timeout, 1},
        {Settings::tracker_completion_timeout, 10},
        {Settings::tracker_receive_timeout, 5},
        {Settings::peer_connect_timeout, 5},
        {Settings::handshake_timeout, 5},
        {Settings::tick_interval, 100},
        // Few uploads at a time end sooner than many. A host that fetches several packs has a
        // connection for each, and they take turns by the second.
        {Settings::unchoke_slots_limit, options.upload_slots},
        {Settings::unchoke_interval, 1},
        {Settings::optimistic_unchoke_interval, 4},
        {Settings::whole_pieces_threshold, 2},
        {Settings::request_queue_time, 1},
        {Settings::max_out_request_queue, 1500},
        {Settings::max_allowed_in_request_queue, 3000},
        {Settings::send_buffer_watermark, 3 * mib},
        {Settings::send_buffer_low_watermark, mib},
        {Settings::send_buffer_watermark_factor, 150},
        {Settings::send_not_sent_low_watermark, mib / 2},
        {Settings::max_queued_disk_bytes, 32 * mib},
        {Settings::aio_threads, 4},
        {Settings::file_pool_size, 256},
        {Settings::active_limit, -1},
        {Settings::active_seeds, -1},
        {Settings::active_downloads, -1},
        {Settings::max_metadata_size, mib},
        {Settings::max_http_recv_buffer_size, mib},
        {Settings::alert_queue_size, 10'000},
        {Settings::alert_mask, static_cast<int>(static_cast<std::uint32_t>(
                                   lt::alert_category::error | lt::alert_category::status |
                                   lt::alert_category::storage | lt::alert_category::tracker))},
    };
    for (const auto& [name, value] : integers) {
        settings.set_int(name, value);
    }
}

} // namespace

lt::session_params session_params(const SessionOptions& options) {
    Settings settings;
    settings.set_str(Settings::user_agent, "slipway");
    settings.set_str(Settings::peer_fingerprint,
                     options.source ? source_fingerprint : agent_fingerprint);
    // 's': SSL peers only.
    settings.set_str(Settings::listen_interfaces, options.listen + (options.tls ? "s" : ""));
    const auto ip = options.listen.substr(0, options.listen.rfind(':'));
    if (ip != "0.0.0.0" && ip != "[::]") {
        // Peers know each other by source address; another one than announced looks like a
        // stranger.
        settings.set_str(Settings::outgoing_interfaces, ip);
    }
    for (const int off :
         {Settings::enable_dht, Settings::enable_lsd, Settings::enable_upnp,
          Settings::enable_natpmp, Settings::enable_incoming_utp, Settings::enable_outgoing_utp,
          Settings::enable_ip_notifier, Settings::rate_limit_ip_overhead, Settings::ssrf_mitigation,
          Settings::listen_system_port_fallback, Settings::use_parole_mode,
          // A source has nothing to show at the moment, a host wants the next pack in a moment:
          // closing and calling again costs seconds.
          Settings::close_redundant_connections}) {
        settings.set_bool(off, false);
    }
    // Several agents may share an address: tests, containers, network address translation.
    settings.set_bool(Settings::allow_multiple_connections_per_ip, true);
    set_integers(settings, options);
    // No plugin of libtorrent's: no exchange of metadata or peers in private swarms, and smart_ban
    // of 2.0.8 keeps pointers to peers that are gone.
    return {std::move(settings), std::vector<std::shared_ptr<lt::plugin>>{}};
}

void set_rates(lt::session& session, std::uint64_t upload_bytes_per_s_max,
               std::uint64_t download_bytes_per_s_max) {
    Settings settings;
    settings.set_int(Settings::upload_rate_limit, rate(upload_bytes_per_s_max));
    settings.set_int(Settings::download_rate_limit, rate(download_bytes_per_s_max));
    session.apply_settings(std::move(settings));
}

void limit_all_peers(lt::session& session) {
    lt::ip_filter filter;
    const auto global = 1U << static_cast<std::uint32_t>(lt::session::global_peer_class_id);
    filter.add_rule(lt::make_address("0.0.0.0"), lt::make_address("255.255.255.255"), global);
    filter.add_rule(lt::make_address("::"),
                    lt::make_address("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), global);
    session.set_peer_class_filter(filter);
}

} // namespace slipway::swarm
