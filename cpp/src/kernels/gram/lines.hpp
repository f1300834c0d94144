// Short lines of the caller's matrices, read and written whatever their strides, and small squares
// of them that can be transposed in registers.

#ifndef TAUT_KERNELS_GRAM_LINES_HPP_
#define TAUT_KERNELS_GRAM_LINES_HPP_

#include "kernels/gram/shape.hpp"

namespace taut::TAUT_LEVEL {
namespace {

[[gnu::always_inline]] inline std::ptrdiff_t offset(std::size_t index, std::ptrdiff_t stride) {
  return static_cast<std::ptrdiff_t>(index) * stride;
}

// Where a coordinate of a vector stands.
[[gnu::always_inline]] inline const char* place_in(const GramSource& source, std::size_t vector,
                                                   std::size_t coordinate) {
  return static_cast<const char*>(source.data) +
         offset(vector - source.first, source.vector_stride) +
         offset(coordinate, source.coordinate_stride);
}

[[gnu::always_inline]] inline bool is_nearer(std::ptrdiff_t stride, std::ptrdiff_t other) {
  return (stride < 0 ? -stride : stride) <= (other < 0 ? -other : other);
}

// Copies fewer than 2 * kMost bytes, in one or two pieces of constant size that may overlap.
template <std::size_t kMost>
[[gnu::always_inline]] inline void copy_short(const void* from, std::size_t bytes, void* to) {
  if constexpr (kMost > 0) {
    if (bytes < kMost) return copy_short<kMost / 2>(from, bytes, to);
    const std::size_t last = bytes - kMost;
    __builtin_memcpy(to, from, kMost);
    __builtin_memcpy(static_cast<char*>(to) + last, static_cast<const char*>(from) + last, kMost);
  }
}

// Copies fewer than kBytes bytes to the beginning of a line, with zeros behind them. Where the
// level has them, by masked loads: the line is then written as it will be read, and need not be
// waited for.
template <std::size_t kBytes>
[[gnu::always_inline]] inline void fill_line(const void* from, std::size_t bytes, void* line) {
#if defined(__AVX512BW__)
  if constexpr (kBytes == 64) {
    const __mmask64 mask = (std::uint64_t{1} << bytes) - 1;
    return store(line, _mm512_maskz_loadu_epi8(mask, from));
  }
  if constexpr (kBytes == 32) {
    const auto mask = static_cast<__mmask32>((std::uint64_t{1} << bytes) - 1);
    return store(line, _mm256_maskz_loadu_epi8(mask, from));
  }
#endif
  __builtin_memset(line, 0, kBytes);
  copy_short<kBytes / 2>(from, bytes, line);
}

// Copies the first `count` of kLength numbers that are `stride` bytes apart; the rest become zero.
template <typename T, std::size_t kLength>
[[gnu::always_inline]] inline void gather_line(const char* from, std::ptrdiff_t stride,
                                               std::size_t count, T (&line)[kLength]) {
  if (stride == static_cast<std::ptrdiff_t>(sizeof(T))) {
    if (count == kLength) {
      __builtin_memcpy(line, from, sizeof(line));
      return;
    }
    fill_line<sizeof(line)>(from, count * sizeof(T), line);
    return;
  }
  for (std::size_t i = 0; i < kLength; ++i) {
    line[i] = T{};
    if (i < count) __builtin_memcpy(line + i, from + offset(i, stride), sizeof(T));
  }
}

template <typename T, std::size_t kLength>
[[gnu::always_inline]] inline void scatter_line(const T (&line)[kLength], std::size_t count,
                                                char* to, std::ptrdiff_t stride) {
  if (stride == static_cast<std::ptrdiff_t>(sizeof(T))) {
    if (count == kLength) {
      __builtin_memcpy(to, line, sizeof(line));
    } else {
      copy_short<sizeof(line) / 2>(line, count * sizeof(T), to);
    }
    return;
  }
  for (std::size_t i = 0; i < count; ++i) {
    __builtin_memcpy(to + offset(i, stride), line + i, sizeof(T));
  }
}

// A vector of numbers side by side, in the type that the kernel computes in.
template <typename Storage>
[[gnu::always_inline]] inline auto load_line(const void* from) {
  using T = ComputeOf<Storage>;
  using V = Vector<T, kLanesOf<T>>;
  if constexpr (sizeof(Storage) == sizeof(T)) {
    return load<V>(from);
  } else {
    return widen(load<Halves>(from), Storage{});
  }
}

// As many lines as a vector has lanes.
template <typename T>
struct Square {
  static constexpr std::size_t kLanes = kLanesOf<T>;
  using V = Vector<T, kLanes>;
  using Index = Vector<typename IntegerOf<sizeof(T)>::type, kLanes>;

  V lines[kLanes];

  // Exchanges the off-diagonal quarters of ever larger squares.
  [[gnu::always_inline]] void transpose() {
    TAUT_UNROLL
    for (std::size_t width = 1; width < kLanes; width *= 2) {
      Index low{};
      Index high{};
      TAUT_UNROLL
      for (std::size_t lane = 0; lane < kLanes; ++lane) {
        const bool second = (lane & width) != 0;
        low[lane] = static_cast<int>(second ? kLanes + lane - width : lane);
        high[lane] = static_cast<int>(second ? kLanes + lane : lane + width);
      }
      TAUT_UNROLL
      for (std::size_t i = 0; i < kLanes; ++i) {
        if ((i & width) != 0) continue;
        const V first = lines[i];
        const V second = lines[i + width];
        lines[i] = shuffle(first, second, low);
        lines[i + width] = shuffle(first, second, high);
      }
    }
  }
};

}  // namespace
}  // namespace taut::TAUT_LEVEL

#endif  // TAUT_KERNELS_GRAM_LINES_HPP_
