// The slow reference that all tests share, straight from the formulas, in long double; and what a
// result may differ from it by.

#ifndef TAUT_TESTS_REFERENCE_HPP_
#define TAUT_TESTS_REFERENCE_HPP_

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <sstream>
#include <string>
#include <taut/taut.hpp>
#include <vector>

#include "numbers.hpp"

namespace taut_test {

using Real = long double;

constexpr Real kRoundoff64 = 0x1p-53L;
constexpr Real kSmallest64 = std::numeric_limits<double>::denorm_min();

// A penalty and its gradient, with the tolerance of each before the gradient is scaled and rounded
// to its dtype.
struct Reference {
  Real value = 0;
  Real value_tolerance = 0;
  std::vector<Real> gradient;
  std::vector<Real> gradient_tolerance;
};

inline Real sign(Real x) { return x > 0 ? 1 : x < 0 ? -1 : x; }

// Towards a reference, and with an importance for each element.
inline Reference elementwise_towards(const std::vector<double>& x,
                                     const std::vector<double>& towards,
                                     const std::vector<double>& importance, double l1, double l2) {
  Reference reference;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const Real weight = importance[i];
    const Real number = static_cast<Real>(x[i]) - static_cast<Real>(towards[i]);
    Real gradient = 0;
    if (l1 != 0) {
      reference.value += l1 * weight * std::abs(number);
      gradient += l1 * weight * sign(number);
    }
    if (l2 != 0) {
      reference.value += l2 * weight * number * number;
      gradient += 2 * static_cast<Real>(l2) * weight * number;
    }
    reference.gradient.push_back(gradient);
    // Both terms have the sign of the difference, so none cancels; that is rounded, each term is a
    // product or three, of which the first may be subnormal, and there is a sum.
    reference.gradient_tolerance.push_back(8 * kRoundoff64 * std::abs(gradient) +
                                           (1 + 2 * static_cast<Real>(l2)) * kSmallest64);
  }
  // A chain of additions of positive numbers, each of them a product of three.
  reference.value_tolerance =
      (static_cast<Real>(x.size()) + 12) * kRoundoff64 * reference.value + 2 * kSmallest64;
  return reference;
}

inline Reference elementwise(const std::vector<double>& x, double l1, double l2) {
  Reference reference;
  for (const Real number : x) {
    Real gradient = 0;
    if (l1 != 0) {
      reference.value += l1 * std::abs(number);
      gradient += l1 * sign(number);
    }
    if (l2 != 0) {
      reference.value += l2 * number * number;
      gradient += 2 * static_cast<Real>(l2) * number;
    }
    reference.gradient.push_back(gradient);
    // Both terms have the sign of x, so none cancels; each is a product or two, and there is a sum.
    reference.gradient_tolerance.push_back(4 * kRoundoff64 * std::abs(gradient));
  }
  // A chain of additions of positive numbers, each a product.
  reference.value_tolerance =
      (static_cast<Real>(x.size()) + 8) * kRoundoff64 * reference.value + 2 * kSmallest64;
  return reference;
}

// Of a matrix of rows * columns numbers, row by row, with a factor of 1.
inline Reference group_lasso(const std::vector<double>& x, std::size_t rows, std::size_t columns,
                             taut::Mode mode) {
  const bool by_rows = mode == taut::Mode::kRows;
  const std::size_t groups = by_rows ? rows : columns;
  const std::size_t members = by_rows ? columns : rows;
  const auto at = [&](std::size_t group, std::size_t member) {
    return by_rows ? group * columns + member : member * columns + group;
  };
  const Real root = std::sqrt(static_cast<Real>(members));
  // A chain of additions of squares, and then a root.
  const Real roundings = static_cast<Real>(members) / 2 + 8;
  Reference reference;
  reference.gradient.resize(x.size());
  reference.gradient_tolerance.resize(x.size());
  for (std::size_t group = 0; group < groups; ++group) {
    Real squares = 0;
    for (std::size_t member = 0; member < members; ++member) {
      const Real number = x[at(group, member)];
      squares += number * number;
    }
    const Real norm = std::sqrt(squares);
    reference.value += root * norm;
    for (std::size_t member = 0; member < members; ++member) {
      const Real number = x[at(group, member)];
      const Real unit = members == 1 ? sign(number) : norm == 0 ? 0 : number / norm;
      reference.gradient[at(group, member)] = root * unit;
      reference.gradient_tolerance[at(group, member)] =
          roundings * kRoundoff64 * std::abs(root * unit);
    }
  }
  reference.value_tolerance =
      (roundings + static_cast<Real>(groups)) * kRoundoff64 * reference.value + 2 * kSmallest64;
  return reference;
}

