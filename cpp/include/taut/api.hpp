// What a shared library of taut shows to those who link it.

#ifndef TAUT_API_HPP_
#define TAUT_API_HPP_

#include "taut/language.hpp"

// Everything else is hidden. A static library has no need to show anything, least of all where it
// becomes a part of somebody's shared one. taut's CMake and pkg-config packages set TAUT_SHARED.
#if defined(TAUT_SHARED)
#define TAUT_API __attribute__((visibility("default")))
#else
#define TAUT_API
#endif

#endif  // TAUT_API_HPP_
