// tests/hardening/support/nth_allocation.hpp - memory of which one allocation fails: C++'s own, or OpenSSL's.
// SPDX-License-Identifier: MIT
//
// Replaces every form of operator new, so one unit of a program includes it.
#pragma once

#include <openssl/crypto.h>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace hardening {

/// Counts down while armed; the allocation that finds 1 fails, and with `every_later` all that follow.
struct nth_allocation {
    std::atomic<bool> is_armed{false};
    std::atomic<std::size_t> left{0};
    std::atomic<bool> every_later{false};
    std::atomic<bool> hit{false};
    std::atomic<std::size_t> total{0};

    void arm(std::size_t nth, bool and_later) noexcept {
        left = nth;
        every_later = and_later;
        hit = false;
        is_armed = true;
    }
    bool fails() noexcept {
        if (!is_armed) return false;
        if (hit) {
            if (every_later) ++total;
            return every_later;
        }
        if (left.fetch_sub(1) != 1) return false;
        hit = true;
        ++total;
        return true;
    }
};

inline nth_allocation cpp_memory;
inline nth_allocation openssl_memory;

inline void* allocated(std::size_t size) noexcept {
    return cpp_memory.fails() ? nullptr : std::malloc(size == 0 ? 1 : size);
}
inline void* allocated(std::size_t size, std::align_val_t alignment) noexcept {
    const auto boundary = static_cast<std::size_t>(alignment);
    return cpp_memory.fails() ? nullptr : std::aligned_alloc(boundary, (size + boundary - 1) / boundary * boundary);
}
inline void* or_throw(void* memory) {
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
}

/// Must be called before OpenSSL has allocated anything; \return whether it was
inline bool take_openssl_memory() noexcept {
    return CRYPTO_set_mem_functions(
               [](std::size_t size, const char*, int) { return openssl_memory.fails() ? nullptr : std::malloc(size); },
               [](void* memory, std::size_t size, const char*, int) {
                   return openssl_memory.fails() ? nullptr : std::realloc(memory, size);
               },
               [](void* memory, const char*, int) { std::free(memory); }) == 1;
}

} // namespace hardening

void* operator new(std::size_t size) { return hardening::or_throw(hardening::allocated(size)); }
void* operator new[](std::size_t size) { return hardening::or_throw(hardening::allocated(size)); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return hardening::allocated(size); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return hardening::allocated(size); }
void* operator new(std::size_t size, std::align_val_t at) { return hardening::or_throw(hardening::allocated(size, at)); }
void* operator new[](std::size_t size, std::align_val_t at) { return hardening::or_throw(hardening::allocated(size, at)); }
void* operator new(std::size_t size, std::align_val_t at, const std::nothrow_t&) noexcept {
    return hardening::allocated(size, at);
}
void* operator new[](std::size_t size, std::align_val_t at, const std::nothrow_t&) noexcept {
    return hardening::allocated(size, at);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t, const std::nothrow_t&) noexcept { std::free(memory); }
