// A penalty of one weight, what is right about it, and what it should be.

#ifndef TAUT_TESTS_FUZZ_TERM_HPP_
#define TAUT_TESTS_FUZZ_TERM_HPP_

#include <optional>
#include <string>
#include <taut/taut.hpp>
#include <vector>

#include "../reference.hpp"
#include "array.hpp"

namespace taut_test {

enum class Task { kValue, kAccumulate, kOverwrite, kProx };

struct Term {
  taut::Regularizer regularizer;
  Array x;
  std::optional<Array> gradient;
  std::optional<Array> reference;
  std::optional<Array> importance;

  bool has_sides() const { return reference || importance; }
  const Array* written(Task task) const {
    return task == Task::kProx ? &x : task == Task::kValue ? nullptr : &*gradient;
  }
};

taut::Regularizer read_regularizer(Reader& reader);
// A factor, a scale or a step: most often an ordinary one.
double read_factor(Reader& reader);
std::string text_of(const taut::Regularizer& regularizer);

bool is_elementwise(const taut::Regularizer& regularizer);
// Whether the documentation of taut/penalty.hpp and taut/batch.hpp allows it: the penalty of such
// an x, and, if it `is_written`, what is written.
bool is_allowed(const Term& term, Task task, double step, bool is_written);
// Whether a gradient may stand beside an x of this dtype and shape.
bool fits(const Array& gradient, taut::DType dtype, const Shape& shape);

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

#endif  // TAUT_TESTS_FUZZ_TERM_HPP_
