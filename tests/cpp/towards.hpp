// Weights with a reference and an importance, what the core makes of them, and what it should.

#ifndef TAUT_TESTS_TOWARDS_HPP_
#define TAUT_TESTS_TOWARDS_HPP_

#include <cmath>
#include <optional>
#include <string>
#include <taut/taut.hpp>
#include <vector>

#include "catch2.hpp"
#include "numbers.hpp"
#include "reference.hpp"
#include "strided.hpp"

namespace taut_test {

// What an array beside x is stored in.
enum class Kind { kNone, kOwn, kFloat32 };
struct Kinds {
  Kind reference = Kind::kNone;
  Kind importance = Kind::kNone;

  bool are_none() const { return reference == Kind::kNone && importance == Kind::kNone; }
};
constexpr Kinds kEveryKinds[] = {
    {Kind::kOwn, Kind::kNone},        {Kind::kNone, Kind::kOwn},     {Kind::kOwn, Kind::kOwn},
    {Kind::kOwn, Kind::kFloat32},     {Kind::kFloat32, Kind::kNone}, {Kind::kFloat32, Kind::kOwn},
    {Kind::kFloat32, Kind::kFloat32},
};

struct Factors {
  double l1;
  double l2;
};

template <typename T>
std::vector<double> numbers_of_kind(Kind kind, std::size_t count, unsigned seed) {
  return kind == Kind::kFloat32 ? random_numbers<float>(count, seed)
                                : random_numbers<T>(count, seed);
}

template <typename T>
double round_to_kind(Kind kind, double number) {
  return round_to(kind == Kind::kFloat32 ? kFormat<float> : kFormat<T>, number);
}

// A matrix, with zeros and ones in place of what it does not have.
template <typename T>
struct Weights {
  std::size_t rows;
  std::size_t columns;
  Kinds kinds;
  std::vector<double> x;
  std::vector<double> reference;
  std::vector<double> importance;

  static Weights random(std::size_t rows, std::size_t columns, Kinds kinds, unsigned seed = 0) {
    const std::size_t count = rows * columns;
    Weights weights{rows,
                    columns,
                    kinds,
                    random_numbers<T>(count, seed + 1),
                    numbers_of_kind<T>(kinds.reference, count, seed + 3),
                    numbers_of_kind<T>(kinds.importance, count, seed + 4)};
    for (double& number : weights.importance) number = std::abs(number);
    if (kinds.reference == Kind::kNone) weights.reference.assign(count, 0.0);
    if (kinds.importance == Kind::kNone) weights.importance.assign(count, 1.0);
    return weights;
  }
};

// An array beside x, in memory of its own.
template <typename T>
class SideArray {
 public:
  template <typename W>
  SideArray(const W& weights, Kind kind, const std::vector<double>& numbers,
            const Placement& placement) {
    if (kind == Kind::kOwn) own_.emplace(numbers, weights.rows, weights.columns, placement);
    if (kind == Kind::kFloat32) float_.emplace(numbers, weights.rows, weights.columns, placement);
  }
  std::optional<taut::ConstView> view() {
    if (own_) return own_->view();
    if (float_) return float_->view();
    return std::nullopt;
  }

 private:
  std::optional<StridedMatrix<T>> own_;
  std::optional<StridedMatrix<float>> float_;
};

struct Placements {
  Placement x = kPlacements[0];
  Placement gradient = kPlacements[0];
  Placement reference = kPlacements[0];
  Placement importance = kPlacements[0];
};

constexpr double kProxStep = 0.7;

template <typename T, typename G>
struct Results {
  double value;
  double overwritten_value;
  double accumulated_value;
  std::vector<G> overwritten;
  std::vector<G> accumulated;
  std::vector<T> stepped;

  bool operator==(const Results& other) const {
    return same_bits(value, other.value) && same_bits(overwritten_value, other.overwritten_value) &&
           same_bits(accumulated_value, other.accumulated_value) &&
           same_bits(overwritten, other.overwritten) && same_bits(accumulated, other.accumulated) &&
           same_bits(stepped, other.stepped);
  }
};

// What the functions of the batch make of the weights. What is there before the gradient is added
// is random_numbers<G>(size, 7).
template <typename T>
class Computation {
 public:
  Computation(const Weights<T>& weights, const Factors& factors, const Placements& placements)
      : weights_(weights),
        regularizer_(regularizer_of(factors)),
        placements_(placements),
        x_(weights.x, weights.rows, weights.columns, placements.x),
        reference_(weights, weights.kinds.reference, weights.reference, placements.reference),
        importance_(weights, weights.kinds.importance, weights.importance, placements.importance) {}

