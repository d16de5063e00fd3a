// tests/checks/no_exceptions.cpp - the token endpoint in a program that is built with -fno-exceptions.
// SPDX-License-Identifier: MIT
//
// Compiling is the test: a throw, try or catch in what the door includes is an error, in templates too.
#include <regrant/token_endpoint.hpp>

#if defined(__cpp_exceptions)
#error "this file must be compiled with -fno-exceptions"
#endif
#if defined(picojson_h) || defined(PICOJSON_ASSERT)
#error "token_endpoint.hpp must not reach picojson"
#endif
