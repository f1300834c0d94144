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

// target (+)= slopes, for up to kGramPanel vectors by kGramPanel coordinates, in lines along
// whichever axis is nearer in memory.
template <typename G>
inline void write_block(const double (&slopes)[kGramPanel][kGramPanel], const GramTarget& target,
                        std::size_t vector, std::size_t vectors, std::size_t coordinate,
                        std::size_t coordinates) {
  char* base = static_cast<char*>(target.data) + offset(vector, target.vector_stride) +
               offset(coordinate, target.coordinate_stride);
  if (is_nearer(target.coordinate_stride, target.vector_stride)) {
    for (std::size_t v = 0; v < vectors; ++v) {
      write_line<G>(slopes[v], coordinates, target.accumulate,
                    base + offset(v, target.vector_stride), target.coordinate_stride);
    }
    return;
  }
  double turned[kGramPanel][kGramPanel];
  for (std::size_t part = 0; part < kGramPanel; part += kDoubles) {
    for (std::size_t v = 0; v < kGramPanel; v += kDoubles) {
      Square<double> square;
      TAUT_UNROLL
      for (std::size_t i = 0; i < kDoubles; ++i) {
        square.lines[i] = load<Doubles>(slopes[v + i] + part);
      }
      square.transpose();
      TAUT_UNROLL
      for (std::size_t i = 0; i < kDoubles; ++i) store(turned[part + i] + v, square.lines[i]);
    }
  }
  for (std::size_t c = 0; c < coordinates; ++c) {
    write_line<G>(turned[c], vectors, target.accumulate, base + offset(c, target.coordinate_stride),
                  target.vector_stride);
  }
}

template <typename Storage>
void finish(const GramMatrix& matrix, std::size_t begin, std::size_t end, double coefficient,
            const GramTarget& target) {
  using T = ComputeOf<Storage>;
  const std::size_t panel_size = matrix.padded_vectors * kGramPanel;
  const T* directions = static_cast<const T*>(matrix.directions);
  const T* gradients = static_cast<const T*>(matrix.gradients);
  for (std::size_t first = begin; first < end; first += kGramPanel) {
    const std::size_t vectors = end - first < kGramPanel ? end - first : kGramPanel;
    double projections[kGramPanel] = {};
    double factors[kGramPanel] = {};
    for (std::size_t v = 0; v < vectors; ++v) {
      SumLanes lanes{};
      for (std::size_t c = 0; c < matrix.length; c += kGramPanel) {
        const std::size_t at = c / kGramPanel * panel_size + (first + v) * kGramPanel;
        TAUT_UNROLL
        for (std::size_t part = 0; part < kParts; ++part) {
          const Doubles direction = load_doubles(directions + at + part * kDoubles);
          const Doubles gradient = load_doubles(gradients + at + part * kDoubles);
          lanes.parts[part] = multiply_add(direction, gradient, lanes.parts[part]);
        }
      }
      projections[v] = matrix.clamped[first + v] ? 0 : add_lanes(lanes);
      factors[v] = coefficient * matrix.reciprocals[first + v];
    }
    for (std::size_t c = 0; c < matrix.length; c += kGramPanel) {
      const std::size_t left = matrix.length - c;
      const std::size_t coordinates = left < kGramPanel ? left : kGramPanel;
      double slopes[kGramPanel][kGramPanel];
      for (std::size_t v = 0; v < vectors; ++v) {
        const std::size_t at = c / kGramPanel * panel_size + (first + v) * kGramPanel;
        TAUT_UNROLL
        for (std::size_t i = 0; i < kGramPanel; i += kDoubles) {
          const Doubles along = load_doubles(directions + at + i) * projections[v];
          store(slopes[v] + i, (load_doubles(gradients + at + i) - along) * factors[v]);
        }
      }
      if (target.float32 && sizeof(Storage) == 2) {
        write_block<float>(slopes, target, first, vectors, c, coordinates);
      } else {
        write_block<Storage>(slopes, target, first, vectors, c, coordinates);
      }
    }
  }
}

}  // namespace
}  // namespace taut::TAUT_LEVEL

#endif  // TAUT_KERNELS_GRAM_FINISH_HPP_