// x holds rows * columns numbers, row by row; `dtype` is what they are stored in.
class GramReference {
 public:
  GramReference(const std::vector<double>& x, std::size_t rows, std::size_t columns,
                taut::Mode mode, taut::DType dtype)
      : vectors_(mode == taut::Mode::kRows ? rows : columns),
        length_(mode == taut::Mode::kRows ? columns : rows),
        vector_stride_(mode == taut::Mode::kRows ? columns : 1),
        coordinate_stride_(mode == taut::Mode::kRows ? 1 : columns),
        // Dot products of the half types are computed in float32.
        compute_(format_of(dtype == taut::DType::kFloat64 ? dtype : taut::DType::kFloat32)) {
    result_.gradient.assign(x.size(), 0);
    result_.gradient_tolerance.assign(x.size(), 0);
    if (vectors_ < 2 || length_ == 0) return;
    normalize(x);
    add_pairs();
    for (std::size_t i = 0; i < vectors_; ++i) differentiate(i);
  }

  // With a factor of 1.
  const Reference& result() const { return result_; }

  // A range of the vectors: half of what their pairs add to the value, and their own gradients, in
  // the order of a matrix of these vectors alone.
  Reference part(taut::VectorRange range) const {
    Reference part;
    const std::size_t vectors = range.end - range.begin;
    part.gradient.resize(vectors * length_);
    part.gradient_tolerance.resize(vectors * length_);
    const bool by_rows = coordinate_stride_ == 1;
    for (std::size_t i = 0; i < vectors && pairs() > 0; ++i) {
      part.value += cosines_[range.begin + i] / pairs() / 2;
      part.value_tolerance += cosine_bounds_[range.begin + i] / pairs() / 2;
      for (std::size_t k = 0; k < length_; ++k) {
        const std::size_t from = (range.begin + i) * vector_stride_ + k * coordinate_stride_;
        const std::size_t to = by_rows ? i * length_ + k : k * vectors + i;
        part.gradient[to] = result_.gradient[from];
        part.gradient_tolerance[to] = result_.gradient_tolerance[from];
      }
    }
    part.value_tolerance += value_roundings() * part.value + 4 * kSmallest64;
    return part;
  }

 private:
  std::size_t at(std::size_t vector, std::size_t coordinate) const {
    return vector * length_ + coordinate;
  }
  Real value_roundings() const { return 16 * static_cast<Real>(vectors_) * kRoundoff64; }
  Real pairs() const { return static_cast<Real>(vectors_) * static_cast<Real>(vectors_ - 1) / 2; }
  Real roundoff() const { return compute_.roundoff(); }
  Real smallest() const { return compute_.smallest(); }

  void normalize(const std::vector<double>& x) {
    for (std::size_t i = 0; i < vectors_; ++i) {
      Real square = 0;
      for (std::size_t k = 0; k < length_; ++k) {
        raw_.push_back(x[i * vector_stride_ + k * coordinate_stride_]);
        square += raw_.back() * raw_.back();
      }
      clamped_.push_back(std::sqrt(square) < 1e-7L);
      denominators_.push_back(clamped_[i] ? 1e-7L : std::sqrt(square));
      for (std::size_t k = 0; k < length_; ++k) {
        units_.push_back(raw_[at(i, k)] / denominators_[i]);
      }
    }
    cosines_.assign(vectors_, 0);
    cosine_bounds_.assign(vectors_, 0);
    slopes_.assign(units_.size(), 0);
    slope_bounds_.assign(units_.size(), 0);
  }

  void add_pairs() {
    for (std::size_t i = 0; i < vectors_; ++i) {
      for (std::size_t j = i + 1; j < vectors_; ++j) add_pair(i, j);
    }
    result_.value /= pairs();
    result_.value_tolerance =
        result_.value_tolerance / pairs() + value_roundings() * result_.value + 4 * kSmallest64;
  }

