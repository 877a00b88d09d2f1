#include "common/core/errc.h"

#include <cerrno>

namespace slipway {
namespace {

class Category final : public std::error_category {
public:
    [[nodiscard]] const char* name() const noexcept override { return "slipway"; }
    [[nodiscard]] std::string message(int value) const override {
        switch (static_cast<Errc>(value)) {
        case Errc::failed:
            return "failed";
        case Errc::usage:
            return "not a valid argument";
        case Errc::verification_failed:
            return "verification failed";
        case Errc::not_found:
            return "not found";
        case Errc::busy:
            return "in use by another process";
        case Errc::changed:
            return "changed while it was read";
        case Errc::unreachable:
            return "no usable answer";
        case Errc::cancelled:
            return "stopped on request";
        case Errc::forbidden:
            return "not allowed";
        }
        return "unknown";
    }
};

const Category category;

} // namespace

std::error_code make_error_code(Errc errc) {
    return {static_cast<int>(errc), category};
}

ExitStatus exit_status(const Error& error) {
    if (error.code == Errc::usage) {
        return ExitStatus::usage;
    }
    if (error.code == Errc::verification_failed) {
        return ExitStatus::verification_failed;
    }
    if (error.code == Errc::not_found) {
        return ExitStatus::not_found;
    }
    return ExitStatus::failed;
}

std::string printable(std::string_view text) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string out;
    out.reserve(text.size());
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f) {
            out += "\\x";
            out += digits[byte >> 4U];
            out += digits[byte & 0xfU];
        } else {
            out += c;
        }
    }
    return out;
}

std::string describe(const Error& error) {
    return printable(error.context) + ": " + error.code.message();
}

tl::unexpected<Error> fail_errno(std::string context) {
    return fail(std::error_code(errno, std::generic_category()), std::move(context));
}

} // namespace slipway
