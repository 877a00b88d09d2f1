#include "common/delta/scratch.h"

#include <algorithm>
#include <cassert>
#include <new>

#include <sys/mman.h>

namespace slipway {
namespace {

constexpr std::size_t step_bytes = 1024ULL * 1024; // A multiple of every page size.

} // namespace

Scratch::Scratch(std::size_t bytes) : size_(bytes) {
    void* const pages = mmap(nullptr, std::max<std::size_t>(bytes, 1), PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pages == MAP_FAILED) { // NOLINT(performance-no-int-to-ptr): the system's macro.
        throw std::bad_alloc();
    }
    data_ = static_cast<std::uint8_t*>(pages);
}

Scratch::~Scratch() {
    munmap(data_, std::max<std::size_t>(size_, 1));
}

Bytes Scratch::take(std::size_t count) {
    assert(count <= size_);
    Bytes result;
    result.reserve(count);
    for (std::size_t done = 0; done < count; done += step_bytes) {
        const auto step = std::min(step_bytes, count - done);
        result.insert(result.end(), data_ + done, data_ + done + step);
        madvise(data_ + done, step, MADV_DONTNEED);
    }
    return result;
}

} // namespace slipway
