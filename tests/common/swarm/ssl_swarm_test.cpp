#include "common/swarm/pack_session.h"

#include <cstdlib>
#include <cstring>
#include <thread>

#include <arpa/inet.h>
#include <catch2/catch.hpp>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/core/errc.h"
#include "tests/fakes/sample_pack.h"
#include "tests/fakes/test_authority.h"

namespace slipway::swarm {
namespace {

using namespace std::chrono_literals;
using fakes::CertificateSpec;
using fakes::TestAuthority;
using fakes::TestHost;
constexpr std::uint64_t mib = 1024 * 1024;

TlsMaterial material_of(const TestHost& host, const std::string& revocations = "") {
    return {.certificates = host.certificates,
            .keys = TestAuthority::pem(*host.key),
            .authorities = host.authorities,
            .revocations = revocations};
}

// Of a host whose certificate nobody checks before it is used.
std::shared_ptr<SwarmTls> tls_of(const TlsMaterial& material) {
    auto tls = SwarmTls::make(material, std::chrono::system_clock::now());
    REQUIRE(tls);
    return *tls;
}

std::unique_ptr<PackSession> start_session(std::shared_ptr<const SwarmTls> tls,
                                           std::uint64_t upload_bytes_per_s_max = 0) {
    SessionOptions options;
    options.tls = std::move(tls);
    options.upload_bytes_per_s_max = upload_bytes_per_s_max;
    auto session = PackSession::start(options);
    REQUIRE(session);
    return std::move(*session);
}

// A fleet's seeder.
struct Seeder {
    Seeder(const fakes::SamplePack& pack, ByteSpan bytes, std::shared_ptr<SwarmTls> certificates,
           std::uint64_t upload_bytes_per_s_max = 0)
        : tls(std::move(certificates)), session(start_session(tls, upload_bytes_per_s_max)) {
        fakes::write_whole(directory.path() / "pack", bytes);
        const auto seeding = session->seed(pack.id, pack.metainfo, directory.path() / "pack", {});
        INFO((seeding ? "" : describe(seeding.error())));
        REQUIRE(seeding);
    }
    Seeder(const fakes::SamplePack& pack, std::shared_ptr<SwarmTls> certificates)
        : Seeder(pack, pack.data, std::move(certificates)) {}
    [[nodiscard]] PeerAddress address() const { return {"127.0.0.1", session->port()}; }
    [[nodiscard]] std::string name() const {
        return "127.0.0.1:" + std::to_string(session->port());
    }
    fakes::TemporaryDirectory directory;
    std::shared_ptr<SwarmTls> tls;
    std::unique_ptr<PackSession> session;
};

FetchRequest request_for(const fakes::SamplePack& pack, const std::filesystem::path& file,
                         const PeerAddress& peer) {
    FetchRequest request;
    request.pack = pack.id;
    request.metainfo = pack.metainfo;
    request.file = file;
    request.wanted = {{0, pack.id.bytes}};
    request.peers = {peer};
    return request;
}

Result<FetchReport> fetch(PackSession& session, const FetchRequest& request,
                          std::chrono::milliseconds patience = 20s) {
    return session.fetch({request}, patience, {}, {});
}

std::string why(const Result<FetchReport>& report) {
    return report ? "" : describe(report.error());
}

// A TCP connection to a seeder; closed by the destructor.
class RawConnection {
public:
    explicit RawConnection(const PeerAddress& peer) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(peer.port);
        inet_pton(AF_INET, peer.ip.c_str(), &address.sin_addr);
        REQUIRE(::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
        timeval patience{10, 0};
        ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    }
    RawConnection(const RawConnection&) = delete;
    RawConnection& operator=(const RawConnection&) = delete;
    RawConnection(RawConnection&& other) noexcept : socket_(std::exchange(other.socket_, -1)) {}
    ~RawConnection() { ::close(socket_); }
    [[nodiscard]] int socket() const { return socket_; }
    void send(std::string_view text) const {
        REQUIRE(::send(socket_, text.data(), text.size(), MSG_NOSIGNAL) ==
                static_cast<ssize_t>(text.size()));
    }
    // True when the other end has closed it.
    [[nodiscard]] bool closed() const {
        char byte = 0;
        return ::recv(socket_, &byte, 1, MSG_DONTWAIT) == 0 || errno == ECONNRESET;
    }

private:
    int socket_;
};

std::string handshake_of(const Sha256Digest& info_hash) {
    std::string text("\x13"
                     "BitTorrent protocol"
                     "\0\0\0\0\0\x10\0\0",
                     28);
    text.append(reinterpret_cast<const char*>(info_hash.bytes.data()), 20);
    return text + "-XX0001-abcdefghijkl";
}

// What a stranger shows, and how it calls.
struct Stranger {
    TestAuthority::Certificate certificate; ///< Null: none.
    TestAuthority::Key key;
    std::string name; ///< Server name; empty: that of the swarm.
    int version = TLS1_3_VERSION;
    std::string session; ///< DER of a session to resume.
};

struct Answer {
    std::string bytes; ///< What came through TLS.
    std::size_t tickets = 0;
    int version = 0;
};

// Makes a handshake as the stranger, then asks for the pack; gives all that came.
Answer call(const PeerAddress& peer, const Sha256Digest& info_hash, const Stranger& stranger) {
    const std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context(SSL_CTX_new(TLS_client_method()),
                                                               SSL_CTX_free);
    SSL_CTX_set_min_proto_version(context.get(), stranger.version);
    SSL_CTX_set_max_proto_version(context.get(), stranger.version);
    if (stranger.certificate) {
        SSL_CTX_use_certificate(context.get(), stranger.certificate.get());
        SSL_CTX_use_PrivateKey(context.get(), stranger.key.get());
    }
    const RawConnection connection(peer);
    const std::unique_ptr<SSL, void (*)(SSL*)> ssl(SSL_new(context.get()), SSL_free);
    SSL_set_fd(ssl.get(), connection.socket());
    const auto swarm = info_hash.hex().substr(0, 40);
    auto name = stranger.name.empty() ? swarm : stranger.name;
    // SSL_set_tlsext_host_name(3) without its cast.
    SSL_ctrl(ssl.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name.data());
    Answer answer;
    if (SSL_connect(ssl.get()) == 1) {
        answer.version = SSL_version(ssl.get());
        const auto hello = handshake_of(info_hash);
        SSL_write(ssl.get(), hello.data(), static_cast<int>(hello.size()));
        char buffer[1024];
        const int got = SSL_read(ssl.get(), buffer, sizeof buffer);
        answer.bytes.assign(buffer, static_cast<std::size_t>(std::max(0, got)));
        answer.tickets = SSL_SESSION_is_resumable(SSL_get0_session(ssl.get())) == 1 ? 1 : 0;
    }
    ERR_clear_error();
    return answer;
}

// A member that speaks the protocol by hand: for what libtorrent does not do.
class HandMadePeer {
public:
    HandMadePeer(const PeerAddress& peer, const Sha256Digest& info_hash, const TestHost& host)
        : connection_(peer), context_(SSL_CTX_new(TLS_client_method()), SSL_CTX_free) {
        SSL_CTX_use_certificate(context_.get(), host.certificate.get());
        SSL_CTX_use_PrivateKey(context_.get(), host.key.get());
        ssl_.reset(SSL_new(context_.get()));
        SSL_set_fd(ssl_.get(), connection_.socket());
        auto swarm = info_hash.hex().substr(0, 40);
        SSL_ctrl(ssl_.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, swarm.data());
        REQUIRE(SSL_connect(ssl_.get()) == 1);
        send(handshake_of(info_hash));
        REQUIRE(read(68).substr(1, 19) == "BitTorrent protocol");
    }

