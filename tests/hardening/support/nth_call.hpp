// tests/hardening/support/nth_call.hpp - OpenSSL's functions, of which one call fails.
// SPDX-License-Identifier: MIT
//
// What wrap_openssl.py generates stands in front of a test: by its macros each call of the library goes through
// `failing`.
#pragma once

#include <cstddef>
#include <type_traits>

namespace hardening {

/// Which call fails, and how.
struct nth_call {
    bool is_armed = false;
    /// Counts down; the call that finds 1 fails.
    std::size_t left = 0;
    /// What a failing function gives that gives a number: OpenSSL has both 0 and -1.
    int number = 0;
    /// Whether every later call fails too.
    bool lasts = false;
    bool hit = false;
    std::size_t total = 0;

    bool fails() noexcept {
        if (!is_armed || (hit && !lasts) || (!hit && --left != 0)) return false;
        hit = true;
        ++total;
        return true;
    }
};

inline nth_call openssl_call;

/// How often each function was made to fail, in the order of the generated list of names.
inline std::size_t openssl_faults[256] = {};

/// What gives nothing back, or a record by value, has no way to fail.
template <class Given> inline constexpr bool has_a_no = std::is_pointer_v<Given> || std::is_integral_v<Given>;

template <std::size_t Index, class Given, class Call> Given given_or_failed(Call call) {
    if constexpr (has_a_no<Given>)
        if (openssl_call.fails()) {
            ++openssl_faults[Index];
            if constexpr (std::is_pointer_v<Given>) return nullptr;
            else return static_cast<Given>(openssl_call.number);
        }
    return call();
}

template <class Function> struct failing_call;
template <class Given, class... Taken> struct failing_call<Given (*)(Taken...)> {
    static constexpr bool can_fail = has_a_no<Given>;
    template <auto Called, std::size_t Index> static constexpr auto instead() {
        return [](Taken... taken) { return given_or_failed<Index, Given>([&] { return Called(taken...); }); };
    }
};
// Some of OpenSSL's functions take any number of arguments, so no pointer would do for what stands for them.
template <class Given, class... Taken> struct failing_call<Given (*)(Taken..., ...)> {
    static constexpr bool can_fail = has_a_no<Given>;
    template <auto Called, std::size_t Index> static constexpr auto instead() {
        return [](Taken... taken, auto... more) {
            return given_or_failed<Index, Given>([&] { return Called(taken..., more...); });
        };
    }
};

/// Called as the function is.
template <auto Function, std::size_t Index>
inline constexpr auto failing = failing_call<decltype(Function)>::template instead<Function, Index>();

} // namespace hardening
