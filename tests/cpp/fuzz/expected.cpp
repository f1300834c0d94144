#include "expected.hpp"

#include <algorithm>
#include <cmath>
#include <variant>

#include "../soft_orthogonal_reference.hpp"

namespace taut_test {
namespace {

struct Matrix {
  std::size_t rows;
  std::size_t columns;
};

// Rows are the first axis by the rest, columns the rest by the last.
Matrix matrix_of(const Array& x, taut::Mode mode) {
  const auto extent = [](std::ptrdiff_t each) { return static_cast<std::size_t>(each); };
  std::size_t rest = 1;
  const std::size_t own = mode == taut::Mode::kRows ? 0 : x.shape.size() - 1;
  for (std::size_t axis = 0; axis < x.shape.size(); ++axis) {
    if (axis != own) rest *= extent(x.shape[axis]);
  }
  return mode == taut::Mode::kRows ? Matrix{extent(x.shape[own]), rest}
                                   : Matrix{rest, extent(x.shape[own])};
}

struct Factors {
  double l1;
  double l2;
};

std::optional<Factors> elementwise_factors(const taut::Regularizer& regularizer) {
  using Result = std::optional<Factors>;
  return std::visit(Overloaded{[](const taut::L1& r) -> Result { return Factors{r.l1, 0}; },
                               [](const taut::L2& r) -> Result { return Factors{0, r.l2}; },
                               [](const taut::L1L2& r) -> Result { return Factors{r.l1, r.l2}; },
                               [](const auto&) -> Result { return std::nullopt; }},
                    regularizer);
}

// Whether numbers are 0 or of a magnitude for which the tolerances were derived.
bool are_ordinary(const std::vector<double>& numbers, double least, double most) {
  return std::all_of(numbers.begin(), numbers.end(), [&](double number) {
    const double magnitude = std::abs(number);
    return magnitude == 0 || (magnitude >= least && magnitude <= most);
  });
}

Reference reference_of(const taut::OrthogonalRegularizer& r, const Array& x,
                       const std::vector<double>& numbers) {
  const Matrix matrix = matrix_of(x, r.mode);
  return gram(numbers, matrix.rows, matrix.columns, r.mode, x.dtype);
}
Reference reference_of(const taut::SoftOrthogonalRegularizer& r, const Array& x,
                       const std::vector<double>& numbers) {
  const Matrix matrix = matrix_of(x, r.mode);
  return soft_orthogonal(numbers, matrix.rows, matrix.columns, r, x.dtype);
}
Reference reference_of(const taut::GroupLasso& r, const Array& x,
                       const std::vector<double>& numbers) {
  const Matrix matrix = matrix_of(x, r.mode);
  return group_lasso(numbers, matrix.rows, matrix.columns, r.mode);
}

std::vector<double> numbers_or(const std::optional<Array>& side, std::size_t size, double missing,
                               const std::vector<Bytes>& contents) {
  return side ? side->numbers(contents) : std::vector<double>(size, missing);
}

}  // namespace

std::optional<Expected> expected(const Term& term, const std::vector<Bytes>& contents) {
  const std::vector<double> x = term.x.numbers(contents);
  if (const auto factors = elementwise_factors(term.regularizer)) {
    const auto reference = numbers_or(term.reference, x.size(), 0, contents);
    const auto importance = numbers_or(term.importance, x.size(), 1, contents);
    constexpr double kLeast = 1e-290, kMost = 1e290;
    const bool is_negative =
        std::any_of(importance.begin(), importance.end(), [](double each) { return each < 0; });
    if (is_negative || !are_ordinary(x, 0, kMost) || !are_ordinary(reference, 0, kMost) ||
        !are_ordinary(importance, 1e-30, 1e30) ||
        !are_ordinary({factors->l1, factors->l2}, kLeast, 1e10)) {
      return std::nullopt;
    }
    if (!term.has_sides()) return Expected{elementwise(x, factors->l1, factors->l2), 1};
    return Expected{elementwise_towards(x, reference, importance, factors->l1, factors->l2), 1};
  }
  // Dot products of half types are computed in float32.
  const bool is_double = term.x.dtype == taut::DType::kFloat64;
  if (!are_ordinary(x, is_double ? 1e-60 : 1e-9, is_double ? 1e60 : 1e9)) return std::nullopt;
  return std::visit(Overloaded{[](const taut::L1&) -> std::optional<Expected> { return {}; },
                               [](const taut::L2&) -> std::optional<Expected> { return {}; },
                               [](const taut::L1L2&) -> std::optional<Expected> { return {}; },
                               [&](const auto& r) -> std::optional<Expected> {
                                 if (!are_ordinary({r.factor}, 1e-30, 1e30)) return std::nullopt;
                                 return Expected{reference_of(r, term.x, x), r.factor};
                               }},
                    term.regularizer);
}

std::optional<Reference> expected_step(const Term& term, const std::vector<Bytes>& contents,
                                       double step) {
  const std::vector<double> x = term.x.numbers(contents);
  if (!are_ordinary(x, 1e-60, 1e60) || !are_ordinary({step}, 1e-30, 1e30)) return std::nullopt;
  Reference stepped;
  const auto add = [&](Real exact, Real terms) {
    stepped.gradient.push_back(exact);
    stepped.gradient_tolerance.push_back(terms * kRoundoff64 + kSmallest64);
  };
  if (const auto factors = elementwise_factors(term.regularizer)) {
    const auto reference = numbers_or(term.reference, x.size(), 0, contents);
    const auto importance = numbers_or(term.importance, x.size(), 1, contents);
    const bool is_negative =
        std::any_of(importance.begin(), importance.end(), [](double each) { return each < 0; });
    if (is_negative || !are_ordinary(reference, 1e-60, 1e60) ||
        !are_ordinary(importance, 1e-30, 1e30) ||
        !are_ordinary({factors->l1, factors->l2}, 1e-30, 1e30)) {
      return std::nullopt;
    }
    for (std::size_t i = 0; i < x.size(); ++i) {
      const Real to = reference[i];
      const Real weight = importance[i];
      const Real threshold = step * static_cast<Real>(factors->l1) * weight;
      const Real divisor = 1 + 2 * step * static_cast<Real>(factors->l2) * weight;
      const Real left = std::abs(x[i] - to) - threshold;
      Real exact = left <= 0 && threshold > 0 ? to : to + std::copysign(left, x[i] - to) / divisor;
      if (threshold == 0 && divisor == 1) exact = x[i];
      add(exact, 8 * (std::abs(Real{x[i]}) + std::abs(to) + threshold + std::abs(exact)));
    }
    return stepped;
  }
  const auto* lasso = std::get_if<taut::GroupLasso>(&term.regularizer);
  if (lasso == nullptr || !are_ordinary({lasso->factor}, 1e-30, 1e30)) return std::nullopt;
  const Matrix matrix = matrix_of(term.x, lasso->mode);
  const bool by_rows = lasso->mode == taut::Mode::kRows;
  const std::size_t members = by_rows ? matrix.columns : matrix.rows;
  std::vector<Real> norms(by_rows ? matrix.rows : matrix.columns);
  const auto group = [&](std::size_t i) {
    return by_rows ? i / matrix.columns : i % matrix.columns;
  };
  for (std::size_t i = 0; i < x.size(); ++i) norms[group(i)] += Real{x[i]} * x[i];
  const Real threshold =
      step * static_cast<Real>(lasso->factor) * std::sqrt(static_cast<Real>(members));
  for (std::size_t i = 0; i < x.size(); ++i) {
    const Real norm = std::sqrt(norms[group(i)]);
    const Real left = threshold == 0 ? 1 : norm <= threshold ? 0 : 1 - threshold / norm;
    add(x[i] * left, (static_cast<Real>(members) + 16) * std::abs(Real{x[i]}));
  }
  return stepped;
}

bool is_ordinary(double scale) { return are_ordinary({scale}, 1e-30, 1e30); }

std::string error_of(const Reference& reference, Real scale, const std::vector<double>& before,
                     const std::vector<double>& computed, taut::DType dtype) {
  switch (dtype) {
    case taut::DType::kFloat64:
      return gradient_error(reference, scale, before, computed);
    case taut::DType::kFloat32:
      return gradient_error(reference, scale, before, store<float>(computed));
    case taut::DType::kFloat16:
      return gradient_error(reference, scale, before, store<Float16>(computed));
    case taut::DType::kBFloat16:
      break;
  }
  return gradient_error(reference, scale, before, store<BFloat16>(computed));
}

}  // namespace taut_test
