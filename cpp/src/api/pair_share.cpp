#include "taut/pair_share.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <string>

#include "api/problems.hpp"
#include "plans/gram_share.hpp"
#include "plans/pair_words.hpp"
#include "plans/registry.hpp"
#include "plans/vectors.hpp"
#include "run/executor.hpp"
#include "run/float_environment.hpp"
#include "run/stop.hpp"
#include "taut/error.hpp"
#include "views/overlap.hpp"

namespace taut {
namespace {

bool has_no_pairs(const OrthogonalRegularizer& regularizer, const ConstView& x) {
  const bool is_off =
      call_isolated([&](const DefaultFloatEnvironment&) { return regularizer.factor == 0; });
  return is_off || count_of_vectors(x, regularizer.mode) < 2 ||
         length_of_vectors(x, regularizer.mode) == 0;
}

// The rows of so many of the vectors.
std::size_t word_bytes(std::size_t rows, std::size_t vectors, std::size_t shares, DType dtype) {
  return rows * pair_words(vectors, shares, dtype) * sizeof(PairWord);
}

Bytes measures_of(const double* measures, std::size_t vectors) {
  return {measures, vectors * kPairMeasures * sizeof(double)};
}

void require_apart(const Strided& a, const Strided& b, const char* message, const Call& call) {
  CallEffort effort(call);
  if (overlap(a, b, effort)) throw InvalidArgument(message);
}

// What is written overlaps neither itself nor x.
void check_signs(const PairSigns& signs, std::size_t vectors, PairShare share,
                 const Problem& problem, const Call& call) {
  const Bytes words{signs.words, word_bytes(vectors, vectors, share.count, problem.dtype)};
  const Bytes measures = measures_of(signs.measures, vectors);
  require_apart(words.strided(), measures.strided(),
                "The words and the measures of signs must not overlap: they share memory", call);
  if (problem.layout.size == 0) return;
  for (const Bytes& written : {words, measures}) {
    require_apart(written.strided(), problem.layout.strided(0),
                  "The signs must not overlap the input: they share memory", call);
  }
}

// The gradient overlaps nothing of what is read beside x.
void check_apart_from_signs(const Problem& problem, const ReceivedSigns& signs, std::size_t rows,
                            std::size_t vectors, const Call& call) {
  const std::array<std::size_t, 2> extents{signs.count,
                                           word_bytes(rows, vectors, signs.count, problem.dtype)};
  const std::array<std::ptrdiff_t, 2> strides{
      static_cast<std::ptrdiff_t>(signs.stride * sizeof(PairWord)), 1};
  const Bytes measures = measures_of(signs.measures, vectors);
  for (const Strided& read : {Strided{signs.words, 1, extents, strides}, measures.strided()}) {
    require_apart(problem.layout.strided(1), read,
                  "The gradient must not overlap the signs: they share memory", call);
  }
}

void clear(const PairSigns& signs, std::size_t vectors, PairShare share, DType dtype) {
  // Of no vectors there may be no memory either.
  std::fill_n(signs.words, word_bytes(vectors, vectors, share.count, dtype), std::byte{0});
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
  const std::size_t vectors = count_of_vectors(x, regularizer.mode);
  const Problem problem = make_problem(Task::kValue, 1, x, nullptr, {}, call);
  if (signs != nullptr) check_signs(*signs, vectors, share, problem, call);
  if (has_no_pairs(regularizer, x)) {
    if (signs != nullptr) clear(*signs, vectors, share, x.dtype());
    return 0;
  }
  return call_isolated([&](const DefaultFloatEnvironment& environment) {
    const Questions questions(&environment);
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
  const std::size_t vectors = count_of_vectors(x, regularizer.mode);
  check_range(range, vectors);
  check_share({0, signs.count});
  const ConstView slice = slice_of(x, regularizer.mode, range);
  Problem problem = make_problem(Task::kOverwrite, scale, slice, &gradient, {}, call);
  check_written(problem, call);
  check_apart(problem, x, call);
  problem.x = &x;
  const bool is_zero = has_no_pairs(regularizer, x) || range.begin == range.end;
  if (!is_zero) check_apart_from_signs(problem, signs, range.end - range.begin, vectors, call);
  call_isolated([&](const DefaultFloatEnvironment& environment) {
    const Questions questions(&environment);
    Plan& plan = is_zero ? make_zero_plan(problem, call)
                         : make_slopes_plan(regularizer, range, signs, problem, call);
    return run(plan, call, environment);
  });
}

}  // namespace taut
