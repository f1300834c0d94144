// Every penalty of the core: a regularizer without a line here does not compile.

#ifndef TAUT_PLANS_REGISTRY_HPP_
#define TAUT_PLANS_REGISTRY_HPP_

#include "plans/plan.hpp"
#include "run/call.hpp"
#include "taut/regularizers.hpp"
#include "taut/vector_range.hpp"
#include "views/problem.hpp"

namespace taut {

// For each regularizer:
//   check(regularizer, task, x, scale)  throws InvalidArgument unless its factors are finite and
//     not negative, x has a shape that it is defined for, and it has such a task.
//   takes_sides(regularizer)  whether x may have a reference and an importance.
//   make_plan(regularizer, problem, call)  the plan of a problem that has been checked, in the
//     call's arena.

void check(const L1&, Task, const ConstView& x, double scale);
constexpr bool takes_sides(const L1&) { return true; }
Plan& make_plan(const L1&, const Problem&, const Call&);

void check(const L2&, Task, const ConstView& x, double scale);
constexpr bool takes_sides(const L2&) { return true; }
Plan& make_plan(const L2&, const Problem&, const Call&);

void check(const L1L2&, Task, const ConstView& x, double scale);
constexpr bool takes_sides(const L1L2&) { return true; }
Plan& make_plan(const L1L2&, const Problem&, const Call&);

void check(const OrthogonalRegularizer&, Task, const ConstView& x, double scale);
constexpr bool takes_sides(const OrthogonalRegularizer&) { return false; }
Plan& make_plan(const OrthogonalRegularizer&, const Problem&, const Call&);

// For a range of the vectors of problem.x; the gradient, and the layout, are those of its slice.
Plan& make_plan(const OrthogonalRegularizer&, VectorRange, const Problem&, const Call&);

void check(const SoftOrthogonalRegularizer&, Task, const ConstView& x, double scale);
constexpr bool takes_sides(const SoftOrthogonalRegularizer&) { return false; }
Plan& make_plan(const SoftOrthogonalRegularizer&, const Problem&, const Call&);

void check(const GroupLasso&, Task, const ConstView& x, double scale);
constexpr bool takes_sides(const GroupLasso&) { return false; }
Plan& make_plan(const GroupLasso&, const Problem&, const Call&);

// The plan of a penalty that is 0 whatever x: zeros in a gradient that is to be overwritten.
Plan& make_zero_plan(const Problem&, const Call&);

}  // namespace taut

#endif  // TAUT_PLANS_REGISTRY_HPP_
