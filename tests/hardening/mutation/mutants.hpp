// tests/hardening/mutation/mutants.hpp - the switches of the mutants; tests/hardening/mutate includes it into each unit.
// SPDX-License-Identifier: MIT
#pragma once
#include <concepts>
#include <cstdlib>
#include <fcntl.h>
#include <sys/mman.h>
#include <type_traits>
#include <unistd.h>
#include <utility>

/// All mutants are compiled into one program. `REGRANT_MUTANT=17` in the environment switches on the one with that
/// number. `REGRANT_REACHED=FILE` names a file of `max_mutants` bytes, in which each mutant that is evaluated leaves a
/// mark; a server that is killed leaves its marks, too.
namespace mutants {

constexpr int max_mutants = 1 << 15;
constexpr unsigned char is_reached = 1;
constexpr unsigned char is_impossible = 2; // the types at this place have no other operator, or cannot be swapped

inline unsigned char own_marks[max_mutants];
inline unsigned char* marks = own_marks;
inline int active = 0;

[[gnu::constructor(101)]] inline void read_environment() {
    if (const char* number = std::getenv("REGRANT_MUTANT")) active = std::atoi(number);
    const char* name = std::getenv("REGRANT_REACHED");
    const int file = name != nullptr ? open(name, O_RDWR | O_CLOEXEC) : -1;
    if (file == -1) return;
    void* at = mmap(nullptr, max_mutants, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (at != MAP_FAILED) marks = static_cast<unsigned char*>(at);
    close(file);
}

constexpr bool on(int number) {
    if (std::is_constant_evaluated()) return false;
    marks[number] |= is_reached;
    return number == active;
}

constexpr void impossible(int number) {
    if (!std::is_constant_evaluated()) marks[number] |= is_impossible;
}

template <class Value>
constexpr bool flipped(int number, Value&& value) {
    return on(number) != static_cast<bool>(std::forward<Value>(value));
}

/// Another enumerator in place of `from`.
template <class Enum>
constexpr Enum other(int number, Enum from) {
    using value = std::underlying_type_t<Enum>;
    return on(number) ? static_cast<Enum>(static_cast<value>(static_cast<value>(from) ^ value{1})) : from;
}

/// `instead` in place of `own` where both have one type. Two of these swap the arguments of a call.
template <class Own, class Instead>
constexpr Own&& either(int number, Own&& own, Instead&& instead) {
    if constexpr (std::is_same_v<Own, Instead>) {
        if (on(number)) return std::forward<Instead>(instead);
    } else {
        impossible(number);
    }
    return std::forward<Own>(own);
}

template <class Left, class Right>
concept integers = std::is_integral_v<std::remove_cvref_t<Left>> && std::is_integral_v<std::remove_cvref_t<Right>>;

/// `left OP NAME{17} OP right` means `left OP right`, or `left INSTEAD right` while mutant 17 is switched on. Since OP
/// binds as it does in the text, the ends of its operands need not be found there.
#define REGRANT_MUTANT_OPERATOR(NAME, OP, INSTEAD, CONDITION)                                                         \
    struct NAME {                                                                                                      \
        int number;                                                                                                    \
    };                                                                                                                 \
    template <class Left>                                                                                              \
    struct half_##NAME {                                                                                               \
        Left&& left;                                                                                                   \
        int number;                                                                                                    \
    };                                                                                                                 \
    template <class Left>                                                                                              \
    constexpr half_##NAME<Left> operator OP(Left&& left, NAME middle) {                                                \
        return {std::forward<Left>(left), middle.number};                                                              \
    }                                                                                                                  \
    template <class Left, class Right>                                                                                 \
    constexpr decltype(auto) operator OP(half_##NAME<Left> half, Right&& right) {                                      \
        using result = decltype(std::forward<Left>(half.left) OP std::forward<Right>(right));                          \
        if constexpr (requires {                                                                                       \
                          requires CONDITION;                                                                          \
                          { std::forward<Left>(half.left) INSTEAD std::forward<Right>(right) } -> std::same_as<result>; \
                      }) {                                                                                             \
            if (on(half.number)) return std::forward<Left>(half.left) INSTEAD std::forward<Right>(right);              \
        } else {                                                                                                       \
            impossible(half.number);                                                                                   \
        }                                                                                                              \
        return std::forward<Left>(half.left) OP std::forward<Right>(right);                                            \
    }

REGRANT_MUTANT_OPERATOR(less, <, <=, true)
REGRANT_MUTANT_OPERATOR(less_equal, <=, <, true)
REGRANT_MUTANT_OPERATOR(greater, >, >=, true)
REGRANT_MUTANT_OPERATOR(greater_equal, >=, >, true)
REGRANT_MUTANT_OPERATOR(equal, ==, !=, true)
REGRANT_MUTANT_OPERATOR(not_equal, !=, ==, true)
REGRANT_MUTANT_OPERATOR(plus, +, -, true)
REGRANT_MUTANT_OPERATOR(minus, -, +, true)
REGRANT_MUTANT_OPERATOR(times, *, /, true)
REGRANT_MUTANT_OPERATOR(divided, /, *, true)
REGRANT_MUTANT_OPERATOR(modulo, %, *, true)
REGRANT_MUTANT_OPERATOR(bit_and, &, |, true)
REGRANT_MUTANT_OPERATOR(bit_or, |, &, true)
REGRANT_MUTANT_OPERATOR(bit_xor, ^, |, true)
REGRANT_MUTANT_OPERATOR(shift_left, <<, >>, (integers<Left, Right>))
REGRANT_MUTANT_OPERATOR(shift_right, >>, <<, (integers<Left, Right>))
#undef REGRANT_MUTANT_OPERATOR

} // namespace mutants
