#include "orchestrator/io/store.h"

namespace slipway::orchestrator {
namespace {

class Category final : public std::error_category {
public:
    [[nodiscard]] const char* name() const noexcept override { return "store"; }
    [[nodiscard]] std::string message(int value) const override {
        switch (static_cast<StoreErrc>(value)) {
        case StoreErrc::fenced:
            return "another orchestrator holds the lease";
        case StoreErrc::conflict:
            return "changed by another in the meantime";
        case StoreErrc::unreachable:
            return "the database does not answer";
        case StoreErrc::outcome_unknown:
            return "not known whether it was written";
        case StoreErrc::newer_schema:
            return "the database was written by a newer version";
        }
        return "unknown";
    }
};

const Category category;

} // namespace

std::error_code make_error_code(StoreErrc errc) {
    return {static_cast<int>(errc), category};
}

} // namespace slipway::orchestrator
