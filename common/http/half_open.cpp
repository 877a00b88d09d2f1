#include "common/http/half_open.h"

#include <cassert>

namespace slipway::http {

bool HalfOpen::enter(const std::string& address) {
    if (count_ >= limits_.all) {
        return false;
    }
    auto& mine = by_address_[address];
    if (mine >= limits_.of_one_address) {
        return false;
    }
    ++mine;
    ++count_;
    return true;
}

void HalfOpen::leave(const std::string& address) {
    const auto found = by_address_.find(address);
    assert(found != by_address_.end() && count_ > 0);
    --count_;
    if (--found->second == 0) {
        by_address_.erase(found);
    }
}

} // namespace slipway::http
