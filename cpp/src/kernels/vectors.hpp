// Vectors of one instruction-set level.
//
// Everything here has internal linkage and is built from the compiler's vector extensions, and from
// intrinsics where those take several instructions for one; so an object compiled for a newer
// processor defines no symbol that another object could pick up. Nothing is contracted: a fused
// multiply-add happens where `multiply_add` is called, and nowhere else.

#ifndef TAUT_KERNELS_VECTORS_HPP_
#define TAUT_KERNELS_VECTORS_HPP_

#if defined(__x86_64__)
#include <immintrin.h>
#endif

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
using Int64s = Vector<std::int64_t, kDoubles>;

constexpr std::int64_t kSignBit64 = INT64_MIN;

[[gnu::always_inline]] inline Doubles absolute(Doubles x) {
  return (Doubles)((Int64s)x & ~kSignBit64);
}

// `then` where the condition holds, else `other`.
[[gnu::always_inline]] inline Doubles choose(Int64s condition, Doubles then, Doubles other) {
  return (Doubles)((condition & (Int64s)then) | (~condition & (Int64s)other));
}

[[gnu::always_inline]] inline Doubles square_roots(Doubles x) {
  Doubles roots;
  TAUT_UNROLL
  for (std::size_t lane = 0; lane < kDoubles; ++lane) roots[lane] = __builtin_sqrt(x[lane]);
  return roots;
}

// Bit j of the result is set where lane j of the mask is.
template <typename Masks>
[[gnu::always_inline]] inline unsigned mask_bits(Masks masks) {
  constexpr std::size_t kBytes = sizeof(masks);
  [[maybe_unused]] constexpr bool kIsFloat = sizeof(masks[0]) == sizeof(float);
  [[maybe_unused]] constexpr bool kIsDouble = sizeof(masks[0]) == sizeof(double);
#if defined(__AVX512DQ__)
  if constexpr (kBytes == 64 && kIsFloat) return _mm512_movepi32_mask((__m512i)masks);
  if constexpr (kBytes == 64 && kIsDouble) return _mm512_movepi64_mask((__m512i)masks);
#endif
#if defined(__AVX__)
  if constexpr (kBytes == 32 && kIsFloat) {
    return static_cast<unsigned>(_mm256_movemask_ps((__m256)masks));
  }
  if constexpr (kBytes == 32 && kIsDouble) {
    return static_cast<unsigned>(_mm256_movemask_pd((__m256d)masks));
  }
#endif
#if defined(__SSE2__)
  if constexpr (kBytes == 16 && kIsFloat) {
    return static_cast<unsigned>(_mm_movemask_ps((__m128)masks));
  }
  if constexpr (kBytes == 16 && kIsDouble) {
    return static_cast<unsigned>(_mm_movemask_pd((__m128d)masks));
  }
#endif
  unsigned bits = 0;
  for (std::size_t lane = 0; lane < kBytes / sizeof(masks[0]); ++lane) {
    bits |= static_cast<unsigned>(masks[lane] & 1) << lane;
  }
  return bits;
}

}  // namespace
}  // namespace taut::TAUT_LEVEL

#endif  // TAUT_KERNELS_VECTORS_HPP_
