// Numbers as they are stored, from and to the float64 lanes that everything is computed in.
//
// Two vectors of float64 lanes make a pair: as many numbers as a vector of float32 has.

#ifndef TAUT_KERNELS_STORAGE_HPP_
#define TAUT_KERNELS_STORAGE_HPP_

#include <utility>

#include "kernels/vectors.hpp"

namespace taut::TAUT_LEVEL {
namespace {

constexpr std::size_t kPair = 2 * kDoubles;
struct DoublePair {
  Doubles first;
  Doubles second;
};

using Floats = Vector<float, kPair>;
using Int32s = Vector<std::int32_t, kPair>;
using UInt32s = Vector<std::uint32_t, kPair>;
using Halves = Vector<std::uint16_t, kPair>;

template <typename V, std::size_t... kLanes>
[[gnu::always_inline]] inline auto join(V first, V second, std::index_sequence<kLanes...>) {
  return __builtin_shufflevector(first, second, kLanes...);
}

// One instruction each; GCC takes several for what is said lane by lane. All lanes are in the
// masks, which cost nothing: without one, GCC 12 warns of its own intrinsics' "undefined" vectors.
[[gnu::always_inline]] inline Doubles to_doubles(Doubles numbers) { return numbers; }
[[gnu::always_inline]] inline Doubles to_doubles(Vector<float, kDoubles> floats) {
#if defined(__AVX512F__)
  return _mm512_maskz_cvtps_pd(0xff, floats);
#elif defined(__AVX__)
  return _mm256_cvtps_pd(floats);
#else
  return widen_lanes<Doubles>(floats);
#endif
}

template <std::size_t kFirst, std::size_t... kLanes>
[[gnu::always_inline]] inline auto part_of(Floats floats, std::index_sequence<kLanes...>) {
  return __builtin_shufflevector(floats, floats, (kFirst + kLanes)...);
}

[[gnu::always_inline]] inline DoublePair to_doubles(Floats floats) {
  constexpr auto kHalf = std::make_index_sequence<kDoubles>();
  return {to_doubles(part_of<0>(floats, kHalf)), to_doubles(part_of<kDoubles>(floats, kHalf))};
}

[[gnu::always_inline]] inline Floats to_floats(DoublePair pair) {
  using Half = Vector<float, kDoubles>;
  return join(__builtin_convertvector(pair.first, Half), __builtin_convertvector(pair.second, Half),
              std::make_index_sequence<kPair>());
}

// ---- half types to float32, exactly ----------------------------------------------------------

[[gnu::always_inline]] inline Floats widen(Halves halves, BFloat16) {
  return (Floats)(widen_lanes<UInt32s>(halves) << 16);
}

#if defined(__AVX512F__)
[[gnu::always_inline]] inline Floats widen(Halves halves, Float16) {
  return _mm512_maskz_cvtph_ps(0xffff, (__m256i)halves);
}
#elif defined(__F16C__)
// The instructions take eight numbers.
[[gnu::always_inline]] inline Floats widen(Halves halves, Float16) {
  static_assert(kPair % 8 == 0);
  __m256 floats[kPair / 8];
  __m128i eights[kPair / 8];
  __builtin_memcpy(eights, &halves, sizeof(halves));
  TAUT_UNROLL
  for (std::size_t i = 0; i < kPair / 8; ++i) floats[i] = _mm256_cvtph_ps(eights[i]);
  return load<Floats>(floats);
}
#else
[[gnu::always_inline]] inline Floats widen(Halves halves, Float16) {
  const UInt32s bits = widen_lanes<UInt32s>(halves);
  const UInt32s magnitude = bits & 0x7fff;
  UInt32s normal = (magnitude << 13) + (112u << 23);
  normal += (UInt32s)(magnitude >= 0x7c00) & (112u << 23);  // Inf and NaN have the last exponent
  const Floats subnormal = __builtin_convertvector((Int32s)magnitude, Floats) * 0x1p-24f;
  const UInt32s is_subnormal = (UInt32s)(magnitude < 0x400);
  return (Floats)((is_subnormal & (UInt32s)subnormal) | (~is_subnormal & normal) |
                  ((bits & 0x8000) << 16));
}
#endif

// ---- float32 to half types -------------------------------------------------------------------

// Rounds to nearest, ties to even.
[[gnu::always_inline]] inline Halves narrow(Floats floats, BFloat16) {
  const UInt32s bits = (UInt32s)floats;
  const UInt32s rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  const UInt32s quiet_nan = (bits >> 16) | 0x40;
  const UInt32s is_nan = (UInt32s)(floats != floats);
  return __builtin_convertvector((is_nan & quiet_nan) | (~is_nan & rounded), Halves);
}

#if defined(__AVX512F__)
// Rounds to nearest, ties to even.
[[gnu::always_inline]] inline Halves narrow(Floats floats, Float16) {
  return (Halves)_mm512_maskz_cvtps_ph(0xffff, floats, _MM_FROUND_TO_NEAREST_INT);
}
#elif defined(__F16C__)
// Rounds to nearest, ties to even.
[[gnu::always_inline]] inline Halves narrow(Floats floats, Float16) {
  __m256 eights[kPair / 8];
  __builtin_memcpy(eights, &floats, sizeof(floats));
  __m128i halves[kPair / 8];
  TAUT_UNROLL
  for (std::size_t i = 0; i < kPair / 8; ++i) {
    halves[i] = _mm256_cvtps_ph(eights[i], _MM_FROUND_TO_NEAREST_INT);
  }
  return load<Halves>(halves);
}
#else
// Takes floats that a Float16 holds exactly, or that overflow it.
[[gnu::always_inline]] inline Halves narrow(Floats exact, Float16) {
  const UInt32s bits = (UInt32s)exact;
  const UInt32s magnitude = bits & 0x7fffffff;
  const UInt32s is_subnormal = (UInt32s)(magnitude < (113u << 23));
  const UInt32s is_nan = (UInt32s)(magnitude > (255u << 23));
  const UInt32s overflows = (UInt32s)(magnitude >= (143u << 23));
  // Lanes that are not subnormal are emptied first: their conversion to an integer may not exist.
  const UInt32s subnormal =
      (UInt32s) __builtin_convertvector((Floats)(is_subnormal & magnitude) * 0x1p24f, Int32s);
  UInt32s half = (is_subnormal & subnormal) | (~is_subnormal & ((magnitude >> 13) - (112u << 10)));
  half = (~overflows & half) | (overflows & 0x7c00) | (is_nan & 0x200);
  return __builtin_convertvector(half | ((bits >> 16) & 0x8000), Halves);
}
#endif

// ---- float64 to half types, rounded once ------------------------------------------------------

template <typename T>
struct HalfFormat;
template <>
struct HalfFormat<Float16> {
  static constexpr int kMantissaBits = 10;
  static constexpr double kSmallestNormal = 0x1p-14;
  static constexpr bool kHasFloat32Range = false;
#if defined(__F16C__)
  static constexpr bool kNarrowRounds = true;
#else
  static constexpr bool kNarrowRounds = false;
#endif
};
template <>
struct HalfFormat<BFloat16> {
  static constexpr int kMantissaBits = 7;
  static constexpr double kSmallestNormal = 0x1p-126;
  static constexpr bool kHasFloat32Range = true;
  static constexpr bool kNarrowRounds = true;
};

// The nearest number of a half type, ties to even. Seldom needed where there is a quicker way, and
// then kept out of its loop.
template <typename T>
[[gnu::noinline]] Doubles round_to_half(Doubles x) {
  using Format = HalfFormat<T>;
  constexpr int kDropped = 52 - Format::kMantissaBits;
  const Int64s bits = (Int64s)x;
  const Int64s odd = (bits >> kDropped) & 1;
  const Int64s normal =
      (bits + ((INT64_C(1) << (kDropped - 1)) - 1) + odd) & ~((INT64_C(1) << kDropped) - 1);
  // Adding 1.5 * 2^52 units of the smallest subnormal leaves a whole number of them.
  const Doubles magnitude = absolute(x);
  const double kShift = 0x1.8p52 * Format::kSmallestNormal / (1 << Format::kMantissaBits);
  const Doubles shifted = (magnitude + kShift) - kShift;
  const Int64s subnormal = (Int64s)shifted | ((Int64s)x & kSignBit64);
  const Int64s is_subnormal = (Int64s)(magnitude < Format::kSmallestNormal);
  const Int64s is_nan = (Int64s)(x != x);
  const Int64s rounded = (is_subnormal & subnormal) | (~is_subnormal & normal);
  return (Doubles)((is_nan & bits) | (~is_nan & rounded));
}

// Truncates to float32's precision, and sets the last bit if anything was cut off. What is rounded
// to a still shorter type afterwards is then rounded as if in one step (Boldo and Melquiond, "When
// double rounding is odd"), unless float32 loses bits to being subnormal.
[[gnu::always_inline]] inline Doubles round_to_odd(Doubles x) {
  constexpr std::int64_t kDropped = (INT64_C(1) << 29) - 1;
  const Int64s bits = (Int64s)x;
  const Int64s sticky = ((bits & kDropped) + kDropped) & (kDropped + 1);
  return (Doubles)((bits & ~kDropped) | sticky);
}

[[gnu::always_inline]] inline bool has_subnormal(Floats floats) {
  const Int32s magnitude = (Int32s)floats & 0x7fffffff;
  return mask_bits((magnitude > 0) & (magnitude < 0x00800000)) != 0;
}

template <typename T>
[[gnu::always_inline]] inline Halves narrow_once(DoublePair x) {
  if constexpr (HalfFormat<T>::kNarrowRounds) {
    const Floats odd = to_floats({round_to_odd(x.first), round_to_odd(x.second)});
    // Without float32's range, what is subnormal in float32 is far below the smallest number.
    if (!HalfFormat<T>::kHasFloat32Range || !has_subnormal(odd)) return narrow(odd, T{});
  }
  return narrow(to_floats({round_to_half<T>(x.first), round_to_half<T>(x.second)}), T{});
}

// ---- memory ------------------------------------------------------------------------------------

// The wider gradient that a half type may be given; float64 and float32 have only their own.
template <typename T>
struct WideGradient {
  using type = T;
};
template <>
struct WideGradient<Float16> {
  using type = float;
};
template <>
struct WideGradient<BFloat16> {
  using type = float;
};

// kDoubles numbers, exactly.
[[gnu::always_inline]] inline Doubles load_doubles(const double* from) {
  return load<Doubles>(from);
}
[[gnu::always_inline]] inline Doubles load_doubles(const float* from) {
  return to_doubles(load<Vector<float, kDoubles>>(from));
}

// kPair numbers, exactly.
template <typename T>
[[gnu::always_inline]] inline DoublePair load_pair(const T* from) {
  if constexpr (sizeof(T) == 2) {
    return to_doubles(widen(load<Halves>(from), T{}));
  } else {
    return {load_doubles(from), load_doubles(from + kDoubles)};
  }
}

// kPair numbers, each rounded once to nearest.
template <typename T>
[[gnu::always_inline]] inline void store_pair(T* to, DoublePair x) {
  if constexpr (sizeof(T) == sizeof(double)) {
    store(to, x.first);
    store(to + kDoubles, x.second);
  } else if constexpr (sizeof(T) == sizeof(float)) {
    // In halves, which costs no instruction to join them.
    using Half = Vector<float, kDoubles>;
    store(to, __builtin_convertvector(x.first, Half));
    store(to + kDoubles, __builtin_convertvector(x.second, Half));
  } else {
    store(to, narrow_once<T>(x));
  }
}

}  // namespace
}  // namespace taut::TAUT_LEVEL

#endif  // TAUT_KERNELS_STORAGE_HPP_
