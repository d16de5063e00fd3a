// regrant/result.hpp - a value or the reason there is none, with the names of std::expected.
// floor 0
// SPDX-License-Identifier: MIT
#pragma once

#include "detail/cpp20.hpp"

#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

namespace regrant::inline v0 {

/// Marks an error on its way into a `result`: `return unexpected(outage{"disk full"});`.
template <class E> class unexpected {
public:
    constexpr explicit unexpected(E error) : error_(std::move(error)) {}
    constexpr const E& error() const& noexcept { return error_; }
    constexpr E&& error() && noexcept { return std::move(error_); }

private:
    E error_;
};

/// What C++23 calls `std::expected<T, E>`, as far as this library needs it.
///
/// It has no `value()`: that would throw. Ask first, then dereference.
template <class T, class E> class [[nodiscard]] result {
public:
    using value_type = T;
    using error_type = E;

    template <class U = T>
        requires std::is_convertible_v<U&&, T> && (!std::is_same_v<std::remove_cvref_t<U>, result>)
    constexpr result(U&& value) : state_(std::in_place_index<0>, std::forward<U>(value)) {}

    template <class G>
        requires std::is_constructible_v<E, G&&>
    constexpr result(unexpected<G> error) : state_(std::in_place_index<1>, std::move(error).error()) {}

    constexpr bool has_value() const noexcept { return state_.index() == 0; }
    constexpr explicit operator bool() const noexcept { return has_value(); }

    /// \pre has_value()
    constexpr T& operator*() & noexcept { return *std::get_if<0>(&state_); }
    constexpr const T& operator*() const& noexcept { return *std::get_if<0>(&state_); }
    /// By value: `for (auto& row : *store.list_subject("alice"))` would outlive a reference into the result.
    constexpr T operator*() && { return std::move(*std::get_if<0>(&state_)); }
    constexpr T* operator->() noexcept { return std::get_if<0>(&state_); }
    constexpr const T* operator->() const noexcept { return std::get_if<0>(&state_); }

    /// \pre !has_value()
    constexpr E& error() & noexcept { return *std::get_if<1>(&state_); }
    constexpr const E& error() const& noexcept { return *std::get_if<1>(&state_); }
    constexpr E&& error() && noexcept { return std::move(*std::get_if<1>(&state_)); }

private:
    std::variant<T, E> state_;
};

/// A deed that may fail and has nothing to bring back.
template <class E> class [[nodiscard]] result<void, E> {
public:
    using value_type = void;
    using error_type = E;

    constexpr result() noexcept = default;

    template <class G>
        requires std::is_constructible_v<E, G&&>
    constexpr result(unexpected<G> error) : error_(std::move(error).error()) {}

    constexpr bool has_value() const noexcept { return !error_.has_value(); }
    constexpr explicit operator bool() const noexcept { return has_value(); }

    /// \pre !has_value()
    constexpr E& error() & noexcept { return *error_; }
    constexpr const E& error() const& noexcept { return *error_; }
    constexpr E&& error() && noexcept { return std::move(*error_); }

private:
    std::optional<E> error_;
};

} // namespace regrant::inline v0
