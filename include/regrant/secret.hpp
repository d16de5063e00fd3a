// regrant/secret.hpp - text that is wiped when freed, never printed, compared in constant time.
// floor 0
// SPDX-License-Identifier: MIT
#pragma once

#include "detail/cpp20.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

namespace regrant::inline v0 {

/// Overwrites memory in a way that the optimizer may not drop.
inline void wipe(void* memory, std::size_t size) noexcept {
    if (size == 0) return;
#if defined(__GNUC__)
    std::memset(memory, 0, size);
    // The asm claims to read the memory, so the stores before it must happen.
    __asm__ __volatile__("" : : "r"(memory) : "memory");
#else
    volatile unsigned char* bytes = static_cast<unsigned char*>(memory);
    while (size-- != 0) *bytes++ = 0;
#endif
}

/// Compares in a time that depends on the lengths alone.
///
/// \return whether both hold the same bytes
inline bool same_bytes(std::span<const std::byte> one, std::span<const std::byte> other) noexcept {
    if (one.size() != other.size()) return false;
    std::uint64_t difference = 0;
    const auto note = [&](std::uint64_t differing) {
        difference |= differing;
#if defined(__GNUC__)
        // Hides the value from the optimizer, which could otherwise leave the loop at the first difference.
        __asm__ __volatile__("" : "+r"(difference));
#endif
    };
    std::size_t i = 0;
    for (; one.size() - i >= sizeof difference; i += sizeof difference) {
        std::uint64_t a = 0, b = 0;
        std::memcpy(&a, one.data() + i, sizeof a);
        std::memcpy(&b, other.data() + i, sizeof b);
        note(a ^ b);
    }
    for (; i != one.size(); ++i) note(std::to_integer<std::uint64_t>(one[i] ^ other[i]));
    return difference == 0;
}

/// Text that somebody must not see: a client secret, a token, a request body that holds both.
///
/// The buffer always lives on the heap and stays where it is when the secret is moved, so views into it stay valid.
/// Copying is spelled `clone()`, so that every further copy is seen in the code.
class secret {
public:
    secret() noexcept = default;
    explicit secret(std::string_view text) { append(text); }
    secret(secret&& other) noexcept
        : text_(std::move(other.text_)), size_(std::exchange(other.size_, 0)),
          capacity_(std::exchange(other.capacity_, 0)) {}
    secret& operator=(secret&& other) noexcept {
        std::swap(text_, other.text_);
        std::swap(size_, other.size_);
        std::swap(capacity_, other.capacity_);
        return *this;
    }
    secret(const secret&) = delete;
    secret& operator=(const secret&) = delete;
    ~secret() { wipe(text_.get(), capacity_); }

    secret clone() const { return secret(reveal()); }

    /// The text itself; the view lives as long as the secret does and is not grown.
    std::string_view reveal() const noexcept { return {text_.get(), size_}; }
    std::span<const std::byte> bytes() const noexcept { return std::as_bytes(std::span(text_.get(), size_)); }
    std::span<char> mutable_text() noexcept { return {text_.get(), size_}; }
    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }

    void reserve(std::size_t size_bytes) {
        if (size_bytes > capacity_) enlarge(size_bytes - size_);
    }

    void append(std::string_view text) {
        if (text.empty()) return;
        std::memcpy(grow(text.size()), text.data(), text.size());
    }

    /// Drops all behind the first so many bytes; they are wiped with the rest.
    /// \pre size_bytes <= size()
    void truncate(std::size_t size_bytes) noexcept { size_ = size_bytes; }

    void push_back(char c) { *grow(1) = c; }

    /// Adds room at the end. \return where the caller must write `size_bytes` characters
    char* grow(std::size_t size_bytes) {
        if (size_bytes > capacity_ - size_) enlarge(size_bytes);
        return text_.get() + std::exchange(size_, size_ + size_bytes);
    }

    /// Nothing prints a secret and nothing compares one with `==`; see `same_secret`.
    template <class Stream> friend Stream& operator<<(Stream&, const secret&) = delete;
    friend bool operator==(const secret&, const secret&) = delete;

private:
    // Kept out of `grow`, so that appending stays small enough to be inlined.
#if defined(__GNUC__)
    __attribute__((noinline))
#endif
    void enlarge(std::size_t more_bytes) {
        const std::size_t size_bytes = (std::max)(size_ + more_bytes, 2 * capacity_);
        auto grown = std::unique_ptr<char[]>(new char[size_bytes]);
        if (size_ != 0) std::memcpy(grown.get(), text_.get(), size_);
        wipe(text_.get(), capacity_);
        text_ = std::move(grown);
        capacity_ = size_bytes;
    }

    std::unique_ptr<char[]> text_;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
};

/// Compares two secrets in a time that depends on their lengths alone.
inline bool same_secret(const secret& one, const secret& other) noexcept {
    return same_bytes(one.bytes(), other.bytes());
}

} // namespace regrant::inline v0
