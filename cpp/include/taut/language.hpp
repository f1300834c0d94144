// Ends a compilation that is not in C++20 mode with one sentence.

#ifndef TAUT_LANGUAGE_HPP_
#define TAUT_LANGUAGE_HPP_

// After an #error, GCC and Clang go on, and bury it under pages about all that it left undeclared.
// At a file that is not there they end; its name says what is wrong. (MSVC has the mode in a macro
// of its own.)
#if (defined(_MSVC_LANG) && _MSVC_LANG < 202002L) || (!defined(_MSVC_LANG) && __cplusplus < 202002L)
#include "taut needs C++20, so compile with -std=c++20, or link taut::taut by CMake, which sees to it"
#endif

#endif  // TAUT_LANGUAGE_HPP_
