#include "api/problems.hpp"

#include <string>
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

// What is written overlaps nothing that is read beside it.
void check_apart_from_sides(const Problem& problem, std::size_t array, const char* written,
                            const Call& call) {
  CallEffort effort(call);
  for (const std::size_t side : {kReference, kImportance}) {
    if (!problem.layout.has(side)) continue;
    if (overlap(problem.layout.strided(array), problem.layout.strided(side), effort)) {
      throw InvalidArgument(std::string(written) + " must not overlap the " +
                            (side == kReference ? "reference" : "importance") +
                            ": they share memory");
    }
  }
}

}  // namespace

Problem make_problem(Task task, double scale, const ConstView& x, const View* written,
                     const SideViews& sides, const Call& call) {
  const bool is_step = task == Task::kProx;
  const View* gradient = is_step ? nullptr : written;
  Problem problem{
      task,  scale, x.dtype(), is_step ? nullptr : &x, gradient, is_step ? written : nullptr,
      sides, {}};
  if (sides.are_there()) {
    const auto if_same = [&](const auto* view) {
      return view != nullptr && has_same_shape(x, *view) ? view : nullptr;
    };
    problem.layout = layout_of(x, if_same(gradient), if_same(sides.reference),
                               if_same(sides.importance), call.arena());
  } else if (gradient != nullptr && has_same_shape(x, *gradient)) {
    problem.layout = layout_of(x, *gradient, call.arena());
  } else {
    problem.layout = layout_of(x, call.arena());
  }
  return problem;
}

void check_penalty(const Regularizer& regularizer, const Problem& problem, const ConstView& x) {
  std::visit([&](const auto& r) { check(r, problem.task, x, problem.scale); }, regularizer);
  if (!problem.sides.are_there()) return;
  if (!std::visit([](const auto& r) { return takes_sides(r); }, regularizer)) {
    throw InvalidArgument("L1, L2 and L1L2 alone take a reference and an importance");
  }
  if (problem.sides.reference != nullptr) check_side("reference", x, *problem.sides.reference);
  if (problem.sides.importance != nullptr) check_side("importance", x, *problem.sides.importance);
}

void check_written(const Problem& problem, const Call& call) {
  const Layout& layout = problem.layout;
  if (problem.gradient != nullptr) check_gradient(*problem.x, *problem.gradient);
  if (layout.size == 0) return;
  if (problem.task == Task::kProx) {
    if (problem.sides.are_there()) check_apart_from_sides(problem, 0, "x", call);
    if (!may_overlap_itself(layout, 0)) return;
    CallEffort effort(call);
    if (overlaps_itself(layout.strided(0), effort)) {
      throw InvalidArgument("x must not overlap itself: some of its elements share memory");
    }
    return;
  }
  if (problem.gradient == nullptr) return;
  if (problem.sides.are_there()) check_apart_from_sides(problem, 1, "The gradient", call);
  const Strided x = layout.strided(0);
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

void check_apart(const Problem& problem, const ConstView& whole, const Call& call) {
  if (problem.gradient == nullptr || problem.layout.size == 0) return;
  const Strided gradient = problem.layout.strided(1);
  const Layout layout = layout_of(whole, call.arena());
  const Strided read = layout.strided(0);
  if (!range_of(read).meets(range_of(gradient))) return;
  CallEffort effort(call);
  if (overlap(read, gradient, effort)) {
    throw InvalidArgument("The gradient must not overlap the input: they share memory");
  }
}

Plan& plan_of(const Regularizer& regularizer, const Problem& problem, const Call& call) {
  return std::visit([&](const auto& r) -> Plan& { return make_plan(r, problem, call); },
                    regularizer);
}

}  // namespace taut
