#include "api/problems.hpp"

#include <variant>

#include "plans/registry.hpp"
#include "taut/error.hpp"
#include "views/check.hpp"
#include "views/overlap.hpp"

namespace taut {
namespace {

// Where arrays without gaps are apart, or one alone, nothing needs to be decided.
bool may_overlap_itself(const Layout& layout, std::size_t array) {
  return layout.size > 1 && !layout.is_contiguous(array);
}

// `read` is the layout of what is read, as its first array.
void check_written(const Problem& problem, const Layout& read, const Call& call) {
  const Layout& layout = problem.layout;
  if (problem.gradient != nullptr) check_gradient(*problem.x, *problem.gradient);
  if (layout.size == 0) return;
  if (problem.task == Task::kProx) {
    if (!may_overlap_itself(layout, 0)) return;
    CallEffort effort(call);
    if (overlaps_itself(layout.strided(0), effort)) {
      throw InvalidArgument("x must not overlap itself: some of its elements share memory");
    }
    return;
  }
  if (problem.gradient == nullptr) return;
  const Strided x = read.strided(0);
  const Strided gradient = layout.strided(1);
  const bool meets = range_of(x).meets(range_of(gradient));
  if (!meets && !may_overlap_itself(layout, 1)) return;
  CallEffort effort(call);
  if (overlaps_itself(gradient, effort)) {
    throw InvalidArgument(
        "The gradient must not overlap itself: some of its elements share memory");
  }
  if (meets && overlap(x, gradient, effort)) {
    throw InvalidArgument("The gradient must not overlap the input: they share memory");
  }
}

}  // namespace

Problem make_problem(Task task, double scale, const ConstView& x, const View* written,
                     const Call& call) {
  const bool is_step = task == Task::kProx;
  const View* gradient = is_step ? nullptr : written;
  Problem problem{
      task, scale, x.dtype(), is_step ? nullptr : &x, gradient, is_step ? written : nullptr, {}};
  if (gradient != nullptr && has_same_shape(x, *gradient)) {
    problem.layout = layout_of(x, *gradient, call.arena());
  } else {
    problem.layout = layout_of(x, call.arena());
  }
  return problem;
}

void check_penalty(const Regularizer& regularizer, const Problem& problem, const ConstView& x) {
  std::visit([&](const auto& r) { check(r, problem.task, x, problem.scale); }, regularizer);
}

void check_written(const Problem& problem, const Call& call) {
  check_written(problem, problem.layout, call);
}

void check_written(const Problem& problem, const ConstView& whole, const Call& call) {
  check_written(problem, layout_of(whole, call.arena()), call);
}

Plan& plan_of(const Regularizer& regularizer, const Problem& problem, const Call& call) {
  return std::visit([&](const auto& r) -> Plan& { return make_plan(r, problem, call); },
                    regularizer);
}

}  // namespace taut
