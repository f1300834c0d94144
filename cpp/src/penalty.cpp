#include "taut/penalty.hpp"

#include "check.hpp"
#include "elementwise.hpp"
#include "float_environment.hpp"
#include "gram.hpp"
#include "overloaded.hpp"

namespace taut {
namespace {

double evaluate(const Regularizer& regularizer, const ConstView& x, Workspace* workspace) {
  return std::visit(Overloaded{
                        [&](const OrthogonalRegularizer& r) { return gram_value(r, x, workspace); },
                        [&](const auto& r) { return elementwise_value(factors_of(r), x); },
                    },
                    regularizer);
}

double differentiate(const Regularizer& regularizer, const ConstView& x, const View& gradient,
                     double scale, bool accumulate, Workspace* workspace) {
  check_penalty(regularizer, x);
  check_gradient(x, gradient);
  return call_isolated([&] {
    return std::visit(Overloaded{
                          [&](const OrthogonalRegularizer& r) {
                            return gram_gradient(r, x, gradient, scale, accumulate, workspace);
                          },
                          [&](const auto& r) {
                            return elementwise_gradient(factors_of(r), x, gradient, scale,
                                                        accumulate);
                          },
                      },
                      regularizer);
  });
}

}  // namespace

double value(const Regularizer& regularizer, const ConstView& x, Workspace* workspace) {
  check_penalty(regularizer, x);
  return call_isolated([&] { return evaluate(regularizer, x, workspace); });
}

double accumulate_grad(const Regularizer& regularizer, const ConstView& x, const View& gradient,
                       double scale, Workspace* workspace) {
  return differentiate(regularizer, x, gradient, scale, true, workspace);
}

double value_and_grad(const Regularizer& regularizer, const ConstView& x, const View& gradient,
                      double scale, Workspace* workspace) {
  return differentiate(regularizer, x, gradient, scale, false, workspace);
}

void prox(const Regularizer& regularizer, const View& x, double step) {
  check_step(step);
  check_prox(regularizer, x, step);
  call_isolated([&] {
    std::visit(Overloaded{
                   [](const OrthogonalRegularizer&) {},  // refused above
                   [&](const auto& r) { elementwise_prox(factors_of(r), x, step); },
               },
               regularizer);
  });
}

}  // namespace taut
