// The gradient of a half type in float32, where it is certain to be rounded as float64's would be.
//
// An interval around the float32 result holds the float64 one. If both its ends are rounded to the
// same half number then so is everything between them, since rounding is monotonic (Ziv, "Fast
// evaluation of elementary mathematical functions with correctly rounded last bit", 1991). Where
// the ends differ, which is seldom, or might be misjudged, the caller computes in float64.

#ifndef TAUT_KERNELS_ELEMENTWISE_HALF_SLOPE_HPP_
#define TAUT_KERNELS_ELEMENTWISE_HALF_SLOPE_HPP_

#include "kernels/kernels.hpp"
#include "kernels/storage.hpp"

namespace taut::TAUT_LEVEL {
namespace {

// Half the width of the interval, over |result| + |terms|. The factors, the products and the sums
// are rounded to float32 four times, by 2⁻²⁴ each; this is twice that.
constexpr float kHalfSlopeError = 0x1p-21f;

// Below this, what is lost in float32's subnormal numbers would count beside the interval.
constexpr float kHalfSlopeTiny = 0x1p-100f;

[[gnu::always_inline]] inline Floats absolute(Floats x) { return (Floats)((Int32s)x & INT32_MAX); }

// Whether rounding to float32 costs a factor nothing but its last bits.
[[gnu::always_inline]] inline bool fits_float32(double factor) {
  const double magnitude = __builtin_fabs(factor);
  return magnitude == 0 || (magnitude >= 0x1p-126 && magnitude < 0x1p127);
}

// Rounds both ends to the half type; returns in which lanes they are the same.
[[gnu::always_inline]] inline Int32s round_ends(Floats low, Floats high, Halves& rounded, Float16) {
  rounded = narrow(low, Float16{});
  return widen_lanes<Int32s>((Vector<std::int16_t, kPair>)(rounded == narrow(high, Float16{})));
}
[[gnu::always_inline]] inline Int32s round_ends(Floats low, Floats high, Halves& rounded,
                                                BFloat16) {
  // Ties go up, which is right for all else: a tie has its two ends on both sides. The lower half
  // of a NaN's bits is 0, as it came from a BFloat16.
  const UInt32s low_bits = (UInt32s)low + 0x8000;
  const UInt32s high_bits = (UInt32s)high + 0x8000;
  rounded = __builtin_convertvector(low_bits >> 16, Halves);
  return (Int32s)((low_bits ^ high_bits) < 0x10000);
}

template <typename T, unsigned kTerms, bool kAccumulate>
class HalfSlope {
 public:
  explicit HalfSlope(ElementwiseSlopes slopes)
      : sign_(static_cast<float>(slopes.sign)),
        linear_(static_cast<float>(slopes.linear)),
        fits_(fits_float32(slopes.sign) && fits_float32(slopes.linear)) {}

  // The rounded gradient of `x`, added to `before` if it accumulates; false if it is not certain.
  [[gnu::always_inline]] bool round(Floats x, Floats before, Halves& rounded) const {
    Floats result = before;
    Floats size{};  // of all that may have been rounded on the way, or cancelled
    if constexpr (kTerms & kAbsolute) {
      const Int32s sign = (Int32s)x & INT32_MIN;
      const Int32s nonzero = (Int32s)(x != 0);
      const Floats slope = (Floats)((sign ^ (Int32s)broadcast<Floats>(sign_)) & nonzero);
      result = kAccumulate ? result + slope : slope;
      size = absolute(slope);
    }
    if constexpr (kTerms & kSquare) {
      const Floats product = x * linear_;
      result = kAccumulate || kTerms == kBoth ? multiply_add(x, broadcast<Floats>(linear_), result)
                                              : product;
      size = kTerms == kBoth ? size + absolute(product) : absolute(product);
    }
    size += absolute(result);
    const Floats error = broadcast<Floats>(kHalfSlopeError);
    Int32s is_certain = round_ends(multiply_add(size, -error, result),
                                   multiply_add(size, error, result), rounded, T{});
    if constexpr (HalfFormat<T>::kHasFloat32Range) {
      // Nothing is lost where x is 0. (That `size` is 0 does not say so: a product may underflow,
      // and without a fused multiply-add the sum then has another sign of zero.)
      is_certain &= (Int32s)(size >= kHalfSlopeTiny) | (Int32s)(x == 0);
    }
    if constexpr (kTerms == kAbsolute) is_certain &= (Int32s)(x == x);
    return fits_ && mask_bits(is_certain) == (1u << kPair) - 1;
  }

 private:
  float sign_;
  float linear_;
  bool fits_;
};

}  // namespace
}  // namespace taut::TAUT_LEVEL

#endif  // TAUT_KERNELS_ELEMENTWISE_HALF_SLOPE_HPP_
