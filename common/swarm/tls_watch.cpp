#include "common/swarm/tls_watch.h"

#include <condition_variable>
#include <mutex>

#include "common/core/errc.h"
#include "common/io/file_ops.h"
#include "common/io/log.h"

namespace slipway::swarm {
namespace {

constexpr std::chrono::seconds look_interval{1};
constexpr std::uint64_t file_bytes_max = 64ULL * 1024 * 1024; // As parse_memberships() takes.

Result<std::string> read_text(const std::filesystem::path& file) {
    if (file.empty()) {
        return std::string();
    }
    return read_file(file, file_bytes_max).map([](const Bytes& bytes) {
        return std::string(as_text(bytes));
    });
}

} // namespace

Result<std::shared_ptr<TlsWatch>> TlsWatch::start(const tls::TlsFiles& files) {
    std::shared_ptr<TlsWatch> watch(new TlsWatch(files));
    watch->seen_ = tls::stamps_of(files);
    auto made = watch->read().and_then([](const TlsMaterial& material) {
        return SwarmTls::make(material, std::chrono::system_clock::now());
    });
    if (!made) {
        auto error = within("certificates for swarms (--tls-cert, --tls-key, --tls-ca)",
                            std::move(made.error()));
        if (error.code == Errc::usage) { // Of a function; the command line is right.
            error.code = Errc::failed;
        }
        return tl::unexpected(std::move(error));
    }
    watch->tls_ = std::move(*made);
    watch->tell_warnings();
    watch->thread_ = std::jthread([&self = *watch](const std::stop_token& stop) {
        std::mutex mutex;
        std::condition_variable_any wake;
        std::unique_lock lock(mutex);
        while (!stop.stop_requested()) {
            wake.wait_for(lock, stop, look_interval, [] { return false; });
            self.look();
        }
    });
    return watch;
}

Result<TlsMaterial> TlsWatch::read() const {
    TlsMaterial material;
    const std::pair<const std::filesystem::path*, std::string*> parts[] = {
        {&files_.certificate, &material.certificates},
        {&files_.key, &material.keys},
        {&files_.authority, &material.authorities},
        {&files_.revoked, &material.revocations}};
    for (const auto& [file, text] : parts) {
        auto content = read_text(*file);
        if (!content) {
            return tl::unexpected(std::move(content.error()));
        }
        *text = std::move(*content);
    }
    return material;
}

void TlsWatch::look() {
    const auto stamps_now = tls::stamps_of(files_);
    if (stamps_now == seen_) {
        return;
    }
    seen_ = stamps_now;
    const auto replaced = read().and_then([this](const TlsMaterial& material) {
        return tls_->replace(material, std::chrono::system_clock::now());
    });
    if (replaced) {
        log_event(LogLevel::info, "swarm.certificates_renewed",
                  {{"certificate", files_.certificate.string()}});
        tell_warnings();
    } else {
        log_event(LogLevel::warning, "swarm.certificates_refused",
                  {{"why", describe(replaced.error())}, {"instead", "those from before stay"}});
    }
}

void TlsWatch::tell_warnings() const {
    for (const auto& warning : tls_->warnings()) {
        log_event(LogLevel::warning, "swarm.certificates", {{"why", warning}});
    }
}

} // namespace slipway::swarm
