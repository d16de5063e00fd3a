// regrant/testing/detail/sequence_suite.hpp - what each promise of a store means, one call after another.
// wing
// SPDX-License-Identifier: MIT
#pragma once

#include "../../clock.hpp"
#include "../../grant.hpp"
#include "../../lineage.hpp"
#include "../../token_store.hpp"
#include "bench.hpp"
#include "witness.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace regrant::inline v0::testing {

/// `row` as `change` leaves it.
template <class Change> grant changed(grant row, Change change) {
    change(row);
    return row;
}

template <class Bench> void check_insert_and_find(Bench& bench) {
    using namespace std::chrono;

    bench.check("find of a key nobody inserted gives nothing, which is no outage (R53)",
                [](const auto& at) { at.expect_none(fresh_key(), "that nobody inserted"); });

    bench.check("insert keeps every time on 64 bits, to the millisecond (R67, R99)", [](const auto& at) {
        const instant now = current_time();
        // 2038, 2106 and 9999 do not fit into fewer bits; odd milliseconds show a rounding.
        const instant times[] = {floor<seconds>(now) + milliseconds(1), floor<seconds>(now) + milliseconds(999),
                                 instant(milliseconds(4'294'967'296'777)), instant(milliseconds(253'402'300'799'999))};
        const std::optional<sys_seconds> proofs[] = {std::nullopt, sys_seconds{}, floor<seconds>(now),
                                                     sys_seconds(seconds(253'402'300'799))};
        for (std::size_t i = 0; i != std::size(times); ++i) {
            grant row = fresh_row();
            row.issued_at = times[i];
            row.used_at = times[i] + milliseconds(1);
            row.expires_at = times[i] + days(90);
            row.auth_time = proofs[i];
            at.place(row);
            at.expect_row(row, "after insert");
        }
    });

    bench.check("insert keeps generation, rotation and state as they are given (R41)", [](const auto& at) {
        for (const generation number : {first_generation, generation{1}, generation{0x7FFF'FFFF},
                                        generation{0x8000'0000}, last_generation})
            for (const revocation state : {revocation::live, revocation::revoked}) {
                const grant row = changed(fresh_row(), [&](grant& made) {
                    made.current = number;
                    made.state = state;
                    made.rotation = state == revocation::live ? rotation::echo : rotation::rotate;
                });
                at.place(row);
                at.expect_row(row, "after insert");
            }
    });

    bench.check("insert keeps texts byte for byte: empty, long, quotes, controls, any language (R4)",
                [](const auto& at) {
                    const std::string quotes = "'\"`\\ $1 %s ?1 {0} :a; -- /* \x01\t\r\n\x1F\x7F";
                    // Composed and decomposed, right to left, outside the basic plane, the last code points.
                    const std::string tongues = "\xC3\xA9 e\xCC\x81 \xD7\xA9 \xE2\x80\xAE \xF0\x9F\x98\x80 "
                                                "\xEF\xBF\xBF \xF4\x8F\xBF\xBF";
                    // OpenID Connect Core 2: a subject "MUST NOT exceed 255 ASCII characters in length"; a scope may
                    // fill a request's body.
                    const std::string name(255, 'n');
                    const std::string words(16 * 1024, 'w');
                    const std::string key(2048, 'k');
                    const grant_text texts[] = {{"web", "alice", "openid", "", ""},
                                                {"web", "alice", "", "a", ""},
                                                {"web", "alice", "openid", "", "c"},
                                                {name, name, words, key, key},
                                                {"w", quotes, "openid", quotes, quotes},
                                                {"w", tongues, tongues, tongues, tongues},
                                                {" w ", " a ", " ", " ", " "}};
                    for (const grant_text& text : texts) {
                        grant row(fresh_key(), text);
                        row.issued_at = row.used_at = current_time();
                        row.expires_at = row.issued_at + days(1);
                        at.place(row);
                        at.expect_row(row, "after insert");
                    }
                });

    bench.check("a text with a NUL, or that is no UTF-8, is kept whole or refused, never cut (R4)",
                [](const auto& at) {
                    using namespace std::string_view_literals;
                    // An engine may not know them; but "alice" and "alice\0x" are two users.
                    for (const std::string_view odd : {"alice\0x"sv, "\0alice"sv, "alice\xFF\xC3"sv}) {
                        grant row(fresh_key(), {"web", odd, "openid", odd, odd});
                        row.issued_at = row.used_at = current_time();
                        row.expires_at = row.issued_at + days(1);
                        const auto outcome = at.store().insert(row);
                        if (outcome) at.expect_row(row, "after insert");
                        else at.expect_none(row.key, "though its insert was refused");
                    }
                });

    bench.check("insert never touches a row that is there, live or revoked (R38)", [](const auto& at) {
        for (const revocation state : {revocation::live, revocation::revoked}) {
            grant row = fresh_row();
            at.place(row);
            at.saw().expect(at.advance(row.key, row.current, generation{5}, row.used_at + seconds(1)),
                            "advance was refused");
            row.current = generation{5};
            row.used_at += seconds(1);
            if (state == revocation::revoked) at.revoke(row.key);
            row.state = state;

            grant other(row.key, {"another", "bob", "email", "https://api.example", "key"});
            other.issued_at = other.used_at = row.issued_at + hours(1);
            other.expires_at = row.expires_at + hours(1);
            const auto again = at.store().insert(other);
            if (at.works(again, "insert of a key that is there"))
                at.saw().expect(*again == insert_outcome::already_there, "a key that is there was inserted again");
            at.expect_row(row, "after a second insert");
        }
    });

    bench.check("keys are told apart by all of their 32 bytes (R36)", [](const auto& at) {
        row_key key = fresh_key();
        // What ends a C string or a quoted text.
        constexpr char enders[] = {'\0', '\'', '\\', '\n'};
        for (std::size_t i = 0; i != std::size(enders); ++i) key.bytes[i + 4] = static_cast<std::byte>(enders[i]);
        for (const std::size_t changed_byte : {0U, 3U, 15U, 16U, 31U}) {
            grant row = fresh_row();
            row.key = key;
            row.key.bytes[changed_byte] ^= std::byte{0x80};
            row.current = generation{static_cast<std::uint32_t>(changed_byte)};
            at.place(row);
            at.expect_row(row, "after insert");
        }
        at.expect_none(key, "under a key that differs by a bit");
    });
}

template <class Bench> void check_advance(Bench& bench) {
    using namespace std::chrono;

    bench.check("advance moves generation and used_at, nothing else (R38)", [](const auto& at) {
        grant row(fresh_key(), {"web", "alice", "openid email", "https://api.example", "key"});
        row.issued_at = row.used_at = current_time();
        row.expires_at = row.issued_at + days(90);
        row.auth_time = floor<seconds>(row.issued_at);
        at.place(row);
        for (std::uint32_t i = 1; i != 5; ++i) {
            row.used_at += milliseconds(1);
            at.saw().expect(at.advance(row.key, row.current, generation{i}, row.used_at), "advance was refused");
            row.current = generation{i};
            at.expect_row(row, "after advance");
        }
    });

    bench.check("advance of a missing row is refused, and makes none (R53)", [](const auto& at) {
        const row_key key = fresh_key();
        at.saw().expect(!at.advance(key, first_generation, generation{1}, current_time()), "it advanced");
        at.saw().expect(!at.advance(key, first_generation, first_generation, current_time()), "it confirmed");
        at.expect_none(key, "after advance of a missing one");
    });

    bench.check("advance of a revoked row is refused, be it to rotate, confirm or heal (R50)", [](const auto& at) {
        grant row = fresh_row();
        row.current = generation{7};
        at.place(row);
        at.revoke(row.key);
        row.state = revocation::revoked;
        for (const generation to : {generation{8}, generation{7}, generation{11}})
            at.saw().expect(!at.advance(row.key, row.current, to, row.used_at + seconds(1)),
                            "a revoked row advanced from 7 to " + in_words(to));
        at.expect_row(row, "after refused advances");
    });

    bench.check("advance is refused where the row has moved on, or is behind what was expected (R38, R53)",
                [](const auto& at) {
                    grant row = fresh_row();
                    row.current = generation{7};
                    at.place(row);
                    for (const generation expected : {first_generation, generation{6}, generation{8}, generation{9},
                                                      last_generation})
                        for (const generation to : {next(generation{7}), expected})
                            at.saw().expect(!at.advance(row.key, expected, to, row.used_at + seconds(1)),
                                            "a row at 7 advanced from " + in_words(expected));
                    at.expect_row(row, "after refused advances");
                });

    bench.check("advance to the same generation confirms: it succeeds, and the generation stays (R47, R41)",
                [](const auto& at) {
                    grant row = fresh_row();
                    row.current = generation{3};
                    at.place(row);
                    // A retry confirms at the time it saw, an echo at its own.
                    for (const milliseconds later : {milliseconds(0), milliseconds(0), milliseconds(1500)}) {
                        row.used_at += later;
                        at.saw().expect(at.advance(row.key, row.current, row.current, row.used_at), "it was refused");
                        at.expect_row(row, "after a confirm");
                    }
                });

    bench.check("advance goes over as many generations as a heal asks for (R53)", [](const auto& at) {
        grant row = fresh_row();
        at.place(row);
        for (const std::uint32_t to : {2U, 10U, 0x7FFF'FFFFU, 0x8000'0000U, 0x8000'0001U}) {
            at.saw().expect(at.advance(row.key, row.current, generation{to}, row.used_at),
                            "advance from " + in_words(row.current) + " was refused");
            row.current = generation{to};
            at.expect_row(row, "after a heal");
        }
    });

    bench.check("the last generation never wraps (R53)", [](const auto& at) {
        grant row = fresh_row();
        row.current = generation{0xFFFF'FFFE};
        at.place(row);
        at.saw().expect(at.advance(row.key, row.current, last_generation, row.used_at), "the last step was refused");
        row.current = last_generation;
        at.expect_row(row, "after the last step");
        at.saw().expect(at.advance(row.key, row.current, row.current, row.used_at), "a confirm was refused");
        at.expect_row(row, "after a confirm");
        for (const generation expected : {first_generation, generation{1}, generation{0x7FFF'FFFF}})
            at.saw().expect(!at.advance(row.key, expected, next(expected), row.used_at),
                            "a row at the last generation advanced from " + in_words(expected));
        at.expect_row(row, "after refused advances");
    });

    bench.check("advance keeps the later of the row's time and now, to the millisecond (R49)", [](const auto& at) {
        grant row = fresh_row();
        row.used_at = floor<seconds>(row.used_at) + milliseconds(500);
        at.place(row);
        for (const milliseconds step : {milliseconds(1), milliseconds(-1), milliseconds(0), milliseconds(-3'600'000),
                                        milliseconds(499), milliseconds(3'600'001), milliseconds(-2)}) {
            const instant now = row.used_at + step;
            if (!at.advance(row.key, row.current, next(row.current), now)) continue; // another check's matter
            row.current = next(row.current);
            row.used_at = (std::max)(row.used_at, now);
            at.expect_row(row, "after advance by " + std::to_string(step.count()) + " ms");
        }
    });

    bench.check("advance goes by generation, never by time (R47, R49)", [](const auto& at) {
        grant row = fresh_row();
        at.place(row);
        const instant second = floor<seconds>(row.used_at);
        // Twice within a millisecond, within a second; after a clock that went back.
        for (const instant now : {second, second, second + milliseconds(400), second + milliseconds(700),
                                  second - hours(1), second + hours(1)}) {
            at.saw().expect(at.advance(row.key, row.current, next(row.current), now),
                            "the current generation was refused for its time");
            at.saw().expect(!at.advance(row.key, row.current, next(row.current), now + hours(2)),
                            "a generation that is over was accepted for its time");
            row.current = next(row.current);
        }
    });
}

template <class Bench> void check_revoke(Bench& bench) {
    bench.check("revoke ends a family for good: nothing brings it back (R44, R50)", [](const auto& at) {
        grant row = fresh_row();
        at.place(row);
        grant ended = row;
        ended.state = revocation::revoked;
        at.revoke(row.key);
        at.expect_row(ended, "after revoke");
        (void)at.advance(row.key, row.current, next(row.current), row.used_at + std::chrono::hours(1));
        (void)at.insert(row);
        (void)at.advance(row.key, row.current, row.current, row.used_at);
        at.expect_row(ended, "after attempts to bring it back");
    });

    bench.check("revoke may be repeated, and leaves the rest of the row as it was (R44)", [](const auto& at) {
        grant row = fresh_row();
        row.current = generation{9};
        at.place(row);
        row.state = revocation::revoked;
        for (int i = 0; i != 3; ++i) {
            at.revoke(row.key);
            at.expect_row(row, "after revoke");
        }
    });

    bench.check("revoke of a missing row is no error, and makes none (R44)", [](const auto& at) {
        const grant row = fresh_row();
        at.revoke(row.key);
        at.expect_none(row.key, "after revoke of a missing one");
        at.place(row);
        at.expect_row(row, "when it is inserted afterwards");
    });

    bench.check("revoke touches one family alone (R33)", [](const auto& at) {
        const std::string subject = fresh_subject();
        const grant mine = fresh_row(subject), other = fresh_row(subject);
        at.place(mine);
        at.place(other);
        at.revoke(mine.key);
        at.expect_row(other, "after revoke of the same user's other login");
    });
}

/// Every promise, one call after another on one handle.
template <class Bench> void sequence_suite(Bench& bench) {
    check_insert_and_find(bench);
    check_advance(bench);
    check_revoke(bench);
}

} // namespace regrant::inline v0::testing
