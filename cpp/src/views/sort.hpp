// Sorting what is mostly sorted.

#ifndef TAUT_VIEWS_SORT_HPP_
#define TAUT_VIEWS_SORT_HPP_

#include <algorithm>
#include <span>

namespace taut {

// Tensors are often handed over in the order in which they were allocated.
template <typename T, typename Less>
void sort_unless_sorted(std::span<T> things, Less less) {
  if (!std::is_sorted(things.begin(), things.end(), less)) {
    std::sort(things.begin(), things.end(), less);
  }
}

}  // namespace taut

#endif  // TAUT_VIEWS_SORT_HPP_
