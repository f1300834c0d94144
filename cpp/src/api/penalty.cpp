#include "taut/penalty.hpp"

#include <span>

#include "api/problems.hpp"
#include "run/executor.hpp"
#include "run/float_environment.hpp"
#include "views/check.hpp"

namespace taut {
namespace {

double run(const Regularizer& regularizer, Task task, double scale, const ConstView& x,
           const View* written, Workspace* workspace) {
  const Call call(workspace);
  const Problem problem = make_problem(task, scale, x, written, {}, call);
  check_penalty(regularizer, problem, x);
  check_written(problem, call);
  return call_isolated([&](const DefaultFloatEnvironment& environment) {
    Plan* const plan = &plan_of(regularizer, problem, call);
    // One piece in no need of memory, as a small elementwise penalty is, needs no executor either.
    const Plan::Needs& needs = plan->needs();
    if (needs.phases == 1 && needs.memory + needs.scratch == 0 && plan->phase(0).pieces == 1) {
      plan->run(0, 0, nullptr);
    } else {
      Executor(std::span(&plan, 1), call.arena()).run(environment);
    }
    return plan->combine();
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

}  // namespace taut
