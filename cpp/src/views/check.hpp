// What is asked of a caller's arguments before anything is written. All throw InvalidArgument.
// Numbers are judged under the default floating-point environment, whatever the caller's is.

#ifndef TAUT_VIEWS_CHECK_HPP_
#define TAUT_VIEWS_CHECK_HPP_

#include <string>

#include "taut/view.hpp"

namespace taut {

// Both are finite and not negative.
void check_factor(const char* name, double factor);
void check_step(double step);
// times * step * factor is finite: of a proximal step.
void check_product(double step, double factor, double times = 1);

template <typename Pointer>
bool has_same_shape(const ConstView& x, const BasicView<Pointer>& other) {
  bool same_shape = x.rank() == other.rank();
  for (std::size_t axis = 0; same_shape && axis < x.rank(); ++axis) {
    same_shape = x.extent(axis) == other.extent(axis);
  }
  return same_shape;
}

// `gradient` has x's shape and a dtype that suits x's.
void check_gradient(const ConstView& x, const View& gradient);

// A reference or an importance has x's shape, and its dtype or float32.
void check_side(const char* name, const ConstView& x, const ConstView& side);

// As Python writes it.
std::string shape_of(const ConstView& view);

}  // namespace taut

#endif  // TAUT_VIEWS_CHECK_HPP_
