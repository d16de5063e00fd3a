// regrant/detail/process.hpp - tells a process from one it was forked from.
// floor 0
// SPDX-License-Identifier: MIT
#pragma once

#include "cpp20.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>

#if __has_include(<sys/mman.h>)
#include <sys/mman.h>
#endif
#if __has_include(<unistd.h>)
#include <unistd.h>
#endif

namespace regrant::inline v0::detail {

/// Gives a process a number that none of the processes has from which it was forked.
///
/// The process id alone does not: in a PID namespace of its own a child may have the id of its parent. On Linux
/// (4.14 or later) one page of memory is zero in every child, however it was forked. Elsewhere the number is the process
/// id.
class fork_stamp {
public:
    /// \return never 0
    static std::uint64_t get() noexcept {
        static fork_stamp only;
        return only.read();
    }

private:
    using number = std::atomic<std::uint64_t>;

    fork_stamp() noexcept {
#if defined(MADV_WIPEONFORK)
        void* const page = ::mmap(nullptr, sizeof(number), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED) return;
        // The page is the process's for as long as it lives: threads may ask until the very end.
        if (::madvise(page, sizeof(number), MADV_WIPEONFORK) == 0) wiped_in_child_ = new (page) number(0);
        else ::munmap(page, sizeof(number));
#endif
    }

    std::uint64_t read() noexcept {
        if (wiped_in_child_ == nullptr) return process_id();
        std::uint64_t found = wiped_in_child_->load(std::memory_order_relaxed);
        if (found != 0) return found;
        // The count is copied into a child, so a child never gets a number that was given out before the fork.
        const std::uint64_t fresh = ++given_out_;
        return wiped_in_child_->compare_exchange_strong(found, fresh) ? fresh : found;
    }

    static std::uint64_t process_id() noexcept {
#if __has_include(<unistd.h>)
        return static_cast<std::uint64_t>(::getpid());
#else
        return 1;
#endif
    }

    number* wiped_in_child_ = nullptr;
    number given_out_{0};
};

} // namespace regrant::inline v0::detail
