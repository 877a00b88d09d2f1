#pragma once

#include <CLI/CLI.hpp>

#include "common/tls/files.h"

namespace slipway::tls {

/// The four flags, the same in every program.
inline void add_flags(CLI::App& app, TlsFiles& files) {
    app.add_option("--tls-cert", files.certificate,
                   "This party's certificate (PEM), with its intermediates");
    app.add_option("--tls-key", files.key, "Its private key (PEM); only its owner may read it");
    app.add_option("--tls-ca", files.authority, "Authority that signs the fleet's certificates");
    app.add_option("--tls-crl", files.revoked,
                   "Its revocation list; an expired one lets nobody in until it is renewed");
}

} // namespace slipway::tls
