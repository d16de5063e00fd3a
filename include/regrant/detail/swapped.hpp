// regrant/detail/swapped.hpp - a value that is replaced while others use it.
// floor 0
// SPDX-License-Identifier: MIT
#pragma once

#include "cpp20.hpp"

#include <memory>
#include <mutex>
#include <utility>

namespace regrant::inline v0::detail {

/// Each user keeps the value it began with for as long as it likes.
template <class T> class swapped {
public:
    explicit swapped(T first)
        : lock_(std::make_unique<std::mutex>()), value_(std::make_shared<const T>(std::move(first))) {}

    std::shared_ptr<const T> now() const {
        const std::scoped_lock lock(*lock_);
        return value_;
    }

    void replace(T next) {
        // Made before the lock, so that what it was is freed behind it.
        auto value = std::make_shared<const T>(std::move(next));
        const std::scoped_lock lock(*lock_);
        value_.swap(value);
    }

private:
    std::unique_ptr<std::mutex> lock_; // an endpoint can be moved while nobody uses it
    std::shared_ptr<const T> value_;
};

} // namespace regrant::inline v0::detail
