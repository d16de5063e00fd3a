// tests/consumers/picojson/main.cpp - asks every unit of the program whether it got what it was compiled for.
// SPDX-License-Identifier: MIT
#include <cstdio>

bool host_before();
bool host_after();
bool host_alone();
bool regrant_alone();

int main() {
    const bool all[] = {host_before(), host_after(), host_alone(), regrant_alone()};
    std::printf("%d %d %d %d\n", all[0], all[1], all[2], all[3]);
}