    void send(const std::string& bytes) {
        REQUIRE(SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size())) ==
                static_cast<int>(bytes.size()));
    }
    // The next message of a kind; others are passed over.
    std::string message(char kind) {
        while (true) {
            const auto text = read(number(read(4)));
            if (!text.empty() && text.front() == kind) {
                return text;
            }
        }
    }
    std::string block(std::uint32_t piece, std::uint32_t offset) {
        send(bytes_of(13) + "\x06" + bytes_of(piece) + bytes_of(offset) + bytes_of(16384));
        return message('\x07').substr(9);
    }
    // Changes the keys of this end, and has the other end change its own.
    void update_keys() {
        REQUIRE(SSL_key_update(ssl_.get(), SSL_KEY_UPDATE_REQUESTED) == 1);
        REQUIRE(SSL_do_handshake(ssl_.get()) == 1);
    }
    static std::string bytes_of(std::uint32_t value) {
        const auto big = htonl(value);
        return {reinterpret_cast<const char*>(&big), sizeof big};
    }

private:
    static std::size_t number(const std::string& bytes) {
        std::uint32_t big = 0;
        std::memcpy(&big, bytes.data(), sizeof big);
        return ntohl(big);
    }
    std::string read(std::size_t count) {
        std::string bytes(count, '\0');
        for (std::size_t at = 0; at < count;) {
            const int got = SSL_read(ssl_.get(), bytes.data() + at, static_cast<int>(count - at));
            REQUIRE(got > 0);
            at += static_cast<std::size_t>(got);
        }
        return bytes;
    }

