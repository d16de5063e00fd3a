# tests/consumers/leaks.cmake - injected into a parent project: says what its directories hold when all is configured.
# SPDX-License-Identifier: MIT
function(say_what_is_there folder)
  foreach(kind BUILDSYSTEM_TARGETS TESTS)
    get_property(found DIRECTORY "${folder}" PROPERTY ${kind})
    message(STATUS "${kind}: ${found}")
  endforeach()
  get_property(below DIRECTORY "${folder}" PROPERTY SUBDIRECTORIES)
  foreach(each IN LISTS below)
    say_what_is_there("${each}")
  endforeach()
endfunction()
cmake_language(DEFER CALL say_what_is_there "${CMAKE_SOURCE_DIR}")