  double value() {
    const taut::Term terms[] = {{regularizer_, x_.view(), reference_.view(), importance_.view()}};
    return taut::value(terms);
  }
  template <typename G>
  double write(const std::vector<double>& before, double scale, bool accumulates,
               std::vector<G>& gradient) {
    StridedMatrix<G> written(before, weights_.rows, weights_.columns, placements_.gradient);
    const taut::GradientTerm terms[] = {
        {regularizer_, x_.view(), written.view(), reference_.view(), importance_.view()}};
    const double value =
        accumulates ? taut::accumulate_grad(terms, scale) : taut::value_and_grad(terms, scale);
    CHECK(written.has_clean_gaps());
    gradient = written.elements();
    return value;
  }
  std::vector<T> step(double length) {
    StridedMatrix<T> x(weights_.x, weights_.rows, weights_.columns, placements_.x);
    const taut::ProxTerm terms[] = {
        {regularizer_, x.view(), reference_.view(), importance_.view()}};
    taut::prox(terms, length);
    CHECK(x.has_clean_gaps());
    return x.elements();
  }

 private:
  static taut::Regularizer regularizer_of(const Factors& factors) {
    if (factors.l2 == 0) return taut::L1{factors.l1};
    if (factors.l1 == 0) return taut::L2{factors.l2};
    return taut::L1L2{factors.l1, factors.l2};
  }

  const Weights<T>& weights_;
  taut::Regularizer regularizer_;
  Placements placements_;
  StridedMatrix<T> x_;
  SideArray<T> reference_;
  SideArray<T> importance_;
};

template <typename T>
double value_of(const Weights<T>& weights, const Factors& factors) {
  return Computation<T>(weights, factors, {}).value();
}

template <typename T>
std::vector<T> step(const Weights<T>& weights, const Factors& factors, double length) {
  return Computation<T>(weights, factors, {}).step(length);
}

template <typename T, typename G>
Results<T, G> compute(const Weights<T>& weights, const Factors& factors, double scale,
                      const Placements& placements = {}) {
  Computation<T> computation(weights, factors, placements);
  const std::vector<double> before = random_numbers<G>(weights.x.size(), 7);
  const std::vector<double> garbage(weights.x.size(), std::numeric_limits<double>::quiet_NaN());
  Results<T, G> results{};
  results.value = computation.value();
  results.overwritten_value = computation.write(garbage, scale, false, results.overwritten);
  results.accumulated_value = computation.write(before, scale, true, results.accumulated);
  results.stepped = computation.step(kProxStep);
  return results;
}

// Says where `stepped` is not what becomes of x.
template <typename T>
std::string step_error(const Weights<T>& weights, const Factors& factors, Real length,
                       const std::vector<T>& stepped) {
  Reference expected;
  for (std::size_t i = 0; i < weights.x.size(); ++i) {
    const Real x = weights.x[i];
    const Real to = weights.reference[i];
    const Real weight = weights.importance[i];
    // A term whose factor is 0 is skipped.
    const Real threshold = factors.l1 == 0 ? 0 : length * factors.l1 * weight;
    const Real divisor = factors.l2 == 0 ? 1 : 1 + 2 * length * factors.l2 * weight;
    const Real left = std::abs(x - to) - threshold;
    Real exact = left <= 0 && threshold > 0 ? to : to + std::copysign(left, x - to) / divisor;
    // What is not moved stays where it is, whatever it is not moved to.
    if (threshold == 0 && divisor == 1) exact = x;
    expected.gradient.push_back(exact);
    expected.gradient_tolerance.push_back(
        4 * kRoundoff64 * (std::abs(x) + std::abs(to) + threshold + std::abs(exact)) + kSmallest64);
  }
  return gradient_error(expected, 1, {}, stepped);
}

template <typename T, typename G>
void check_towards(const Weights<T>& weights, const Factors& factors,
                   const Placements& placements = {}) {
  const Reference reference =
      elementwise_towards(weights.x, weights.reference, weights.importance, factors.l1, factors.l2);
  INFO(weights.rows << " x " << weights.columns << ", l1 " << factors.l1 << ", l2 " << factors.l2
                    << ", reference " << static_cast<int>(weights.kinds.reference)
                    << ", importance " << static_cast<int>(weights.kinds.importance));
  const std::vector<double> before = random_numbers<G>(weights.x.size(), 7);
  for (const double scale : {1.0, -0.7}) {
    const Results<T, G> results = compute<T, G>(weights, factors, scale, placements);
    CHECK(is_close(results.value, reference.value, reference.value_tolerance, kFormat<double>));
    CHECK(same_bits(results.overwritten_value, results.value));
    CHECK(same_bits(results.accumulated_value, results.value));
    CHECK(gradient_error(reference, scale, {}, results.overwritten) == "");
    CHECK(gradient_error(reference, scale, before, results.accumulated) == "");
    CHECK(step_error(weights, factors, kProxStep, results.stepped) == "");
  }
}

}  // namespace taut_test

#endif  // TAUT_TESTS_TOWARDS_HPP_