    RawConnection connection_;
    std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context_;
    std::unique_ptr<SSL, void (*)(SSL*)> ssl_{nullptr, SSL_free};
};

} // namespace

TEST_CASE("SSL swarm: members fetch from each other", "[swarm][tls]") {
    const TestAuthority authority;
    const fakes::SamplePack pack(20 * mib + 123);
    const Seeder seeder(pack, tls_of(material_of(TestHost(authority, {.name = "seeder"}))));
    const fakes::TemporaryDirectory directory;
    const auto session = start_session(tls_of(material_of(TestHost(authority))));
    const auto request = request_for(pack, directory.path() / "pack", seeder.address());
    const auto report = fetch(*session, request);
    REQUIRE(why(report) == "");
    CHECK(fakes::read_whole(request.file) == pack.data);
    CHECK(report->failed_bytes == 0);
    CHECK(seeder.session->uploaded_bytes() >= pack.id.bytes);
    const auto swarms = seeder.session->swarms();
    REQUIRE(swarms.size() == 1);
    CHECK(swarms.front().info_hash == info_hash(pack.id, authority.pem()));
}

TEST_CASE("SSL swarm: a peer that changes its keys in between gets the right blocks",
          "[swarm][tls]") {
    const TestAuthority authority;
    const fakes::SamplePack pack(mib);
    const Seeder seeder(pack, tls_of(material_of(TestHost(authority))));
    HandMadePeer peer(seeder.address(), info_hash(pack.id, authority.pem()), TestHost(authority));
    peer.send(HandMadePeer::bytes_of(1) + "\x02"); // Interested.
    peer.message('\x01');                          // Unchoked.
    const auto piece = piece_bytes_for(pack.id.bytes);
    for (std::uint32_t i = 0; i < 16; ++i) {
        CAPTURE(i);
        const auto offset = i * 16384;
        const auto block = peer.block(offset / piece, offset % piece);
        REQUIRE(block == as_text(ByteSpan(pack.data).subspan(offset, 16384)));
        if (i % 5 == 3) {
            peer.update_keys();
        }
    }
}

