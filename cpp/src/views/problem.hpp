// What a call of one penalty asks for, once its arguments have been checked.

#ifndef TAUT_VIEWS_PROBLEM_HPP_
#define TAUT_VIEWS_PROBLEM_HPP_

#include "taut/view.hpp"
#include "views/layout.hpp"

namespace taut {

enum class Task {
  kValue,
  kAccumulate,  // the value, and gradient += scale * d(penalty)/dx
  kOverwrite,   // the value, and gradient = scale * d(penalty)/dx
  kProx,        // x = argmin over y of scale * penalty(y) + |y - x|² / 2
};

struct Problem {
  Task task;
  double scale;
  DType dtype;           // of x
  const ConstView* x;    // null for prox
  const View* gradient;  // null where there is none
  const View* stepped;   // x of a proximal step, else null
  Layout layout;         // of x, and of the gradient as its second array

  bool has_gradient() const { return task == Task::kAccumulate || task == Task::kOverwrite; }
};

}  // namespace taut

#endif  // TAUT_VIEWS_PROBLEM_HPP_
