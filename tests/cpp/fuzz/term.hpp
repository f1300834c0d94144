// A penalty of one weight, and what is right about it.

#ifndef TAUT_TESTS_FUZZ_TERM_HPP_
#define TAUT_TESTS_FUZZ_TERM_HPP_

#include <optional>
#include <string>
#include <taut/taut.hpp>
#include <vector>

#include "array.hpp"

namespace taut_test {

template <typename... Functions>
struct Overloaded : Functions... {
  using Functions::operator()...;
};
template <typename... Functions>
Overloaded(Functions...) -> Overloaded<Functions...>;

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
// an x, and what is written, whether it counts or not.
bool is_allowed(const Term& term, Task task, double step);
// Whether a gradient may stand beside an x of this dtype and shape.
bool fits(const Array& gradient, taut::DType dtype, const Shape& shape);

}  // namespace taut_test

#endif  // TAUT_TESTS_FUZZ_TERM_HPP_