TEST_CASE("SSL swarm: a plain peer gets no byte, and gives none", "[swarm][tls]") {
    const TestAuthority authority;
    const fakes::SamplePack pack(mib);
    const Seeder seeder(pack, tls_of(material_of(TestHost(authority))));
    const fakes::TemporaryDirectory directory;
    SECTION("of ours") {
        const auto plain = start_session(nullptr);
        const auto request = request_for(pack, directory.path() / "pack", seeder.address());
        CHECK_FALSE(fetch(*plain, request, 2s));
        CHECK(seeder.session->uploaded_bytes() == 0);
    }
    SECTION("that shares the pack") {
        const Seeder plain(pack, nullptr);
        const auto session = start_session(seeder.tls);
        const auto request = request_for(pack, directory.path() / "pack", plain.address());
        CHECK_FALSE(fetch(*session, request, 2s));
        CHECK(plain.session->uploaded_bytes() == 0);
    }
    SECTION("that names either swarm in its handshake") {
        for (const auto& hash : {info_hash(pack.id), info_hash(pack.id, authority.pem())}) {
            const RawConnection connection(seeder.address());
            connection.send(handshake_of(hash));
            std::string got(64, '\0');
            const auto count = ::recv(connection.socket(), got.data(), got.size(), 0);
            CHECK(got.find("BitTorrent") == std::string::npos); // A TLS alert at most.
            CHECK(count < 16);
        }
    }
}

TEST_CASE("SSL swarm: who is no member is refused in the handshake", "[swarm][tls]") {
    const TestAuthority authority;
    const TestAuthority foreign; // With the same name.
    const TestAuthority intermediate("intermediate", authority);
    const fakes::SamplePack pack(mib);
    const TestHost seeder_host(authority);
    const auto key = TestAuthority::make_key();
    const auto stolen = authority.issue(key, {.name = "stolen"});
    const Seeder seeder(pack, tls_of(material_of(seeder_host, authority.revoke({stolen}))));
    const auto swarm = info_hash(pack.id, authority.pem());
    const auto name_prefix = pack.id.name().substr(0, 3);

    SECTION("a member is not, so that this test can tell") {
        const auto answer =
            call(seeder.address(), swarm, {authority.issue(key), key, {}, TLS1_3_VERSION, {}});
        CHECK(answer.bytes.find("BitTorrent protocol") != std::string::npos);
        CHECK(answer.version == TLS1_3_VERSION);
        CHECK(answer.tickets == 0); // Nothing to come back with after a revocation.
    }
    SECTION("strangers") {
        const std::vector<std::pair<std::string, Stranger>> strangers = {
            {"no certificate", {nullptr, nullptr, {}, TLS1_3_VERSION, {}}},
            {"another authority of the same name",
             {foreign.issue(key), key, {}, TLS1_3_VERSION, {}}},
            {"signed by an intermediate", {intermediate.issue(key), key, {}, TLS1_3_VERSION, {}}},
            {"expired",
             {authority.issue(key, {.from = -48h, .until = -1h}), key, {}, TLS1_3_VERSION, {}}},
            {"revoked", {stolen, key, {}, TLS1_3_VERSION, {}}},
            {"without any name",
             {authority.issue(key, {.alternative_names = {}}), key, {}, TLS1_3_VERSION, {}}},
            {"a prefix of the torrent's name",
             {authority.issue(key, {.alternative_names = {"DNS:" + name_prefix}}),
              key,
              {},
              TLS1_3_VERSION,
              {}}},
            {"the star as a common name",
             {authority.issue(key, {.name = "*", .alternative_names = {}}),
              key,
              {},
              TLS1_3_VERSION,
              {}}},
            {"a server's certificate",
             {authority.issue(key, {.usage = "serverAuth"}), key, {}, TLS1_3_VERSION, {}}},
            {"TLS 1.2", {authority.issue(key), key, {}, TLS1_2_VERSION, {}}},
            {"no swarm's name", {authority.issue(key), key, "example.org", TLS1_3_VERSION, {}}},
        };
        for (const auto& [what, stranger] : strangers) {
            INFO(what);
            CHECK(call(seeder.address(), swarm, stranger).bytes.empty());
        }
        CHECK(seeder.session->uploaded_bytes() == 0);
    }
    SECTION("a member, when the revocation list is past its date") {
        REQUIRE(seeder.tls->replace(material_of(seeder_host, authority.revoke({}, -1h)),
                                    std::chrono::system_clock::now()));
        CHECK(call(seeder.address(), swarm, {authority.issue(key), key, {}, TLS1_3_VERSION, {}})
                  .bytes.empty());
    }
    SECTION("a handshake for the plain swarm") {
        CHECK(call(seeder.address(), info_hash(pack.id),
                   {authority.issue(key), key, {}, TLS1_3_VERSION, {}})
                  .bytes.empty());
    }
}

