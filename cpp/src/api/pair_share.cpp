#include "taut/pair_share.hpp"

#include <algorithm>
#include <span>
#include <string>

#include "api/problems.hpp"
#include "plans/gram_share.hpp"
#include "plans/pair_words.hpp"
#include "plans/registry.hpp"
#include "plans/vectors.hpp"
#include "run/executor.hpp"
#include "run/float_environment.hpp"
#include "taut/error.hpp"

namespace taut {
namespace {

bool has_no_pairs(const OrthogonalRegularizer& regularizer, const ConstView& x) {
  return regularizer.factor == 0 || count_of_vectors(x, regularizer.mode) < 2 ||
         length_of_vectors(x, regularizer.mode) == 0;
}

void clear(const PairSigns& signs, std::size_t vectors, PairShare share, DType dtype) {
  // Of no vectors there may be no memory either.
  const std::size_t words = vectors * pair_words(vectors, share.count, dtype);
  std::fill_n(signs.words, words * sizeof(PairWord), std::byte{0});
  std::fill_n(signs.measures, vectors * kPairMeasures, 0.0);
}

void check_share(PairShare share) {
  if (share.index < share.count) return;
  throw InvalidArgument("Expected one of " + std::to_string(share.count) +
                        " shares. Received: " + std::to_string(share.index));
}

double run(Plan& plan, const Call& call, const DefaultFloatEnvironment& environment) {
  Plan* const only = &plan;
  Executor(std::span(&only, 1), call.arena()).run(environment);
  return plan.combine();
}

double run(const OrthogonalRegularizer& regularizer, const ConstView& x, PairShare share,
           const PairSigns* signs, Workspace* workspace) {
  const Call call(workspace);
  check(regularizer, Task::kValue, x, 1);
  check_share(share);
  if (has_no_pairs(regularizer, x)) {
    if (signs != nullptr) clear(*signs, count_of_vectors(x, regularizer.mode), share, x.dtype());
    return 0;
  }
  const Problem problem = make_problem(Task::kValue, 1, x, nullptr, {}, call);
  return call_isolated([&](const DefaultFloatEnvironment& environment) {
    return run(make_pairs_plan(regularizer, share, signs, problem, call), call, environment);
  });
}

}  // namespace

std::size_t pair_words(std::size_t vectors, std::size_t shares, DType dtype) {
  check_share({0, shares});
  const std::size_t compute_size = dtype == DType::kFloat64 ? sizeof(double) : sizeof(float);
  return PairWords(vectors, shares, compute_size).row_size();
}

double value(const OrthogonalRegularizer& regularizer, const ConstView& x, PairShare share,
             Workspace* workspace) {
  return run(regularizer, x, share, nullptr, workspace);
}

double value_and_signs(const OrthogonalRegularizer& regularizer, const ConstView& x,
                       PairShare share, const PairSigns& signs, Workspace* workspace) {
  return run(regularizer, x, share, &signs, workspace);
}

void grad_from_signs(const OrthogonalRegularizer& regularizer, const ConstView& x,
                     VectorRange range, const ReceivedSigns& signs, const View& gradient,
                     double scale, Workspace* workspace) {
  const Call call(workspace);
  check(regularizer, Task::kOverwrite, x, scale);
  check_range(range, count_of_vectors(x, regularizer.mode));
  check_share({0, signs.count});
  const ConstView slice = slice_of(x, regularizer.mode, range);
  Problem problem = make_problem(Task::kOverwrite, scale, slice, &gradient, {}, call);
  check_written(problem, call);
  check_apart(problem, x, call);
  problem.x = &x;
  const bool is_zero = has_no_pairs(regularizer, x) || range.begin == range.end;
  call_isolated([&](const DefaultFloatEnvironment& environment) {
    Plan& plan = is_zero ? make_zero_plan(problem, call)
                         : make_slopes_plan(regularizer, range, signs, problem, call);
    return run(plan, call, environment);
  });
}

}  // namespace taut
