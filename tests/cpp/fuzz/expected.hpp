// What a penalty of one weight should be.

#ifndef TAUT_TESTS_FUZZ_EXPECTED_HPP_
#define TAUT_TESTS_FUZZ_EXPECTED_HPP_

#include <optional>
#include <string>
#include <vector>

#include "../reference.hpp"
#include "term.hpp"

namespace taut_test {

// The penalty divided by `factor`, and its gradient: straight from the formulas. Nothing where
// numbers are not finite, or so large or small that the tolerances of reference.hpp do not hold.
struct Expected {
  Reference reference;
  double factor;
};
std::optional<Expected> expected(const Term& term, const std::vector<Bytes>& contents);
// x after its proximal step, as a gradient with its tolerance.
std::optional<Reference> expected_step(const Term& term, const std::vector<Bytes>& contents,
                                       double step);

// Whether a gradient times this is told exactly enough, in float64's range.
bool is_ordinary(double scale);

// gradient_error of reference.hpp, for numbers of any dtype.
std::string error_of(const Reference& reference, Real scale, const std::vector<double>& before,
                     const std::vector<double>& computed, taut::DType dtype);

}  // namespace taut_test

#endif  // TAUT_TESTS_FUZZ_EXPECTED_HPP_