TEST_CASE("SSL swarm: a seeder that is no member is not fetched from", "[swarm][tls]") {
    const TestAuthority authority;
    const fakes::SamplePack pack(mib);
    const fakes::TemporaryDirectory directory;
    const TestHost host(authority);
    const auto expect_nothing = [&](const Seeder& seeder, const TlsMaterial& mine) {
        const auto session = start_session(tls_of(mine));
        const auto request = request_for(pack, directory.path() / "pack", seeder.address());
        const auto report = fetch(*session, request, 2s);
        REQUIRE_FALSE(report);
        CHECK(report.error().code == Errc::unreachable);
        CHECK(report.error().context.find(seeder.name()) != std::string::npos);
        CHECK(seeder.session->uploaded_bytes() == 0);
    };
    SECTION("of another fleet") {
        expect_nothing(Seeder(pack, tls_of(material_of(TestHost(TestAuthority())))),
                       material_of(host));
    }
    SECTION("revoked") {
        const TestHost revoked(authority, {.name = "revoked"});
        expect_nothing(Seeder(pack, tls_of(material_of(revoked))),
                       material_of(host, authority.revoke({revoked.certificate})));
    }
}

TEST_CASE("SSL swarm: a peer that is revoked while it fetches is cut off", "[swarm][tls]") {
    const TestAuthority authority;
    const fakes::SamplePack pack(24 * mib);
    const TestHost seeder_host(authority, {.name = "seeder"});
    const TestHost host(authority);
    const Seeder seeder(pack, pack.data, tls_of(material_of(seeder_host)), 2 * mib);
    const fakes::TemporaryDirectory directory;
    const auto session = start_session(tls_of(material_of(host)));
    const auto request = request_for(pack, directory.path() / "pack", seeder.address());
    std::uint64_t received = 0;
    bool revoked = false;
    const auto report =
        session->fetch({request}, 3s,
                       [&](std::uint64_t bytes) {
                           received += bytes;
                           if (received > 2 * mib && !revoked) {
                               revoked = true;
                               REQUIRE(seeder.tls->replace(
                                   material_of(seeder_host, authority.revoke({host.certificate})),
                                   std::chrono::system_clock::now()));
                           }
                       },
                       {});
    REQUIRE(revoked);
    REQUIRE_FALSE(report);
    CHECK(received < 10 * mib);
}

TEST_CASE("SSL swarm: certificates are renewed in mid-transfer", "[swarm][tls]") {
    const TestAuthority authority;
    const fakes::SamplePack pack(12 * mib);
    const TestHost before(authority, {.name = "seeder before"});
    const TestHost after(authority, {.name = "seeder after"});
    const Seeder seeder(pack, pack.data, tls_of(material_of(before)), 4 * mib);
    const fakes::TemporaryDirectory directory;
    const auto session = start_session(tls_of(material_of(TestHost(authority))));
    const auto request = request_for(pack, directory.path() / "pack", seeder.address());
    std::uint64_t received = 0;
    bool renewed = false;
    const auto report = session->fetch(
        {request}, 10s,
        [&](std::uint64_t bytes) {
            received += bytes;
            if (received > 2 * mib && !std::exchange(renewed, true)) {
                // Who sees the old certificate from here on does not connect.
                REQUIRE(seeder.tls->replace(material_of(after), std::chrono::system_clock::now()));
            }
        },
        {});
    REQUIRE(renewed);
    REQUIRE(why(report) == "");
    CHECK(report->received_bytes == pack.id.bytes); // Nothing was broken off and sent again.
    const auto late = start_session(
        tls_of(material_of(TestHost(authority), authority.revoke({before.certificate}))));
    const auto again = request_for(pack, directory.path() / "again", seeder.address());
    REQUIRE(why(fetch(*late, again)) == "");
}

