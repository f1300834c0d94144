// Vectors of one instruction-set level, and the one place that loads, stores and converts them.
//
// Everything here has internal linkage and is built from the compiler's vector extensions alone, so
// that an object compiled for a newer processor defines no symbol that another object could pick
// up. Nothing is contracted: a fused multiply-add happens where `multiply_add` is called, and
// nowhere else.

#ifndef TAUT_KERNELS_VECTORS_HPP_
#define TAUT_KERNELS_VECTORS_HPP_

#include <cstddef>
#include <cstdint>

#include "taut/dtype.hpp"

#define TAUT_UNROLL _Pragma("GCC unroll 64")

namespace taut::TAUT_LEVEL {
namespace {

template <typename T, std::size_t kLanes>
struct VectorOf {
  typedef T type __attribute__((vector_size(sizeof(T) * kLanes)));
};
template <typename T, std::size_t kLanes>
using Vector = typename VectorOf<T, kLanes>::type;

#if defined(__AVX512F__)
constexpr std::size_t kVectorBytes = 64;
#elif defined(__AVX__)
constexpr std::size_t kVectorBytes = 32;
#else
constexpr std::size_t kVectorBytes = 16;
#endif

template <typename T>
constexpr std::size_t kLanesOf = kVectorBytes / sizeof(T);

template <typename V>
[[gnu::always_inline]] inline V load(const void* from) {
  V vector;
  __builtin_memcpy(&vector, from, sizeof(V));
  return vector;
}

template <typename V>
[[gnu::always_inline]] inline void store(void* to, V vector) {
  __builtin_memcpy(to, &vector, sizeof(V));
}

template <typename V, typename T>
[[gnu::always_inline]] inline V broadcast(T value) {
  return value - V{};  // x - 0 keeps the sign of zero, x + 0 does not
}

template <std::size_t kBytes>
struct IntegerOf {
  using type = std::int32_t;
};
template <>
struct IntegerOf<8> {
  using type = std::int64_t;
};

// Lane i of the result is lane index[i] of the two vectors' lanes in a row. With constant indices
// that a compiler can see, this is an instruction or two.
template <typename V, typename Index>
[[gnu::always_inline]] inline V shuffle(V first, V second, Index index) {
#if defined(__clang__)
  V result;
  constexpr std::size_t kLanes = sizeof(V) / sizeof(first[0]);
  TAUT_UNROLL
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    const auto from = static_cast<std::size_t>(index[lane]);
    result[lane] = from < kLanes ? first[from] : second[from - kLanes];
  }
  return result;
#else
  return __builtin_shuffle(first, second, index);
#endif
}

// A point that the compiler moves no computation of `vector` across.
template <typename V>
[[gnu::always_inline]] inline void keep_in_register(V& vector) {
#if defined(__x86_64__)
  asm("" : "+v"(vector));
#elif defined(__aarch64__)
  asm("" : "+w"(vector));
#endif
}

// Lane by lane to a wider type, which is one instruction. (GCC splits __builtin_convertvector to a
// wider type in halves.)
template <typename To, typename From>
[[gnu::always_inline]] inline To widen_lanes(From from) {
  To wide;
  TAUT_UNROLL
  for (std::size_t lane = 0; lane < sizeof(From) / sizeof(from[0]); ++lane) wide[lane] = from[lane];
  return wide;
}

// a * b + c: fused where the level has the instruction, else rounded twice.
template <typename V>
[[gnu::always_inline]] inline V multiply_add(V a, V b, V c) {
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
  V result;
  TAUT_UNROLL
  for (std::size_t lane = 0; lane < sizeof(V) / sizeof(a[0]); ++lane) {
    if constexpr (sizeof(a[0]) == sizeof(float)) {
      result[lane] = __builtin_fmaf(a[lane], b[lane], c[lane]);
    } else {
      result[lane] = __builtin_fma(a[lane], b[lane], c[lane]);
    }
  }
  return result;
#else
  return a * b + c;
#endif
}

// float64 lanes: the type in which every sum and every gradient is computed.
using Doubles = Vector<double, kLanesOf<double>>;
constexpr std::size_t kDoubles = kLanesOf<double>;
using Floats = Vector<float, kDoubles>;
using Int64s = Vector<std::int64_t, kDoubles>;
using Int32s = Vector<std::int32_t, kDoubles>;
using UInt32s = Vector<std::uint32_t, kDoubles>;
using UInt16s = Vector<std::uint16_t, kDoubles>;

constexpr std::int64_t kSignBit64 = INT64_MIN;

[[gnu::always_inline]] inline Doubles absolute(Doubles x) {
  return (Doubles)((Int64s)x & ~kSignBit64);
}

#if defined(__F16C__)
[[gnu::always_inline]] inline Floats widen(UInt16s half, Float16) {
  Vector<short, 8> halves{};
  __builtin_memcpy(&halves, &half, sizeof(half));
  if constexpr (kDoubles == 8) {
    auto floats = __builtin_ia32_vcvtph2ps256(halves);
    return load<Floats>(&floats);
  } else {
    auto floats = __builtin_ia32_vcvtph2ps(halves);
    return load<Floats>(&floats);
  }
}

// Takes floats that a Float16 holds exactly, or that overflow it.
[[gnu::always_inline]] inline UInt16s narrow_exact(Floats exact, Float16) {
  if constexpr (kDoubles == 8) {
    auto halves = __builtin_ia32_vcvtps2ph256(load<Vector<float, 8>>(&exact), 0);
    return load<UInt16s>(&halves);
  } else {
    Vector<float, 4> floats;
    __builtin_memcpy(&floats, &exact, sizeof(exact));
    auto halves = __builtin_ia32_vcvtps2ph(floats, 0);
    return load<UInt16s>(&halves);
  }
}
#else
[[gnu::always_inline]] inline Floats widen(UInt16s half, Float16) {
  const UInt32s bits = widen_lanes<UInt32s>(half);
  const UInt32s magnitude = bits & 0x7fff;
  UInt32s normal = (magnitude << 13) + (112u << 23);
  normal += (UInt32s)(magnitude >= 0x7c00) & (112u << 23);  // Inf and NaN have the last exponent
  const Floats subnormal = __builtin_convertvector((Int32s)magnitude, Floats) * 0x1p-24f;
  const UInt32s is_subnormal = (UInt32s)(magnitude < 0x400);
  return (Floats)((is_subnormal & (UInt32s)subnormal) | (~is_subnormal & normal) |
                  ((bits & 0x8000) << 16));
}

// Takes floats that a Float16 holds exactly, or that overflow it.
[[gnu::always_inline]] inline UInt16s narrow_exact(Floats exact, Float16) {
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
  return __builtin_convertvector(half | ((bits >> 16) & 0x8000), UInt16s);
}
#endif

[[gnu::always_inline]] inline Floats widen(UInt16s half, BFloat16) {
  return (Floats)(widen_lanes<UInt32s>(half) << 16);
}

[[gnu::always_inline]] inline UInt16s narrow_exact(Floats exact, BFloat16) {
  return __builtin_convertvector((UInt32s)exact >> 16, UInt16s);
}

template <typename T>
struct HalfFormat;
template <>
struct HalfFormat<Float16> {
  static constexpr int kMantissaBits = 10;
  static constexpr double kSmallestNormal = 0x1p-14;
};
template <>
struct HalfFormat<BFloat16> {
  static constexpr int kMantissaBits = 7;
  static constexpr double kSmallestNormal = 0x1p-126;
};

// Rounds float64 to the nearest number of a half type, ties to even, in one step. Going through
// float32 would round twice.
template <typename T>
[[gnu::always_inline]] inline Doubles round_to_half(Doubles x) {
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

// kDoubles numbers of a storage type as float64, exactly.
template <typename T>
[[gnu::always_inline]] inline Doubles load_doubles(const T* from) {
  if constexpr (sizeof(T) == sizeof(double)) {
    return load<Doubles>(from);
  } else if constexpr (sizeof(T) == sizeof(float)) {
    return widen_lanes<Doubles>(load<Floats>(from));
  } else {
    return widen_lanes<Doubles>(widen(load<UInt16s>(from), T{}));
  }
}

// kDoubles float64 numbers to a storage type, rounded once to nearest.
template <typename T>
[[gnu::always_inline]] inline void store_doubles(T* to, Doubles x) {
  if constexpr (sizeof(T) == sizeof(double)) {
    store(to, x);
  } else if constexpr (sizeof(T) == sizeof(float)) {
    store(to, __builtin_convertvector(x, Floats));
  } else {
    store(to, narrow_exact(__builtin_convertvector(round_to_half<T>(x), Floats), T{}));
  }
}

}  // namespace
}  // namespace taut::TAUT_LEVEL

#endif  // TAUT_KERNELS_VECTORS_HPP_
