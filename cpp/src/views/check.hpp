// What is asked of a caller's arguments before anything is written. All throw InvalidArgument.

#ifndef TAUT_VIEWS_CHECK_HPP_
#define TAUT_VIEWS_CHECK_HPP_

#include <string>

#include "taut/view.hpp"

namespace taut {

// Both are finite and not negative.
void check_factor(const char* name, double factor);
void check_step(double step);

bool has_same_shape(const ConstView& x, const View& gradient);

// `gradient` has x's shape and a dtype that suits x's.
void check_gradient(const ConstView& x, const View& gradient);

// As Python writes it.
std::string shape_of(const ConstView& view);

}  // namespace taut

#endif  // TAUT_VIEWS_CHECK_HPP_
