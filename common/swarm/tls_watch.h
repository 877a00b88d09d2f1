#pragma once

#include <memory>
#include <thread>

#include "common/swarm/swarm_tls.h"
#include "common/tls/files.h"

namespace slipway::swarm {

/// Keeps a SwarmTls as its files are: a thread looks at them every second, and reads them when one
/// of them changed. Files that do not fit together, also for the moment between two renames, change
/// nothing; one warning is logged for each change.
class TlsWatch {
public:
    /// Errors: those of parse_memberships() and of the files.
    [[nodiscard]] static Result<std::shared_ptr<TlsWatch>> start(const tls::TlsFiles& files);
    ~TlsWatch() = default;
    TlsWatch(const TlsWatch&) = delete;
    TlsWatch& operator=(const TlsWatch&) = delete;

    [[nodiscard]] std::shared_ptr<const SwarmTls> tls() const { return tls_; }

private:
    explicit TlsWatch(const tls::TlsFiles& files) : files_(files) {}
    [[nodiscard]] Result<TlsMaterial> read() const;
    void look();
    void tell_warnings() const;

    const tls::TlsFiles files_;
    std::shared_ptr<SwarmTls> tls_;
    tls::FileStamps seen_{};
    std::jthread thread_; ///< Last: it uses the others.
};

} // namespace slipway::swarm
