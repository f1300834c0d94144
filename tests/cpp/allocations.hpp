// Counts what the whole process allocates, the OpenMP runtime's memory included where the C library
// lets us see it.

#ifndef TAUT_TESTS_ALLOCATIONS_HPP_
#define TAUT_TESTS_ALLOCATIONS_HPP_

#include <algorithm>
#include <cstddef>
#include <limits>

namespace taut_test {

// Allocations of this process so far, on any thread.
std::size_t count_allocations();

// How many allocations two calls of `call` make, after a first one: the least of some pairs, since
// a call that was left alone by busy processors may be followed by one that starts threads.
template <typename Call>
std::size_t allocations_when_repeated(Call call) {
  call();
  std::size_t least = std::numeric_limits<std::size_t>::max();
  for (int pair = 0; pair < 4 && least > 0; ++pair) {
    const std::size_t before = count_allocations();
    call();
    call();
    least = std::min(least, count_allocations() - before);
  }
  return least;
}

}  // namespace taut_test

#endif  // TAUT_TESTS_ALLOCATIONS_HPP_
