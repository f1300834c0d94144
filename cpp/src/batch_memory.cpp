#include "batch_memory.hpp"

namespace taut {

bool is_same_memory(const ConstView& x, const ConstView& y) {
  if (x.dtype() != y.dtype() || x.size() != y.size() || x.size() == 0) return false;
  const Layout<1> a = layout_of(x);
  const Layout<1> b = layout_of(y);
  if (a.rank != b.rank) return false;
  for (std::size_t axis = 0; axis < a.rank; ++axis) {
    if (a.extents[axis] != b.extents[axis] || a.strides[0][axis] != b.strides[0][axis])
      return false;
  }
  return true;
}

void refuse_overlap(const Place& place, const Place& other) {
  const std::size_t both = std::max(place.term, other.term);
  throw InvalidTerm(
      place.written && other.written ? both : (place.written ? place : other).term,
      "What is written for one tensor must not overlap another one, nor its gradient: they "
      "share memory");
}

}  // namespace taut
