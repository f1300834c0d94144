// The numbers of every dtype, and how a float64 is rounded to one: by the definition, slowly.

#ifndef TAUT_TESTS_NUMBERS_HPP_
#define TAUT_TESTS_NUMBERS_HPP_

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <random>
#include <taut/taut.hpp>
#include <vector>

namespace taut_test {

using taut::BFloat16;
using taut::Float16;
using Sizes = std::initializer_list<std::size_t>;

// An IEEE 754 format: significand digits with the leading one, and the exponents of normal numbers.
struct Format {
  int digits;
  int min_exponent;
  int max_exponent;

  double smallest() const { return std::ldexp(1.0, min_exponent - digits + 1); }
  double largest() const { return std::ldexp(2 - std::ldexp(1.0, 1 - digits), max_exponent); }
  double roundoff() const { return std::ldexp(1.0, -digits); }
};

constexpr Format format_of(taut::DType dtype) {
  switch (dtype) {
    case taut::DType::kFloat64:
      return {53, -1022, 1023};
    case taut::DType::kFloat32:
      return {24, -126, 127};
    case taut::DType::kFloat16:
      return {11, -14, 15};
    case taut::DType::kBFloat16:
      return {8, -126, 127};
  }
  return {};
}

template <typename T>
constexpr Format kFormat = format_of(taut::DTypeOf<T>::value);

// The number of the format that is nearest to x, ties to even, beyond the largest one Inf.
inline double round_to(const Format& format, double x) {
  if (format.digits == 53 || x == 0 || !std::isfinite(x)) return x;
  const int exponent = std::max(std::ilogb(x), format.min_exponent);
  const int unit = exponent - format.digits + 1;
  const double rounded = std::ldexp(std::nearbyint(std::ldexp(x, -unit)), unit);
  if (std::abs(rounded) <= format.largest()) return rounded;
  return std::copysign(std::numeric_limits<double>::infinity(), x);
}

inline double to_double(double x) { return x; }
inline double to_double(float x) { return x; }

template <typename Half>
double to_double(Half half) {
  constexpr Format format = kFormat<Half>;
  const int fraction_bits = format.digits - 1;
  const double sign = (half.bits >> 15) != 0 ? -1 : 1;
  const int biased = (half.bits & 0x7fff) >> fraction_bits;
  const int fraction = half.bits & ((1 << fraction_bits) - 1);
  if (biased > format.max_exponent - format.min_exponent + 1) {
    return sign * (fraction == 0 ? std::numeric_limits<double>::infinity()
                                 : std::numeric_limits<double>::quiet_NaN());
  }
  const int significand = biased == 0 ? fraction : fraction + (1 << fraction_bits);
  const int exponent = biased == 0 ? format.min_exponent : biased - 1 + format.min_exponent;
  return sign * std::ldexp(significand, exponent - fraction_bits);
}

// x rounded to T.
template <typename T>
T from_double(double x) {
  if constexpr (sizeof(T) > 2) {
    return static_cast<T>(x);
  } else {
    constexpr Format format = kFormat<T>;
    const int fraction_bits = format.digits - 1;
    const int infinity = (format.max_exponent - format.min_exponent + 2) << fraction_bits;
    const double rounded = std::abs(round_to(format, x));
    int bits = infinity;
    if (std::isnan(x)) {
      bits = infinity | (1 << (fraction_bits - 1));
    } else if (rounded < std::ldexp(1.0, format.min_exponent)) {
      bits = static_cast<int>(rounded / format.smallest());
    } else if (rounded <= format.largest()) {
      const int exponent = std::ilogb(rounded);
      const auto significand = static_cast<int>(std::ldexp(rounded, fraction_bits - exponent));
      bits = ((exponent - format.min_exponent) << fraction_bits) + significand;
    }
    return {static_cast<std::uint16_t>(std::signbit(x) ? bits | 0x8000 : bits)};
  }
}

template <typename T>
std::vector<T> store(const std::vector<double>& numbers) {
  std::vector<T> stored;
  stored.reserve(numbers.size());
  for (const double number : numbers) stored.push_back(from_double<T>(number));
  return stored;
}

template <typename T>
std::vector<double> to_doubles(const std::vector<T>& numbers) {
  std::vector<double> doubles;
  doubles.reserve(numbers.size());
  for (const T number : numbers) doubles.push_back(to_double(number));
  return doubles;
}

// Numbers of T between -2 and 2, the same in every run.
template <typename T>
std::vector<double> random_numbers(std::size_t count, unsigned seed = 1) {
  std::mt19937_64 generator(seed);
  std::vector<double> numbers(count);
  for (double& number : numbers) {
    const auto integer = static_cast<std::int64_t>(generator() >> 11) - (std::int64_t{1} << 52);
    number = round_to(kFormat<T>, std::ldexp(static_cast<double>(integer), -51));
  }
  return numbers;
}

template <typename T>
std::array<std::byte, sizeof(T)> bytes_of(T number) {
  return std::bit_cast<std::array<std::byte, sizeof(T)>>(number);
}

// Whether two arrays hold the same bits, NaN payloads excepted.
template <typename T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (std::isnan(to_double(a[i])) && std::isnan(to_double(b[i]))) continue;
    if (bytes_of(a[i]) != bytes_of(b[i])) return false;
  }
  return true;
}

inline bool same_bits(double a, double b) { return same_bits(std::vector{a}, std::vector{b}); }

}  // namespace taut_test

#endif  // TAUT_TESTS_NUMBERS_HPP_
