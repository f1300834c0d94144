// From a caller's arguments to checked problems.

#ifndef TAUT_API_PROBLEMS_HPP_
#define TAUT_API_PROBLEMS_HPP_

#include "plans/plan.hpp"
#include "run/call.hpp"
#include "run/stop.hpp"
#include "taut/regularizers.hpp"
#include "views/effort.hpp"
#include "views/problem.hpp"

namespace taut {

// The decision on overlaps works in the call's arena, and may be stopped as the call itself.
class CallEffort final : public Effort {
 public:
  explicit CallEffort(const Call& call) : call_(call) {}

 private:
  void* take_bytes(std::size_t bytes) override {
    return call_.arena().take<std::byte>(bytes).data();
  }
  void check(std::size_t steps) override {
    if (watch_.is_due(static_cast<double>(steps))) watch_.ask();
  }

  const Call& call_;
  StopWatch watch_;
};

// Not checked yet. `written` is the gradient, or x itself of a proximal step, or null. The views
// are used as long as the problem is, but for the ConstView of a proximal step.
Problem make_problem(Task task, double scale, const ConstView& x, const View* written,
                     const SideViews& sides, const Call& call);

// All throw InvalidArgument. The regularizer suits x, its sides and the task, and these x:
void check_penalty(const Regularizer& regularizer, const Problem& problem, const ConstView& x);
// The gradient has x's shape and a dtype that suits x's, and overlaps neither itself nor what is
// read; or, of a proximal step, x does not:
void check_written(const Problem& problem, const Call& call);
// Where x is a slice of a larger array: the gradient overlaps no part of that either:
void check_apart(const Problem& problem, const ConstView& whole, const Call& call);

// The plan of a problem that has been checked.
Plan& plan_of(const Regularizer& regularizer, const Problem& problem, const Call& call);

}  // namespace taut

#endif  // TAUT_API_PROBLEMS_HPP_
