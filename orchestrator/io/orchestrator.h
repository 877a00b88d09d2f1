#pragma once

#include <functional>
#include <string>

#include "common/core/result.h"
#include "orchestrator/core/orchestrator_config.h"

namespace slipway::orchestrator {

struct ListeningAddresses {
    std::string api;    ///< "127.0.0.1:7443"
    std::string enroll; ///< Empty: hosts do not enroll here.
};

/// The whole daemon: serves the API, takes the lease when it can, and drives while it has it. A
/// standby answers that it does not drive. Returns when SIGINT or SIGTERM asked it to stop; then
/// the lease is given back, so that another takes over at once.
///
/// Threads: one for everything that is decided; pools for the store, for gates and for what is
/// fetched. Errors: what is wrong with the configuration, the certificates, the database or the
/// address. A log that does not fit this program ends it, too: nobody must drive on half of it.
/// `listening` is called once, when everything listens.
[[nodiscard]] Result<>
run_orchestrator(const OrchestratorConfig& config,
                 const std::function<void(const ListeningAddresses&)>& listening);

} // namespace slipway::orchestrator
