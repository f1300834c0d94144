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

// What x is drawn to, and how much each of its elements counts; null where there is none, which is
// 0 and 1.
struct SideViews {
  const ConstView* reference = nullptr;
  const ConstView* importance = nullptr;

  bool are_there() const { return reference != nullptr || importance != nullptr; }
};

// Their places among a layout's arrays.
constexpr std::size_t kReference = 2;
constexpr std::size_t kImportance = 3;

struct Problem {
  Task task;
  double scale;
  DType dtype;           // of x
  const ConstView* x;    // null for prox
  const View* gradient;  // null where there is none
  const View* stepped;   // x of a proximal step, else null
  SideViews sides;
  Layout layout;  // of x, the gradient as its second array, and the sides

  bool has_gradient() const { return task == Task::kAccumulate || task == Task::kOverwrite; }
};

}  // namespace taut

#endif  // TAUT_VIEWS_PROBLEM_HPP_
