#include "common/delta/sdiff.h"

#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>

#include <catch2/catch.hpp>
#include <elf.h>
#include <rapidcheck.h>

#include "common/core/errc.h"
#include "tests/common/delta/samples.h"

namespace slipway {
namespace {

/// Decodes, and checks that nothing was said about it if it failed without a reason.
std::optional<Bytes> decoded(ByteSpan patch, ByteSpan base, std::size_t size) {
    Bytes out(size, 0xA5);
    const auto result = sdiff_decode(patch, base, out);
    if (!result) {
        CHECK(result.error().code == Errc::verification_failed);
        CHECK_FALSE(result.error().context.empty());
        return std::nullopt;
    }
    return out;
}

constexpr std::size_t header_bytes = sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr);

/// A program of `functions` that call each other; each has a body of its own, and version 2 has a
/// function more at the beginning, so that all calls across it change.
Bytes program(std::size_t functions, bool inserted) {
    Bytes code;
    std::vector<std::size_t> starts;
    std::mt19937_64 random(7);
    for (std::size_t i = 0; i < functions; ++i) {
        if (i == functions / 2 && inserted) {
            const auto added = samples::noise(400, 99);
            code.insert(code.end(), added.begin(), added.end());
        }
        starts.push_back(code.size());
        const auto body = samples::noise(64 + random() % 64 / 16 * 16, i);
        code.insert(code.end(), body.begin(), body.end());
        code.resize(code.size() + 5, 0xE8); // Its call is filled in below.
    }
    for (std::size_t i = 0; i < functions; ++i) {
        const auto end = i + 1 < functions ? starts[i + 1] : code.size();
        const auto field = (i + 1 == functions / 2 && inserted ? end - 400 : end) - 4;
        const auto target = starts[random() % functions];
        const auto distance =
            static_cast<std::int32_t>(target) - static_cast<std::int32_t>(field) - 4;
        std::memcpy(&code[field], &distance, sizeof distance);
    }
    Elf64_Ehdr header{};
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_machine = EM_X86_64;
    header.e_phoff = sizeof header;
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_phnum = 1;
    Elf64_Phdr segment{};
    segment.p_type = PT_LOAD;
    segment.p_flags = PF_R | PF_X;
    segment.p_vaddr = 0x400000;
    segment.p_filesz = segment.p_memsz = header_bytes + code.size();
    Bytes file(header_bytes);
    std::memcpy(file.data(), &header, sizeof header);
    std::memcpy(&file[sizeof header], &segment, sizeof segment);
    file.insert(file.end(), code.begin(), code.end());
    return file;
}

} // namespace

TEST_CASE("sdiff: any bytes come back, given any base", "[sdiff]") {
    CHECK(rc::check([](const Bytes& raw, const Bytes& base) {
        RC_PRE(!raw.empty() && !base.empty());
        RC_ASSERT(decoded(sdiff_encode(raw, base), base, raw.size()) == raw);
    }));
}

TEST_CASE("sdiff: edits of any kind come back", "[sdiff]") {
    CHECK(rc::check([](std::uint32_t seed, bool native) {
        const auto base = native ? program(500, false) : samples::text(30'000, seed);
        const auto raw = samples::recompiled(base, seed);
        RC_ASSERT(decoded(sdiff_encode(raw, base), base, raw.size()) == raw);
    }));
}

TEST_CASE("sdiff: small differences cost little, whatever surrounds them", "[sdiff]") {
    const auto base = samples::noise(1'000'000, 1);
    const auto raw = samples::recompiled(base, 2);
    const auto patch = sdiff_encode(raw, base);
    CHECK(patch.size() < raw.size() / 30);
    CHECK(decoded(patch, base, raw.size()) == raw);
}

TEST_CASE("sdiff: calls across inserted code cost nothing", "[sdiff]") {
    const auto base = program(4'000, false);
    const auto raw = program(4'000, true);
    const auto patch = sdiff_encode(raw, base);
    CHECK(patch.size() < 400 + 300);
    CHECK(decoded(patch, base, raw.size()) == raw);
}

TEST_CASE("sdiff: each truncation and anything that follows is refused", "[sdiff]") {
    const auto base = program(60, false);
    const auto raw = samples::recompiled(program(60, true), 3);
    auto patch = sdiff_encode(raw, base);
    REQUIRE(decoded(patch, base, raw.size()) == raw);
    for (std::size_t length = 0; length < patch.size(); ++length) {
        CHECK_FALSE(decoded(ByteSpan(patch).first(length), base, raw.size()));
    }
    CHECK_FALSE(decoded(patch, base, raw.size() + 4'000));
    CHECK_FALSE(decoded(patch, base, raw.size() / 2));
    CHECK_FALSE(decoded(patch, {}, raw.size()));
    CHECK_FALSE(decoded(patch, ByteSpan(base).first(500), raw.size()));
    patch.push_back(0);
    CHECK_FALSE(decoded(patch, base, raw.size()));
}

TEST_CASE("sdiff: flipped bits are refused or give other bytes, inside of the output", "[sdiff]") {
    const auto base = program(60, false);
    const auto raw = samples::recompiled(program(60, true), 3);
    auto patch = sdiff_encode(raw, base);
    for (auto& byte : patch) {
        for (unsigned bit = 0; bit < 8; ++bit) {
            byte = static_cast<std::uint8_t>(byte ^ (1U << bit));
            (void)decoded(patch, base, raw.size());
            byte = static_cast<std::uint8_t>(byte ^ (1U << bit));
        }
    }
}

TEST_CASE("sdiff: a real program comes back from a changed one", "[sdiff]") {
    std::ifstream file("/bin/bash", std::ios::binary);
    const Bytes raw(std::istreambuf_iterator<char>(file), {});
    REQUIRE(raw.size() > 1'000'000);
    auto base = raw;
    base.erase(base.begin() + 900'000, base.begin() + 901'000);
    CHECK(decoded(sdiff_encode(raw, base), base, raw.size()) == raw);
}

} // namespace slipway