  void add_pair(std::size_t i, std::size_t j) {
    Real dot = 0;  // of the stored numbers
    Real absolute = 0;
    for (std::size_t k = 0; k < length_; ++k) {
      const Real product = raw_[at(i, k)] * raw_[at(j, k)];
      dot += product;
      absolute += std::abs(product);
    }
    const Real norms = denominators_[i] * denominators_[j];
    // A chain of `length` rounded additions, and the rounding of what is added.
    const Real bound = (static_cast<Real>(length_) + 8) * roundoff() * absolute / norms;
    result_.value += std::abs(dot) / norms;
    result_.value_tolerance += bound;
    for (const std::size_t vector : {i, j}) {
      cosines_[vector] += std::abs(dot) / norms;
      cosine_bounds_[vector] += bound;
    }

    const Real pair_sign = sign(dot);
    if (dot == 0) return;
    // A sign within rounding of the other one may turn by two. Every addition is rounded.
    const Real turn = std::abs(dot) / norms <= bound ? 2 : 0;
    const Real slack = turn + (static_cast<Real>(vectors_) + 8) * roundoff();
    for (std::size_t k = 0; k < length_; ++k) {
      const Real a = units_[at(i, k)];
      const Real b = units_[at(j, k)];
      slopes_[at(i, k)] += pair_sign * b;
      slopes_[at(j, k)] += pair_sign * a;
      slope_bounds_[at(i, k)] += slack * std::abs(b) + smallest();
      slope_bounds_[at(j, k)] += slack * std::abs(a) + smallest();
    }
  }

  // From the slope with respect to x̂ to the one with respect to x.
  void differentiate(std::size_t i) {
    Real along = 0;
    Real along_bound = 0;
    for (std::size_t k = 0; k < length_ && !clamped_[i]; ++k) {
      along += units_[at(i, k)] * slopes_[at(i, k)];
      along_bound += std::abs(units_[at(i, k)]) * slope_bounds_[at(i, k)];
    }
    for (std::size_t k = 0; k < length_; ++k) {
      const Real unit = units_[at(i, k)];
      const Real gradient = slopes_[at(i, k)] - unit * along;
      const Real bound = slope_bounds_[at(i, k)] + std::abs(unit) * along_bound +
                         8 * roundoff() * std::abs(unit * along);
      const std::size_t place = i * vector_stride_ + k * coordinate_stride_;
      result_.gradient[place] = gradient / denominators_[i] / pairs();
      result_.gradient_tolerance[place] = bound / denominators_[i] / pairs();
    }
  }

  std::size_t vectors_;
  std::size_t length_;
  std::size_t vector_stride_;
  std::size_t coordinate_stride_;
  Format compute_;
  Reference result_;
  std::vector<Real> raw_;
  std::vector<Real> units_;
  std::vector<Real> denominators_;
  std::vector<bool> clamped_;
  std::vector<Real> cosines_;  // Σ |cosine| of each vector's pairs
  std::vector<Real> cosine_bounds_;
  std::vector<Real> slopes_;  // with respect to x̂
  std::vector<Real> slope_bounds_;
};

inline Reference gram(const std::vector<double>& x, std::size_t rows, std::size_t columns,
                      taut::Mode mode, taut::DType dtype) {
  return GramReference(x, rows, columns, mode, dtype).result();
}

// Whether a computed number is within `tolerance` of the exact one: NaN for NaN, Inf for Inf, and
// Inf too where the exact number rounds to it.
inline bool is_close(double computed, Real exact, Real tolerance, const Format& format) {
  if (std::isnan(exact)) return std::isnan(computed);
  if (!std::isfinite(exact)) return static_cast<Real>(computed) == exact;
  if (std::isinf(computed)) {
    const Real overflow = static_cast<Real>(format.largest()) * (1 + format.roundoff() / 2);
    return (computed > 0 ? exact : -exact) + tolerance >= overflow;
  }
  return std::abs(static_cast<Real>(computed) - exact) <= tolerance;
}

// Says where a gradient is not before + scale * reference.gradient, rounded once to G; an empty
// text if it is everywhere. `before` is empty where the gradient was overwritten.
template <typename G>
std::string gradient_error(const Reference& reference, Real scale,
                           const std::vector<double>& before, const std::vector<G>& computed) {
  constexpr Format format = kFormat<G>;
  if (computed.size() != reference.gradient.size()) return "the sizes differ";
  for (std::size_t i = 0; i < computed.size(); ++i) {
    const Real term = scale == 0 ? 0 : scale * reference.gradient[i];
    const Real start = before.empty() ? 0 : static_cast<Real>(before[i]);
    const Real exact = start + term;
    const Real in_float64 = std::abs(scale) * reference.gradient_tolerance[i] +
                            4 * kRoundoff64 * (std::abs(start) + std::abs(term));
    const Real rounding = (1 + 0x1p-6L) * (std::abs(exact) * static_cast<Real>(format.roundoff()) +
                                           static_cast<Real>(format.smallest()) / 2);
    if (is_close(to_double(computed[i]), exact, in_float64 + rounding, format)) continue;
    std::ostringstream text;
    text.precision(17);
    text << "element " << i << " is " << to_double(computed[i]) << " and not " << exact << " +- "
         << in_float64 + rounding;
    return text.str();
  }
  return "";
}

}  // namespace taut_test

#endif  // TAUT_TESTS_REFERENCE_HPP_
