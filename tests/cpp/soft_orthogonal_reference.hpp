// Soft orthogonality, straight from its definition, in long double: see reference.hpp.

#ifndef TAUT_TESTS_SOFT_ORTHOGONAL_REFERENCE_HPP_
#define TAUT_TESTS_SOFT_ORTHOGONAL_REFERENCE_HPP_

#include "reference.hpp"

namespace taut_test {

// x holds rows * columns numbers, row by row; `dtype` is what they are stored in. With a factor of
// 1. The value and the gradient are those of WWᵀ; the tolerance knows that where there are more
// vectors than coordinates (without the diagonal: twice as many) WᵀW is computed instead.
class SoftOrthogonalReference {
 public:
  SoftOrthogonalReference(const std::vector<double>& x, std::size_t rows, std::size_t columns,
                          const taut::SoftOrthogonalRegularizer& regularizer, taut::DType dtype)
      : vectors_(regularizer.mode == taut::Mode::kRows ? rows : columns),
        length_(regularizer.mode == taut::Mode::kRows ? columns : rows),
        vector_stride_(regularizer.mode == taut::Mode::kRows ? columns : 1),
        coordinate_stride_(regularizer.mode == taut::Mode::kRows ? 1 : columns),
        diagonal_(regularizer.diagonal),
        compute_(format_of(dtype == taut::DType::kFloat64 ? dtype : taut::DType::kFloat32)),
        x_(x) {
    for (const double number : x) largest_ = std::max(largest_, std::abs(Real{number}));
    set_exact();
    const bool is_tall = vectors_ > length_ && (diagonal_ || vectors_ >= 2 * length_);
    if (is_tall) turn();
    set_tolerance(is_tall && !diagonal_);
  }

  const Reference& result() const { return result_; }

 private:
  std::size_t place(std::size_t vector, std::size_t coordinate) const {
    return vector * vector_stride_ + coordinate * coordinate_stride_;
  }
  Real at(std::size_t vector, std::size_t coordinate) const {
    return x_[place(vector, coordinate)];
  }
  // The coordinates in which a vector is not 0: to the others, nothing is to be added.
  std::vector<std::size_t> coordinates() const {
    std::vector<std::size_t> coordinates;
    for (std::size_t k = 0; k < length_; ++k) {
      bool any = false;
      for (std::size_t i = 0; i < vectors_ && !any; ++i) any = at(i, k) != 0;
      if (any) coordinates.push_back(k);
    }
    return coordinates;
  }
  void turn() {
    std::swap(vectors_, length_);
    std::swap(vector_stride_, coordinate_stride_);
  }

  void set_exact() {
    result_.gradient.assign(x_.size(), 0);
    const std::vector<std::size_t> coordinates = this->coordinates();
    for (std::size_t i = 0; i < vectors_; ++i) {
      for (std::size_t j = 0; j < vectors_; ++j) {
        if (i == j && !diagonal_) continue;
        Real h = i == j ? -1 : 0;
        for (const std::size_t k : coordinates) h += at(i, k) * at(j, k);
        result_.value += h * h;
        for (const std::size_t k : coordinates) result_.gradient[place(i, k)] += 4 * h * at(j, k);
      }
    }
  }

  // Of what is computed: H V, and squared norms times V where they are subtracted.
  void set_tolerance(bool subtracts_norms) {
    result_.gradient_tolerance.assign(x_.size(), 0);
    const Real roundoff = compute_.roundoff();
    const auto length = static_cast<Real>(length_);
    const auto vectors = static_cast<Real>(vectors_);
    // Chains of up to 128 rounded multiply-adds, up to 32 of which are added: the rest is float64.
    const Real additions = std::min(length, Real{128} + 32);
    // What vanishes: below the range, or beside the largest number when all have been scaled.
    const Real beside = std::ldexp(largest_, compute_.min_exponent);
    const Real vanished = static_cast<Real>(compute_.smallest()) + beside * largest_ * largest_;
    const Real lost = length * (static_cast<Real>(compute_.smallest()) + 2 * beside * largest_);
    const std::vector<std::size_t> coordinates = this->coordinates();
    Real squares = 0;
    for (std::size_t i = 0; i < vectors_; ++i) {
      for (std::size_t j = 0; j < vectors_; ++j) {
        if (i == j && !diagonal_ && !subtracts_norms) continue;
        Real h = i == j && diagonal_ ? -1 : 0;
        Real absolute = -h;
        for (const std::size_t k : coordinates) {
          h += at(i, k) * at(j, k);
          absolute += std::abs(at(i, k) * at(j, k));
        }
        const Real bound = (additions + 8) * roundoff * absolute + lost;
        squares += h * h;
        result_.value_tolerance += 2 * std::abs(h) * bound + bound * bound;
        const Real slack = 4 * (bound + (vectors + 8) * roundoff * std::abs(h));
        for (const std::size_t k : coordinates) {
          result_.gradient_tolerance[place(i, k)] +=
              slack * std::abs(at(j, k)) + 4 * vanished + 4 * std::abs(h) * beside;
        }
      }
    }
    for (std::size_t k = 0; subtracts_norms && k < length_; ++k) {
      Real norm = 0;
      for (std::size_t i = 0; i < vectors_; ++i) norm += at(i, k) * at(i, k);
      squares += norm * norm;
      for (std::size_t i = 0; i < vectors_; ++i) {
        result_.gradient_tolerance[place(i, k)] += 16 * roundoff * norm * std::abs(at(i, k));
      }
    }
    const Real sums = (16 * vectors + length + 8) * kRoundoff64;
    result_.value_tolerance += sums * (squares + result_.value) + 4 * kSmallest64;
  }

  std::size_t vectors_;
  std::size_t length_;
  std::size_t vector_stride_;
  std::size_t coordinate_stride_;
  bool diagonal_;
  Format compute_;
  const std::vector<double>& x_;
  Real largest_ = 0;
  Reference result_;
};

inline Reference soft_orthogonal(const std::vector<double>& x, std::size_t rows,
                                 std::size_t columns,
                                 const taut::SoftOrthogonalRegularizer& regularizer,
                                 taut::DType dtype) {
  return SoftOrthogonalReference(x, rows, columns, regularizer, dtype).result();
}

}  // namespace taut_test

#endif  // TAUT_TESTS_SOFT_ORTHOGONAL_REFERENCE_HPP_
