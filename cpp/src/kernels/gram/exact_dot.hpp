// The dot product of two vectors of the caller's matrix, exactly, whatever the range of its terms.
//
// The terms are added as integers, in units of the smallest one that the dtype has, in a
// fixed-point number wide enough for the largest (Kulisch and Miranker, "The arithmetic of the
// digital computer", 1986). It takes some nanoseconds a term: for the few pairs that need it.

#ifndef TAUT_KERNELS_GRAM_EXACT_DOT_HPP_
#define TAUT_KERNELS_GRAM_EXACT_DOT_HPP_

#include "kernels/gram/lines.hpp"

namespace taut::TAUT_LEVEL {
namespace {

// The fields of an IEEE 754 number.
template <typename Storage>
struct NumberFields;
template <>
struct NumberFields<double> {
  using Bits = std::uint64_t;
  static constexpr int kFraction = 52;
  static constexpr int kExponent = 11;
};
template <>
struct NumberFields<float> {
  using Bits = std::uint32_t;
  static constexpr int kFraction = 23;
  static constexpr int kExponent = 8;
};
template <>
struct NumberFields<Float16> {
  using Bits = std::uint16_t;
  static constexpr int kFraction = 10;
  static constexpr int kExponent = 5;
};
template <>
struct NumberFields<BFloat16> {
  using Bits = std::uint16_t;
  static constexpr int kFraction = 7;
  static constexpr int kExponent = 8;
};

// A finite number: ± significand * 2^shift, in units of the smallest subnormal one.
template <typename Storage>
struct WholeNumber {
  using Fields = NumberFields<Storage>;
  static constexpr int kLargestShift = (1 << Fields::kExponent) - 3;
  // log2 of the unit
  static constexpr int kUnit = 2 - (1 << (Fields::kExponent - 1)) - Fields::kFraction;

  std::uint64_t significand;
  std::size_t shift;
  bool negative;

  explicit WholeNumber(const char* from) {
    const std::uint64_t bits = load<typename Fields::Bits>(from);
    const std::uint64_t exponent = (bits >> Fields::kFraction) & ((1u << Fields::kExponent) - 1);
    const std::uint64_t hidden = exponent == 0 ? 0 : 1;
    significand = (bits & ((UINT64_C(1) << Fields::kFraction) - 1)) | (hidden << Fields::kFraction);
    shift = exponent - hidden;
    negative = (bits >> (Fields::kFraction + Fields::kExponent)) != 0;
  }
};

// magnitude * 2^exponent, of which `sign` is 1 or -1; sign 0 for 0.
struct ExactDot {
  int sign;
  double magnitude;
  int exponent;
};

template <typename Storage>
class ExactSum {
 public:
  using Number = WholeNumber<Storage>;

  void add_product(const Number& a, const Number& b) {
    const bool negative = a.negative != b.negative;
    const std::size_t shift = a.shift + b.shift;
    if constexpr (sizeof(Storage) == sizeof(double)) {
      const std::uint64_t a_low = a.significand & kDigit;
      const std::uint64_t b_low = b.significand & kDigit;
      const std::uint64_t a_high = a.significand >> kDigitBits;
      const std::uint64_t b_high = b.significand >> kDigitBits;
      add(a_low * b_low, shift, negative);
      add(a_low * b_high + a_high * b_low, shift + kDigitBits, negative);
      add(a_high * b_high, shift + 2 * kDigitBits, negative);
    } else {
      add(a.significand * b.significand, shift, negative);
    }
    if (++products_ == kProductsPerCarry) carry();
  }

  ExactDot result() {
    carry();
    const int sign = digits_[kDigits - 1] < 0 ? -1 : 1;
    if (sign < 0) {
      for (std::int64_t& digit : digits_) digit = -digit;
      carry();
    }
    std::size_t top = kDigits;
    while (top > 0 && digits_[top - 1] == 0) --top;
    if (top == 0) return {0, 0, 0};
    double magnitude = 0;
    for (std::size_t i = top; i > 0 && i + 3 > top; --i) {
      magnitude = magnitude * 0x1p32 + static_cast<double>(digits_[i - 1]);
    }
    const std::size_t dropped = top < 3 ? 0 : top - 3;
    return {sign, magnitude, static_cast<int>(dropped * kDigitBits) + 2 * Number::kUnit};
  }

 private:
  static constexpr std::size_t kDigitBits = 32;
  static constexpr std::uint64_t kDigit = 0xffffffff;
  // The largest product, and as much again for how many there are.
  static constexpr std::size_t kDigits =
      (2 * Number::kLargestShift + 2 * (NumberFields<Storage>::kFraction + 1)) / kDigitBits + 4;
  // A digit gets less than 2^36 from a product, and has 63 bits.
  static constexpr std::uint32_t kProductsPerCarry = 1 << 24;

  void add(std::uint64_t number, std::size_t shift, bool negative) {
    std::int64_t* digits = digits_ + shift / kDigitBits;
    const std::size_t within = shift % kDigitBits;
    const std::uint64_t low = number << within;
    const std::uint64_t high = within == 0 ? 0 : number >> (2 * kDigitBits - within);
    const std::int64_t sign = negative ? -1 : 1;
    digits[0] += sign * static_cast<std::int64_t>(low & kDigit);
    digits[1] += sign * static_cast<std::int64_t>(low >> kDigitBits);
    digits[2] += sign * static_cast<std::int64_t>(high);
  }

  // Makes every digit but the last, which has the sign, one of 0 to 2^32 - 1.
  void carry() {
    std::int64_t over = 0;
    for (std::size_t i = 0; i + 1 < kDigits; ++i) {
      const std::int64_t digit = digits_[i] + over;
      digits_[i] = digit & static_cast<std::int64_t>(kDigit);
      over = digit >> kDigitBits;
    }
    digits_[kDigits - 1] += over;
    products_ = 0;
  }

  std::int64_t digits_[kDigits] = {};
  std::uint32_t products_ = 0;
};

template <typename Storage>
ExactDot exact_dot(const GramMatrix& matrix, std::size_t row, std::size_t column) {
  const char* a = place_in(matrix.source, row, 0);
  const char* b = place_in(matrix.column_source, column, 0);
  const std::ptrdiff_t a_step = matrix.source.coordinate_stride;
  const std::ptrdiff_t b_step = matrix.column_source.coordinate_stride;
  ExactSum<Storage> sum;
  for (std::size_t k = 0; k < matrix.length; ++k) {
    const WholeNumber<Storage> first(a + offset(k, a_step));
    if (first.significand == 0) continue;
    const WholeNumber<Storage> second(b + offset(k, b_step));
    if (second.significand != 0) sum.add_product(first, second);
  }
  return sum.result();
}

using ExactDotFunction = decltype(&exact_dot<double>);

}  // namespace
}  // namespace taut::TAUT_LEVEL

#endif  // TAUT_KERNELS_GRAM_EXACT_DOT_HPP_
