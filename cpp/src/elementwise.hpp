// The elementwise penalties over a whole array, as work that can be shared out in pieces.

#ifndef TAUT_ELEMENTWISE_HPP_
#define TAUT_ELEMENTWISE_HPP_

#include "kernels/kernels.hpp"
#include "layout.hpp"
#include "taut/regularizers.hpp"
#include "taut/view.hpp"

namespace taut {

// l1 * Σ|x| + l2 * Σx², where a factor of 0 leaves its term out.
struct ElementwiseFactors {
  double l1;
  double l2;
};

inline ElementwiseFactors factors_of(const L1& regularizer) { return {regularizer.l1, 0}; }
inline ElementwiseFactors factors_of(const L2& regularizer) { return {0, regularizer.l2}; }
inline ElementwiseFactors factors_of(const L1L2& regularizer) {
  return {regularizer.l1, regularizer.l2};
}

// An array is cut by its size alone: whole blocks, and few enough pieces that their sums fit on the
// stack. So what the sums add up to does not depend on who computes them.
constexpr std::size_t kMostPieces = 1024;
struct Pieces {
  std::size_t size;   // elements
  std::size_t piece;  // elements of each, but for the last
  std::size_t count;

  explicit Pieces(std::size_t elements);
  std::size_t begin(std::size_t index) const { return index * piece; }
  std::size_t end(std::size_t index) const {
    return size < (index + 1) * piece ? size : (index + 1) * piece;
  }
};

// Each kind of work has run(begin, end), which does the elements [begin, end) in the order of the
// layout, and may be called from any thread; and the nanoseconds that an element takes. The views
// have been checked, and no factor is 0 that `terms` wants.

class ElementwiseValue {
 public:
  static constexpr double kNanoseconds = 0.3;

  ElementwiseValue(const ElementwiseFactors& factors, const ConstView& x);
  ElementwiseSums run(std::size_t begin, std::size_t end) const;

 private:
  SumFunction sum_;
  Layout<1> layout_;
};

// gradient (+)= scale * (l1 * sign(x) + 2 * l2 * x); the sums are those of ElementwiseValue.
class ElementwiseGradient {
 public:
  static constexpr double kNanoseconds = 0.6;

  ElementwiseGradient(const ElementwiseFactors& factors, const ConstView& x, const View& gradient,
                      double scale, bool accumulate);
  ElementwiseSums run(std::size_t begin, std::size_t end) const;

 private:
  SlopeFunction write_;
  ElementwiseSlopes slopes_;
  bool accumulate_;
  Layout<2> layout_;
};

// x = argmin over y of penalty(y) * step + |y - x|² / 2; the sums are 0.
class ElementwiseProx {
 public:
  static constexpr double kNanoseconds = 0.6;

  ElementwiseProx(const ElementwiseFactors& factors, const View& x, double step);
  ElementwiseSums run(std::size_t begin, std::size_t end) const;

 private:
  ShrinkFunction shrink_;
  ElementwiseShrinkage shrinkage_;
  Layout<1> layout_;
};

// The penalty from the sums of all pieces, which are added in a fixed tree and not kept.
double combine(const ElementwiseFactors& factors, ElementwiseSums* sums, std::size_t count);

// Whether there is nothing to compute.
inline bool is_zero(const ElementwiseFactors& factors) {
  return factors.l1 == 0 && factors.l2 == 0;
}

double elementwise_value(const ElementwiseFactors& factors, const ConstView& x);
double elementwise_gradient(const ElementwiseFactors& factors, const ConstView& x,
                            const View& gradient, double scale, bool accumulate);
void elementwise_prox(const ElementwiseFactors& factors, const View& x, double step);

// Overwrites every element with 0 or NaN.
void fill(const View& view, double zero_or_nan);

}  // namespace taut

#endif  // TAUT_ELEMENTWISE_HPP_
