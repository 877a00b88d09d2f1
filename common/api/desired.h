#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/core/bytes.h"
#include "common/core/names.h"
#include "common/core/sha256.h"

namespace slipway::api {

/// An artifact that a service should have. `digest`, if given, is the manifest's: another manifest
/// under this name is then refused. A higher `attempt` is the order to try a release once more that
/// failed on this host before.
struct Wanted {
    ArtifactId artifact;
    std::optional<Sha256Digest> digest;
    std::uint32_t attempt = 0;
    bool operator==(const Wanted&) const = default;
};

/// What one service of a host should come to. `stage` is brought to the disk and shared, and never
/// touches what runs.
struct ServiceDesired {
    std::optional<Wanted> run; ///< None: whatever runs is left alone.
    std::vector<Wanted> stage; ///< In order of importance.
    bool operator==(const ServiceDesired&) const = default;
};

/// What a host should come to:
///
///     {"version": 1, "epoch": 7,
///      "services": {"web": {"run": {"artifact": "web@1.2", "digest": "…", "attempt": 1},
///                           "stage": [{"artifact": "web@1.3"}]}}}
///
/// A host refuses an epoch lower than the highest that it has seen, and of one epoch a lower
/// "generation", which may be left out: 0. A service that is not named is left alone.
struct Desired {
    std::uint64_t epoch = 0;
    std::map<std::string, ServiceDesired> services;
    std::uint64_t generation = 0;
    bool operator==(const Desired&) const = default;
};

inline constexpr std::size_t desired_bytes_max = std::size_t{256} * 1024;
inline constexpr std::size_t desired_services_max = 256;
inline constexpr std::size_t desired_stage_max = 4;

[[nodiscard]] std::string encode_desired(const Desired& desired);
/// Errors: Errc::verification_failed, naming `what` and the field. Fields that this version does
/// not know are let be.
[[nodiscard]] Result<Desired> decode_desired(ByteSpan json, std::string_view what);

} // namespace slipway::api
