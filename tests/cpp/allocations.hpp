// Counts what the whole process allocates, the OpenMP runtime's memory included where the C library
// lets us see it.

#ifndef TAUT_TESTS_ALLOCATIONS_HPP_
#define TAUT_TESTS_ALLOCATIONS_HPP_

#include <cstddef>

namespace taut_test {

// Allocations of this process so far, on any thread.
std::size_t count_allocations();

// How many allocations the second and third call of `call` make, after a first one.
template <typename Call>
std::size_t allocations_when_repeated(Call call) {
  call();
  const std::size_t before = count_allocations();
  call();
  call();
  return count_allocations() - before;
}

}  // namespace taut_test

#endif  // TAUT_TESTS_ALLOCATIONS_HPP_
