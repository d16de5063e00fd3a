// regrant/result.hpp - a value or the reason there is none, with the names of std::expected.
// floor 0
// SPDX-License-Identifier: MIT
#pragma once

#include "detail/cpp20.hpp"

#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

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
    static constexpr bool copies = std::is_copy_constructible_v<T> && std::is_copy_constructible_v<E>;

public:
    using value_type = T;
    using error_type = E;

    template <class U = T>
        requires std::is_convertible_v<U&&, T> && (!std::is_same_v<std::remove_cvref_t<U>, result>)
    constexpr result(U&& value) : value_(std::forward<U>(value)) {}

    /// Makes the value where it will stand.
    template <class... Parts>
        requires std::is_constructible_v<T, Parts...>
    constexpr explicit result(std::in_place_t, Parts&&... parts) : value_(std::forward<Parts>(parts)...) {}

    template <class G>
        requires std::is_constructible_v<E, G&&>
    constexpr result(unexpected<G> error) : error_(std::move(error).error()), has_value_(false) {}

    constexpr result(result&& other) noexcept : has_value_(other.has_value_) {
        if (has_value_) std::construct_at(&value_, std::move(other.value_));
        else std::construct_at(&error_, std::move(other.error_));
    }
    constexpr result(const result& other)
        requires copies
        : has_value_(other.has_value_) {
        if (has_value_) std::construct_at(&value_, other.value_);
        else std::construct_at(&error_, other.error_);
    }
    constexpr result& operator=(result&& other) noexcept {
        if (this != &other) {
            std::destroy_at(this);
            std::construct_at(this, std::move(other));
        }
        return *this;
    }
    constexpr result& operator=(const result& other)
        requires copies
    {
        *this = result(other);
        return *this;
    }
    constexpr ~result() {
        if (has_value_) std::destroy_at(&value_);
        else std::destroy_at(&error_);
    }

    constexpr bool has_value() const noexcept { return has_value_; }
    constexpr explicit operator bool() const noexcept { return has_value_; }

    /// \pre has_value()
    constexpr T& operator*() & noexcept { return value_; }
    constexpr const T& operator*() const& noexcept { return value_; }
    /// By value: `for (auto& row : *store.list_subject("alice"))` would outlive a reference into the result.
    constexpr T operator*() && { return std::move(value_); }
    constexpr T* operator->() noexcept { return &value_; }
    constexpr const T* operator->() const noexcept { return &value_; }

    /// \pre !has_value()
    constexpr E& error() & noexcept { return error_; }
    constexpr const E& error() const& noexcept { return error_; }
    constexpr E&& error() && noexcept { return std::move(error_); }

private:
    // No std::variant: a third of the time that compilers spent on this library's templates went into its visits.
    union {
        T value_;
        E error_;
    };
    bool has_value_ = true;
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
