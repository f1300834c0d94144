// Catch2, whichever of its versions is there.

#ifndef TAUT_TESTS_CATCH2_HPP_
#define TAUT_TESTS_CATCH2_HPP_

#if __has_include(<catch2/catch.hpp>)
#include <catch2/catch.hpp>
#else
#include <catch2/catch_all.hpp>
#endif

#endif  // TAUT_TESTS_CATCH2_HPP_
