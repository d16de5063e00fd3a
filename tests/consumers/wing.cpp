// tests/consumers/wing.cpp - a program that takes in regrant's SQLite store.
// SPDX-License-Identifier: MIT
#include <regrant/store/sqlite.hpp>

#include <iostream>

static_assert(regrant::token_store<regrant::sqlite_store>);

int main() { std::cout << (regrant::sqlite_store::open("wing.db") ? "opened" : "failed") << '\n'; }
