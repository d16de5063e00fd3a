// regrant/detail/redis_row.hpp - a grant as the bytes of a Redis string, with the scripts that change them.
// floor 3
// SPDX-License-Identifier: MIT
#pragma once

#include "../client_policy.hpp"
#include "../clock.hpp"
#include "../grant.hpp"
#include "../lineage.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

namespace regrant::inline v0::detail {

// A row is one string, not a hash: a third of its size as soon as one text is over 64 bytes, and no larger before.
// What changes stands in front at a fixed place, so that a refresh overwrites 12 bytes where they are. Numbers are
// big-endian bytes, and the scripts compare bytes: Lua's doubles and their printing stay out of it.
//
//   0 layout   1 state   2 current (4)   6 used_at (8)   14 rotation   15 issued_at (8)   23 expires_at (8)
//   31 auth_time (8), then five texts, the size before each in base 128, its lowest seven bits first
static_assert(static_cast<int>(rotation::rotate) == 0 && static_cast<int>(rotation::echo) == 1);
static_assert(static_cast<int>(revocation::live) == 0 && static_cast<int>(revocation::revoked) == 1);

inline constexpr char redis_row_layout = '1';
inline constexpr std::size_t redis_row_numbers_bytes = 39;
inline constexpr std::int64_t redis_no_auth_time = (std::numeric_limits<std::int64_t>::min)();

template <std::size_t Bytes> std::string redis_bytes(std::int64_t number) {
    std::string bytes(Bytes, '\0');
    for (std::size_t i = 0; i != Bytes; ++i)
        bytes[i] = static_cast<char>((static_cast<std::uint64_t>(number) >> 8 * (Bytes - 1 - i)) & 0xFF);
    return bytes;
}
inline std::string redis_bytes(generation which) { return redis_bytes<4>(static_cast<std::uint32_t>(which)); }
inline std::string redis_bytes(instant when) { return redis_bytes<8>(when.time_since_epoch().count()); }

/// The first bytes of a row that may be moved on.
inline std::string redis_live_at(generation expected) {
    return std::string{redis_row_layout, '\0'} + redis_bytes(expected);
}

inline std::string redis_pack(const grant& row) {
    std::string bytes{redis_row_layout, static_cast<char>(row.state)};
    bytes += redis_bytes(row.current) + redis_bytes(row.used_at);
    bytes += static_cast<char>(row.rotation);
    bytes += redis_bytes(row.issued_at) + redis_bytes(row.expires_at);
    bytes += redis_bytes<8>(row.auth_time ? row.auth_time->time_since_epoch().count() : redis_no_auth_time);
    for (const auto text : {row.client_id(), row.subject(), row.scope(), row.audience(), row.confirmation()}) {
        std::size_t size = text.size();
        for (; size >= 0x80; size >>= 7) bytes += static_cast<char>((size & 0x7F) | 0x80);
        bytes += static_cast<char>(size);
        bytes += text;
    }
    return bytes;
}

/// \return nothing for bytes that no `redis_pack` of this layout made: somebody else may have written them
inline std::optional<grant> redis_unpack(const row_key& key, std::string_view bytes) {
    if (bytes.size() < redis_row_numbers_bytes || bytes[0] != redis_row_layout) return std::nullopt;
    const auto number = [&bytes](std::size_t at, std::size_t size) {
        std::uint64_t read = 0;
        for (std::size_t i = at; i != at + size; ++i) read = read << 8 | static_cast<unsigned char>(bytes[i]);
        return read;
    };
    const auto time = [&](std::size_t at) { return static_cast<std::int64_t>(number(at, 8)); };
    // 2^53 is far beyond any login and leaves room to add a lifetime.
    const auto is_time = [](std::int64_t at) { return at >= -(std::int64_t{1} << 53) && at <= std::int64_t{1} << 53; };
    if (!is_time(time(6)) || !is_time(time(15)) || !is_time(time(23))) return std::nullopt;
    if (time(31) != redis_no_auth_time && !is_time(time(31))) return std::nullopt;
    std::array<std::string_view, 5> texts;
    std::size_t at = redis_row_numbers_bytes;
    for (std::string_view& text : texts) {
        std::size_t size = 0;
        unsigned shift = 0;
        do {
            if (at == bytes.size() || shift > 28) return std::nullopt;
            size |= (static_cast<unsigned char>(bytes[at]) & std::size_t{0x7F}) << shift;
            shift += 7;
        } while ((static_cast<unsigned char>(bytes[at++]) & 0x80) != 0);
        if (size > bytes.size() - at) return std::nullopt;
        text = bytes.substr(at, size);
        at += size;
    }
    if (at != bytes.size() || number(1, 1) > 1 || number(14, 1) > 1) return std::nullopt;
    grant row(key, {texts[0], texts[1], texts[2], texts[3], texts[4]});
    row.state = revocation{static_cast<std::uint8_t>(number(1, 1))};
    row.current = generation{static_cast<std::uint32_t>(number(2, 4))};
    row.used_at = instant(instant::duration(time(6)));
    row.rotation = rotation{static_cast<std::uint8_t>(number(14, 1))};
    row.issued_at = instant(instant::duration(time(15)));
    row.expires_at = instant(instant::duration(time(23)));
    if (time(31) != redis_no_auth_time) row.auth_time = std::chrono::sys_seconds(std::chrono::seconds(time(31)));
    return row;
}

/// \return nothing for what is no row's key
inline std::optional<row_key> redis_row_key(std::string_view bytes) noexcept {
    row_key key;
    if (bytes.size() != key.bytes.size()) return std::nullopt;
    std::memcpy(key.bytes.data(), bytes.data(), bytes.size());
    return key;
}

inline std::string_view redis_bytes(const row_key& key) noexcept {
    return {reinterpret_cast<const char*>(key.bytes.data()), key.bytes.size()};
}

/// When Redis forgets a row: a day after its end, so that the clocks of hosts and servers may differ. Where the end
/// has passed already, a day from now: a row that was inserted is there. Milliseconds since 1970, which a double holds.
inline std::string redis_forget_at(const grant& row) {
    const instant end = (std::max)(row.expires_at, current_time());
    const auto time = (std::min)(end.time_since_epoch(), instant::duration(std::int64_t{1} << 52));
    return std::to_string((time + std::chrono::days(1)).count());
}

/// Where a row says when it ends.
inline constexpr std::string_view redis_expires_at_first = "23", redis_expires_at_last = "30";
inline bool redis_is_over(std::string_view expires_at, instant now) noexcept {
    std::uint64_t read = 0;
    for (const char c : expires_at) read = read << 8 | static_cast<unsigned char>(c);
    return expires_at.size() == 8 && static_cast<std::int64_t>(read) < now.time_since_epoch().count();
}

/// Text that a pattern of SCAN takes for itself.
inline std::string redis_literally(std::string_view text) {
    std::string pattern;
    for (const char c : text) {
        if (std::string_view("*?[]^-\\").find(c) != std::string_view::npos) pattern += '\\';
        pattern += c;
    }
    return pattern;
}

enum redis_script : std::size_t { script_advance, script_revoke, script_reap, script_index, script_read_index };

/// In the order of `redis_script`. Each touches KEYS[1] alone.
inline constexpr std::array<std::string_view, 5> redis_scripts{
    // ARGV: what a live row of the expected generation begins with, the next generation, now
    R"(local head = redis.call('GETRANGE', KEYS[1], 0, 13)
if string.sub(head, 1, 6) ~= ARGV[1] then return 0 end
local used, now = string.sub(head, 7), ARGV[3]
local used_high, used_low = struct.unpack('>i4I4', used)
local now_high, now_low = struct.unpack('>i4I4', now)
if now_high > used_high or now_high == used_high and now_low > used_low then used = now end
redis.call('SETRANGE', KEYS[1], 2, ARGV[2] .. used)
return 1)",
    // Writes even where the row is revoked already: the write that did it may not have reached everyone yet. A server that
    // is full refuses any write that may take memory; then the row goes, for without it the family is just as dead.
    R"(local state = redis.call('GETRANGE', KEYS[1], 1, 1)
if state == '' then return 0 end
local done = redis.pcall('SETRANGE', KEYS[1], 1, '\1')
if type(done) == 'table' and done.err then
    if not string.find(done.err, 'OOM') then return done end
    redis.call('DEL', KEYS[1])
end
if state == '\1' then return 0 end
return 1)",
    // ARGV: now
    R"(local ends = redis.call('GETRANGE', KEYS[1], 23, 30)
if ends == '' then return 0 end
local ends_high, ends_low = struct.unpack('>i4I4', ends)
local now_high, now_low = struct.unpack('>i4I4', ARGV[1])
if ends_high > now_high or ends_high == now_high and ends_low >= now_low then return 0 end
return redis.call('DEL', KEYS[1]))",
    // ARGV: a row's key, when Redis forgets the row. The index lives as long as the last of its entries. A score may
    // be printed as 1.8e+12; '%.0f' is exact up to 2^53.
    R"(redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. redis.call('TIME')[1] .. '000')
redis.call('ZADD', KEYS[1], 'GT', ARGV[2], ARGV[1])
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2]
redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', tonumber(last)))
return 1)",
    // A write before the read, so that no replica answers.
    R"(redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. redis.call('TIME')[1] .. '000')
return redis.call('ZRANGE', KEYS[1], 0, -1))"};

} // namespace regrant::inline v0::detail
