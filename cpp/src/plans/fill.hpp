// Writing one number to every element of an array.

#ifndef TAUT_PLANS_FILL_HPP_
#define TAUT_PLANS_FILL_HPP_

#include <cstddef>

#include "taut/dtype.hpp"
#include "views/layout.hpp"
#include "views/problem.hpp"

namespace taut {

enum class Filling { kZero, kNan };

// Overwrites the elements [begin, end) of one of the layout's arrays, which is of `dtype`.
void fill(const Layout& layout, std::size_t array, DType dtype, std::size_t begin, std::size_t end,
          Filling filling);

// Overwrites one of so many parts of the gradient.
void fill_gradient_with_nan(const Problem& problem, std::size_t piece, std::size_t pieces);

}  // namespace taut

#endif  // TAUT_PLANS_FILL_HPP_
