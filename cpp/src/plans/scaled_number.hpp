// Numbers with an exponent of their own: products of factors, scales and sums that may leave
// float64's range on the way.

#ifndef TAUT_PLANS_SCALED_NUMBER_HPP_
#define TAUT_PLANS_SCALED_NUMBER_HPP_

#include <cmath>

namespace taut {

// number * 2^exponent. The number is 0, not finite, or in [1/2, 1) but for its sign.
struct ScaledNumber {
  double number;
  int exponent;

  // Rounded, to 0 or Inf too.
  double value() const { return std::ldexp(number, exponent); }
};

inline ScaledNumber scaled(double number) {
  int exponent = 0;
  const double mantissa = std::isfinite(number) ? std::frexp(number, &exponent) : number;
  return {mantissa, exponent};
}

inline ScaledNumber operator*(const ScaledNumber& a, const ScaledNumber& b) {
  const ScaledNumber product = scaled(a.number * b.number);
  return {product.number, product.exponent + a.exponent + b.exponent};
}

inline ScaledNumber operator/(const ScaledNumber& a, const ScaledNumber& b) {
  const ScaledNumber quotient = scaled(a.number / b.number);
  return {quotient.number, quotient.exponent + a.exponent - b.exponent};
}

}  // namespace taut

#endif  // TAUT_PLANS_SCALED_NUMBER_HPP_
