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

// target (+)= slopes.
template <typename G, std::size_t kLength>
[[gnu::always_inline]] inline void write_numbers(const double (&slopes)[kLength], bool accumulate,
                                                 G* to) {
  if constexpr (kLength < kPair) {  // of float64
    const Doubles slope = load<Doubles>(slopes);
    store(to, accumulate ? slope + load_doubles(to) : slope);
  } else {
    TAUT_UNROLL
    for (std::size_t i = 0; i < kLength; i += kPair) {
      DoublePair sum{load<Doubles>(slopes + i), load<Doubles>(slopes + i + kDoubles)};
      if (accumulate) {
        const DoublePair before = load_pair(to + i);
        sum.first += before.first;
        sum.second += before.second;
      }
      store_pair(to + i, sum);
    }
  }
}

// The same for the first `count` numbers of a line of the caller's gradient.
template <typename G, std::size_t kLength>
[[gnu::always_inline]] inline void write_line(const double (&slopes)[kLength], std::size_t count,
                                              bool accumulate, char* to, std::ptrdiff_t stride) {
  if (count == kLength && stride == std::ptrdiff_t{sizeof(G)}) {
    write_numbers(slopes, accumulate, reinterpret_cast<G*>(to));
    return;
  }
  G line[kLength];
  gather_line(to, stride, accumulate ? count : 0, line);
  write_numbers(slopes, accumulate, line);
  scatter_line(line, count, to, stride);
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
      const double* projection = matrix_.projections + (first_ + v - matrix_.first_gradient);
      negative_projections_[v] = matrix_.clamped[first_ + v] ? 0 : -*projection;
      const double reciprocal = matrix_.reciprocals[first_ + v];
      factors_[v] = coefficient * reciprocal;
      second_factors_[v] = 1;
      weights_[v] = static_cast<const T*>(matrix_.unit_weights)[first_ + v];
      if (__builtin_fabs(factors_[v]) <= __DBL_MAX__) continue;
      if (!(__builtin_fabs(coefficient) <= __DBL_MAX__)) continue;
      factors_[v] = coefficient;
      second_factors_[v] = reciprocal;
      is_beyond_ = true;
    }
  }

  void write(const GramTarget& target) const {
    if (is_nearer(target.coordinate_stride, target.vector_stride)) {
      write_along_coordinates(target);
    } else {
      write_along_vectors(target);
    }
  }

 private:
  [[gnu::noinline]] void write_along_coordinates(const GramTarget& target) const {
    for (std::size_t v = 0; v < vectors_; ++v) {
      char* to = at(target, v, 0);
      for (std::size_t c = 0; c < matrix_.length; c += kFinished) {
        double slopes[kFinished];
        compute(v, c, slopes);
        const std::size_t left = matrix_.length - c;
        write_line<G>(slopes, left < kFinished ? left : kFinished, target.accumulate,
                      to + offset(c, target.coordinate_stride), target.coordinate_stride);
      }
    }
  }

  [[gnu::always_inline]] void compute(std::size_t v, std::size_t c,
                                      double (&slopes)[kFinished]) const {
    constexpr std::size_t kPanel = GramShape<T>::kPanel;
    TAUT_UNROLL
    for (std::size_t first = 0; first < kFinished; first += kPanel) {
      const T* x = panel_of<T>(matrix_, matrix_.panels, first_ + v, c + first);
      const T* gradient = gradient_of<T>(matrix_, first_ + v, c + first);
      TAUT_UNROLL
      for (std::size_t part = 0; part < kPanel; part += kDoubles) {
        const auto direction = load<Vector<T, kDoubles>>(x + part) * weights_[v];
        store(slopes + first + part,
              slope(to_doubles(direction), load_doubles(gradient + part),
                    broadcast<Doubles>(negative_projections_[v]), broadcast<Doubles>(factors_[v]),
                    broadcast<Doubles>(second_factors_[v])));
      }
    }
  }

  // In squares, turned in registers.
  [[gnu::noinline]] void write_along_vectors(const GramTarget& target) const {
    constexpr std::size_t kLanes = kLanesOf<T>;
    constexpr std::size_t kPanel = GramShape<T>::kPanel;
    using V = typename Square<T>::V;
    for (std::size_t c = 0; c < matrix_.length; c += kLanes) {
      const std::size_t left = matrix_.length - c;
      for (std::size_t v = 0; v < vectors_; v += kLanes) {
        const std::size_t vectors = vectors_ - v < kLanes ? vectors_ - v : kLanes;
        Square<T> x;
        Square<T> g;
        const std::size_t within = c % kPanel;
        const T* from = panel_of<T>(matrix_, matrix_.panels, first_ + v, c - within) + within;
        const T* gradients = gradient_of<T>(matrix_, first_ + v, c - within) + within;
        TAUT_UNROLL
        for (std::size_t i = 0; i < kLanes; ++i) {
          const std::size_t of = i < vectors ? i * kPanel : 0;  // any that is there
          x.lines[i] = load<V>(from + of) * weights_[v + i];
          g.lines[i] = load<V>(gradients + of);
        }
        x.transpose();
        g.transpose();
        for (std::size_t i = 0; i < kLanes && i < left; ++i) {
          write_turned(x.lines[i], g.lines[i], v, vectors, c + i, target);
        }
      }
    }
  }

  // One coordinate of as many vectors as there are lanes.
  [[gnu::always_inline]] void write_turned(typename Square<T>::V x, typename Square<T>::V g,
                                           std::size_t v, std::size_t vectors, std::size_t c,
                                           const GramTarget& target) const {
    double slopes[kLanesOf<T>];
    TAUT_UNROLL
    for (std::size_t part = 0; part < kLanesOf<T>; part += kDoubles) {
      store(
          slopes + part,
          slope(part_of(x, part), part_of(g, part), load<Doubles>(negative_projections_ + v + part),
                load<Doubles>(factors_ + v + part), load<Doubles>(second_factors_ + v + part)));
    }
    write_line<G>(slopes, vectors, target.accumulate, at(target, v, c), target.vector_stride);
  }

  [[gnu::always_inline]] Doubles slope(Doubles direction, Doubles gradient,
                                       Doubles negative_projection, Doubles factor,
                                       Doubles second_factor) const {
    const Doubles across = multiply_add(direction, negative_projection, gradient);
    Doubles slope = across * factor;
    // The second factor may be beyond float64's range; 0 times it is still 0.
    if (is_beyond_) slope = (Doubles)((Int64s)(slope * second_factor) & (Int64s)(across != 0));
    return slope;
  }

  [[gnu::always_inline]] static Doubles part_of(typename Square<T>::V line, std::size_t part) {
    if constexpr (kLanesOf<T> == kDoubles) {
      return line;
    } else {
      const DoublePair pair = to_doubles(line);
      return part == 0 ? pair.first : pair.second;
    }
  }

  char* at(const GramTarget& target, std::size_t v, std::size_t c) const {
    const std::size_t vector = first_ + v - target.first;
    return static_cast<char*>(target.data) + offset(vector, target.vector_stride) +
           offset(c, target.coordinate_stride);
  }

  const GramMatrix& matrix_;
  std::size_t first_;
  std::size_t vectors_;
  double negative_projections_[kFinished] = {};
  double factors_[kFinished] = {};
  double second_factors_[kFinished] = {};  // of vectors whose product of both is beyond float64
  T weights_[kFinished] = {};
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
