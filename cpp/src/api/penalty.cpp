#include "taut/penalty.hpp"

#include <span>

#include "api/problems.hpp"
#include "plans/registry.hpp"
#include "plans/vectors.hpp"
#include "run/executor.hpp"
#include "run/float_environment.hpp"
#include "run/stop.hpp"
#include "taut/vector_range.hpp"
#include "views/check.hpp"

namespace taut {
namespace {

double run(Plan& plan, const Call& call, const DefaultFloatEnvironment& environment) {
  // One piece in no need of memory, as a small elementwise penalty is, needs no executor either.
  const Plan::Needs& needs = plan.needs();
  if (needs.phases == 1 && needs.memory + needs.scratch == 0 && plan.phase(0).pieces == 1) {
    plan.run(0, 0, nullptr);
  } else {
    Plan* const only = &plan;
    Executor(std::span(&only, 1), call.arena()).run(environment);
  }
  return plan.combine();
}

double run(const Regularizer& regularizer, Task task, double scale, const ConstView& x,
           const View* written, Workspace* workspace) {
  const Call call(workspace);
  const Problem problem = make_problem(task, scale, x, written, {}, call);
  check_penalty(regularizer, problem, x);
  check_written(problem, call);
  return call_isolated([&](const DefaultFloatEnvironment& environment) {
    const Questions questions(&environment);
    return run(plan_of(regularizer, problem, call), call, environment);
  });
}

double run(const OrthogonalRegularizer& regularizer, Task task, double scale, const ConstView& x,
           VectorRange range, const View* written, Workspace* workspace) {
  const Call call(workspace);
  check(regularizer, task, x, scale);
  check_range(range, count_of_vectors(x, regularizer.mode));
  const ConstView slice = slice_of(x, regularizer.mode, range);
  Problem problem = make_problem(task, scale, slice, written, {}, call);
  check_written(problem, call);
  check_apart(problem, x, call);
  problem.x = &x;
  return call_isolated([&](const DefaultFloatEnvironment& environment) {
    const Questions questions(&environment);
    return run(make_plan(regularizer, range, problem, call), call, environment);
  });
}

}  // namespace

double value(const Regularizer& regularizer, const ConstView& x, Workspace* workspace) {
  return run(regularizer, Task::kValue, 1, x, nullptr, workspace);
}

double accumulate_grad(const Regularizer& regularizer, const ConstView& x, const View& gradient,
                       double scale, Workspace* workspace) {
  return run(regularizer, Task::kAccumulate, scale, x, &gradient, workspace);
}

double value_and_grad(const Regularizer& regularizer, const ConstView& x, const View& gradient,
                      double scale, Workspace* workspace) {
  return run(regularizer, Task::kOverwrite, scale, x, &gradient, workspace);
}

void prox(const Regularizer& regularizer, const View& x, double step) {
  check_step(step);
  run(regularizer, Task::kProx, step, x, &x, nullptr);
}

double value(const OrthogonalRegularizer& regularizer, const ConstView& x, VectorRange range,
             Workspace* workspace) {
  return run(regularizer, Task::kValue, 1, x, range, nullptr, workspace);
}

double accumulate_grad(const OrthogonalRegularizer& regularizer, const ConstView& x,
                       VectorRange range, const View& gradient, double scale,
                       Workspace* workspace) {
  return run(regularizer, Task::kAccumulate, scale, x, range, &gradient, workspace);
}

double value_and_grad(const OrthogonalRegularizer& regularizer, const ConstView& x,
                      VectorRange range, const View& gradient, double scale, Workspace* workspace) {
  return run(regularizer, Task::kOverwrite, scale, x, range, &gradient, workspace);
}

}  // namespace taut
