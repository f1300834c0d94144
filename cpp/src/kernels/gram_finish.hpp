// From gᵢ = Σⱼ sign(i, j) x̂ⱼ to the gradient with respect to xᵢ, into the caller's array:
// dxᵢ = (gᵢ - x̂ᵢ <x̂ᵢ,gᵢ>) / |xᵢ|, and gᵢ / 1e-7 where |xᵢ| is below that.

#ifndef TAUT_KERNELS_GRAM_FINISH_HPP_
#define TAUT_KERNELS_GRAM_FINISH_HPP_

#include "kernels/elementwise.hpp"
#include "kernels/gram_lines.hpp"

namespace taut::TAUT_LEVEL {
namespace {

// target (+)= slopes, for a line of the caller's gradient.
template <typename G>
[[gnu::always_inline]] inline void write_line(const double (&slopes)[kGramPanel], std::size_t count,
                                              bool accumulate, char* to, std::ptrdiff_t stride) {
  G line[kGramPanel];
  gather_line(to, stride, accumulate ? count : 0, line);
  TAUT_UNROLL
  for (std::size_t i = 0; i < kGramPanel; i += kDoubles) {
    Doubles slope = load<Doubles>(slopes + i);
    if (accumulate) slope += load_doubles(line + i);
    store_doubles(line + i, slope);
  }
  scatter_line(line, count, to, stride);
}

// target (+)= slopes, for up to kGramPanel coordinates by kGramPanel vectors, in lines along the
// vectors.
template <typename G>
inline void write_turned(const double (&slopes)[kGramPanel][kGramPanel], const GramTarget& target,
                         std::size_t vectors, std::size_t coordinates, char* to) {
  for (std::size_t c = 0; c < coordinates; ++c) {
    double line[kGramPanel];
    TAUT_UNROLL
    for (std::size_t v = 0; v < kGramPanel; ++v) line[v] = slopes[v][c];
    write_line<G>(line, vectors, target.accumulate, to + offset(c, target.coordinate_stride),
                  target.vector_stride);
  }
}

// Up to kGramPanel vectors that are finished together.
template <typename Storage, typename G>
class FinishedVectors {
 public:
  using T = ComputeOf<Storage>;

  FinishedVectors(const GramMatrix& matrix, std::size_t first, std::size_t vectors,
                  double coefficient)
      : matrix_(matrix), first_(first), vectors_(vectors) {
    // Panel by panel, as they lie in memory.
    SumLanes lanes[kGramPanel] = {};
    for (std::size_t c = 0; c < matrix.length; c += kGramPanel) {
      for (std::size_t v = 0; v < vectors; ++v) {
        TAUT_UNROLL
        for (std::size_t part = 0; part < kParts; ++part) {
          lanes[v].parts[part] =
              multiply_add(direction(v, c, part), gradient(v, c, part), lanes[v].parts[part]);
        }
      }
    }
    for (std::size_t v = 0; v < vectors; ++v) {
      projections_[v] = matrix.clamped[first + v] ? 0 : add_lanes(lanes[v]);
      factors_[v] = coefficient * matrix.reciprocals[first + v];
    }
  }

  void write(const GramTarget& target) const {
    char* base = static_cast<char*>(target.data) + offset(first_, target.vector_stride);
    if (is_nearer(target.coordinate_stride, target.vector_stride)) {
      for (std::size_t v = 0; v < vectors_; ++v) {
        for (std::size_t c = 0; c < matrix_.length; c += kGramPanel) {
          double slopes[kGramPanel];
          compute(v, c, slopes);
          write_line<G>(
              slopes, coordinates_from(c), target.accumulate,
              base + offset(v, target.vector_stride) + offset(c, target.coordinate_stride),
              target.coordinate_stride);
        }
      }
      return;
    }
    double slopes[kGramPanel][kGramPanel] = {};
    for (std::size_t c = 0; c < matrix_.length; c += kGramPanel) {
      for (std::size_t v = 0; v < vectors_; ++v) compute(v, c, slopes[v]);
      write_turned<G>(slopes, target, vectors_, coordinates_from(c),
                      base + offset(c, target.coordinate_stride));
    }
  }

 private:
  std::size_t coordinates_from(std::size_t c) const {
    return matrix_.length - c < kGramPanel ? matrix_.length - c : kGramPanel;
  }
  std::size_t at(std::size_t v, std::size_t c, std::size_t part) const {
    return c * matrix_.padded_vectors + (first_ + v) * kGramPanel + part * kDoubles;
  }
  [[gnu::always_inline]] Doubles direction(std::size_t v, std::size_t c, std::size_t part) const {
    return load_doubles(static_cast<const T*>(matrix_.directions) + at(v, c, part));
  }
  [[gnu::always_inline]] Doubles gradient(std::size_t v, std::size_t c, std::size_t part) const {
    return load_doubles(static_cast<const T*>(matrix_.gradients) + at(v, c, part));
  }
  [[gnu::always_inline]] void compute(std::size_t v, std::size_t c,
                                      double (&slopes)[kGramPanel]) const {
    TAUT_UNROLL
    for (std::size_t part = 0; part < kParts; ++part) {
      const Doubles along = direction(v, c, part) * projections_[v];
      store(slopes + part * kDoubles, (gradient(v, c, part) - along) * factors_[v]);
    }
  }

  const GramMatrix& matrix_;
  std::size_t first_;
  std::size_t vectors_;
  double projections_[kGramPanel];
  double factors_[kGramPanel];
};

template <typename Storage>
void finish(const GramMatrix& matrix, std::size_t begin, std::size_t end, double coefficient,
            const GramTarget& target) {
  using Wide = typename WideGradient<Storage>::type;
  for (std::size_t first = begin; first < end; first += kGramPanel) {
    const std::size_t vectors = end - first < kGramPanel ? end - first : kGramPanel;
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
