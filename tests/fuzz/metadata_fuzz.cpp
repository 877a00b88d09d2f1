#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "common/trust/metadata.h"

namespace {

using namespace slipway;

/// A path against every pattern, as a search through delegations does.
void match(const trust::Targets& targets) {
    for (const auto& delegation : targets.delegations) {
        for (const auto& [path, target] : targets.targets) {
            (void)delegation.covers(path);
        }
    }
}

} // namespace

// All parsers on one file, without the signature checks that come before them in a client: a key
// that was stolen must not become a way into the process.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto envelope = trust::parse_envelope({data, size}, 1'000'000, "fuzz");
    if (!envelope) {
        return 0;
    }
    (void)trust::parse_timestamp(*envelope, "fuzz");
    (void)trust::parse_snapshot(*envelope, "fuzz");
    if (const auto root = trust::parse_root(*envelope, "fuzz")) {
        for (const auto& [name, role] : root->roles) {
            (void)trust::verify_threshold(*envelope, root->keys, role, "fuzz", name);
        }
    }
    if (const auto targets = trust::parse_targets(*envelope, "fuzz")) {
        match(*targets);
    }
    // What is signed anew says the same as what was read.
    const auto again = trust::parse_envelope(
        trust::encode_envelope(envelope->body, envelope->signatures), 10'000'000, "fuzz");
    if (!again || again->message != envelope->message) {
        std::abort();
    }
    return 0;
}