TEST_CASE("SSL swarm: two authorities, two swarms of one file, until the old one is drained",
          "[swarm][tls]") {
    const TestAuthority before("fleet 1");
    const TestAuthority after("fleet 2");
    const fakes::SamplePack pack(3 * mib);
    TestHost seeder_host(before);
    const Seeder seeder(pack, tls_of(material_of(seeder_host)));
    const fakes::TemporaryDirectory directory;
    const auto fetch_as = [&](const TestAuthority& authority, const std::string& name) {
        const auto session = start_session(tls_of(material_of(TestHost(authority))));
        const auto request = request_for(pack, directory.path() / name, seeder.address());
        return fetch(*session, request, 3s).has_value();
    };
    const auto replace = [&] {
        REQUIRE(seeder.tls->replace(material_of(seeder_host), std::chrono::system_clock::now()));
        REQUIRE(seeder.session->follow_authorities());
    };
    CHECK(fetch_as(before, "1"));
    CHECK_FALSE(fetch_as(after, "2"));
    seeder_host.authorities += after.pem();
    seeder_host.certificates += TestAuthority::pem(*after.issue(seeder_host.key));
    replace();
    CHECK(seeder.session->info_hashes(pack.id).size() == 2);
    CHECK(fetch_as(before, "3"));
    CHECK(fetch_as(after, "4"));
    seeder_host.authorities = after.pem();
    seeder_host.certificates = TestAuthority::pem(*after.issue(seeder_host.key));
    replace();
    const auto swarms = seeder.session->swarms();
    REQUIRE(swarms.size() == 1);
    CHECK(swarms.front().info_hash == info_hash(pack.id, after.pem()));
    CHECK_FALSE(fetch_as(before, "5"));
    CHECK(fetch_as(after, "6"));
}

TEST_CASE("SSL swarm: connections that do not finish a handshake are closed", "[swarm][tls]") {
    const TestAuthority authority;
    const fakes::SamplePack pack(mib);
    const Seeder seeder(pack, tls_of(material_of(TestHost(authority))));
    std::vector<RawConnection> connections;
    for (int i = 0; i < 300; ++i) {
        connections.emplace_back(seeder.address()).send("\x16\x03\x01"); // A hello that never ends.
    }
    const auto end = std::chrono::steady_clock::now() + 15s;
    auto open = connections.size();
    while (open > 0 && std::chrono::steady_clock::now() < end) {
        std::this_thread::sleep_for(100ms);
        open = static_cast<std::size_t>(std::ranges::count_if(
            connections, [](const auto& connection) { return !connection.closed(); }));
    }
    CHECK(open == 0);
    const auto session = start_session(tls_of(material_of(TestHost(authority))));
    const fakes::TemporaryDirectory directory;
    REQUIRE(why(fetch(*session, request_for(pack, directory.path() / "pack", seeder.address()))) ==
            "");
}

TEST_CASE("SSL swarm: a seeder with a bad byte beside a good one: the right bytes, no crash",
          "[swarm][tls]") {
    const int rounds = std::getenv("SLIPWAY_TEST_LONG") != nullptr ? 50 : 5;
    const TestAuthority authority;
    const fakes::SamplePack pack(9 * mib);
    const auto tls = tls_of(material_of(TestHost(authority)));
    const Seeder good(pack, tls);
    for (int round = 0; round < rounds; ++round) {
        CAPTURE(round);
        auto corrupted = pack.data;
        corrupted[static_cast<std::size_t>(round) * 150'000] ^= 0x40U;
        const Seeder bad(pack, corrupted, tls);
        const fakes::TemporaryDirectory directory;
        const auto session = start_session(tls);
        auto request = request_for(pack, directory.path() / "pack", bad.address());
        request.peers.push_back(good.address());
        const auto report = fetch(*session, request);
        REQUIRE(why(report) == "");
        REQUIRE(fakes::read_whole(request.file) == pack.data);
        if (report->failed_bytes > 0) {
            CHECK(report->banned == std::vector{bad.name()});
        }
    }
}

} // namespace slipway::swarm
