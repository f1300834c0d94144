// From gᵢ = Σⱼ sign(i, j) x̂ⱼ to the gradient with respect to xᵢ, into the caller's array:
// dxᵢ = (gᵢ - x̂ᵢ <x̂ᵢ,gᵢ>) / |xᵢ|, and gᵢ / 1e-7 where |xᵢ| is below that. <x̂ᵢ,gᵢ> is the vector's
// own Σⱼ |<x̂ᵢ,x̂ⱼ>|; whether j = i is among them makes no difference to dxᵢ.

#ifndef TAUT_KERNELS_GRAM_FINISH_HPP_
#define TAUT_KERNELS_GRAM_FINISH_HPP_

#include "kernels/gram/lines.hpp"
#include "kernels/gram/panels.hpp"
#include "kernels/storage.hpp"

namespace taut::TAUT_LEVEL {
namespace {

// Vectors, and coordinates, that are finished at once.
constexpr std::size_t kFinished = kGramCoordinates;

template <typename G>
[[gnu::always_inline]] inline void write_numbers(const double (&slopes)[kFinished], bool accumulate,
                                                 G* to) {
  TAUT_UNROLL
  for (std::size_t i = 0; i < kFinished; i += kPair) {
    DoublePair sum = load_pair(slopes + i);
    if (accumulate) {
      const DoublePair before = load_pair(to + i);
      sum.first += before.first;
      sum.second += before.second;
    }
    store_pair(to + i, sum);
  }
}

// target (+)= slopes, for a line of the caller's gradient.
template <typename G>
[[gnu::always_inline]] inline void write_line(const double (&slopes)[kFinished], std::size_t count,
                                              bool accumulate, char* to, std::ptrdiff_t stride) {
  if (count == kFinished && stride == std::ptrdiff_t{sizeof(G)}) {
    write_numbers(slopes, accumulate, reinterpret_cast<G*>(to));
    return;
  }
  G line[kFinished];
  gather_line(to, stride, accumulate ? count : 0, line);
  write_numbers(slopes, accumulate, line);
  scatter_line(line, count, to, stride);
}

// target (+)= slopes, for up to kFinished coordinates by kFinished vectors, in lines along the
// vectors.
template <typename G>
inline void write_turned(const double (&slopes)[kFinished][kFinished], const GramTarget& target,
                         std::size_t vectors, std::size_t coordinates, char* to) {
  for (std::size_t c = 0; c < coordinates; ++c) {
    double line[kFinished];
    TAUT_UNROLL
    for (std::size_t v = 0; v < kFinished; ++v) line[v] = slopes[v][c];
    write_line<G>(line, vectors, target.accumulate, to + offset(c, target.coordinate_stride),
                  target.vector_stride);
  }
}

// Up to kFinished vectors that are finished together.
template <typename Storage, typename G>
class FinishedVectors {
 public:
  using T = ComputeOf<Storage>;

  FinishedVectors(const GramMatrix& matrix, std::size_t first, std::size_t vectors,
                  double coefficient)
      : matrix_(matrix), first_(first), vectors_(vectors) {
    for (std::size_t v = 0; v < vectors_; ++v) {
      projections_[v] = matrix_.clamped[first_ + v] ? 0 : matrix_.projections[first_ + v];
      factors_[v] = coefficient * matrix_.reciprocals[first_ + v];
      is_beyond_ |= __builtin_fabs(factors_[v]) > __DBL_MAX__;
    }
    is_beyond_ &= __builtin_fabs(coefficient) <= __DBL_MAX__;
  }

  // Not inlined, so that no frame on the stack is large.
  [[gnu::noinline]] void write(const GramTarget& target) const {
    char* base = static_cast<char*>(target.data) + offset(first_, target.vector_stride);
    if (is_nearer(target.coordinate_stride, target.vector_stride)) {
      for (std::size_t v = 0; v < vectors_; ++v) {
        for (std::size_t c = 0; c < matrix_.length; c += kFinished) {
          double slopes[kFinished];
          compute(v, c, slopes);
          write_line<G>(
              slopes, coordinates_from(c), target.accumulate,
              base + offset(v, target.vector_stride) + offset(c, target.coordinate_stride),
              target.coordinate_stride);
        }
      }
      return;
    }
    double slopes[kFinished][kFinished] = {};
    for (std::size_t c = 0; c < matrix_.length; c += kFinished) {
      for (std::size_t v = 0; v < vectors_; ++v) compute(v, c, slopes[v]);
      write_turned<G>(slopes, target, vectors_, coordinates_from(c),
                      base + offset(c, target.coordinate_stride));
    }
  }

 private:
  std::size_t coordinates_from(std::size_t c) const {
    return matrix_.length - c < kFinished ? matrix_.length - c : kFinished;
  }
  [[gnu::always_inline]] void compute(std::size_t v, std::size_t c,
                                      double (&slopes)[kFinished]) const {
    constexpr std::size_t kPanel = GramShape<T>::kPanel;
    using V = Vector<T, kDoubles>;
    TAUT_UNROLL
    for (std::size_t first = 0; first < kFinished; first += kPanel) {
      const T* numbers = panel_of<T>(matrix_, matrix_.panels, first_ + v, c + first);
      const T* gradient = panel_of<T>(matrix_, matrix_.gradients, first_ + v, c + first);
      const T weight = static_cast<const T*>(matrix_.unit_weights)[first_ + v];
      TAUT_UNROLL
      for (std::size_t part = 0; part < kPanel; part += kDoubles) {
        const V direction = load<V>(numbers + part) * weight;
        const Doubles across =
            multiply_add(to_doubles(direction), broadcast<Doubles>(-projections_[v]),
                         load_doubles(gradient + part));
        Doubles slope = across * factors_[v];
        // Where the factor is beyond float64's range, 0 times it is still 0.
        if (is_beyond_) slope = (Doubles)((Int64s)slope & (Int64s)(across != 0));
        store(slopes + first + part, slope);
      }
    }
  }

  const GramMatrix& matrix_;
  std::size_t first_;
  std::size_t vectors_;
  double projections_[kFinished];
  double factors_[kFinished];
  bool is_beyond_ = false;
};

template <typename Storage>
void finish(const GramMatrix& matrix, std::size_t begin, std::size_t end, double coefficient,
            const GramTarget& target) {
  using Wide = typename WideGradient<Storage>::type;
  for (std::size_t first = begin; first < end; first += kFinished) {
    const std::size_t vectors = end - first < kFinished ? end - first : kFinished;
    if (target.float32 && sizeof(Storage) == 2) {
      FinishedVectors<Storage, Wide>(matrix, first, vectors, coefficient).write(target);
    } else {
      FinishedVectors<Storage, Storage>(matrix, first, vectors, coefficient).write(target);
    }
  }
}

}  // namespace
}  // namespace taut::TAUT_LEVEL

#endif  // TAUT_KERNELS_GRAM_FINISH_HPP_
