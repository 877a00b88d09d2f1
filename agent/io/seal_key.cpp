#include "agent/io/seal_key.h"

#include <algorithm>
#include <new>

#include <openssl/rand.h>

#include "common/io/file_ops.h"

namespace slipway::agent {
namespace {

// OpenSSL's generator fails when the kernel gives no seed: then nothing safe can be made.
void fill(std::span<std::uint8_t> bytes) {
    if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) {
        throw std::bad_alloc();
    }
}

} // namespace

Result<SealKey> service_seal_key(const ServicePaths& service) {
    SealKey key{};
    const auto kept = read_file(service.seal_key(), key.size());
    if (kept && kept->size() == key.size()) {
        std::ranges::copy(*kept, key.begin());
        return key;
    }
    fill(key);
    return replace_file(service.seal_key(), key, 0600).map([&] { return key; });
}

SealNonce fresh_nonce() {
    SealNonce nonce;
    do {
        fill(nonce);
    } while (nonce == SealNonce{});
    return nonce;
}

} // namespace slipway::agent
