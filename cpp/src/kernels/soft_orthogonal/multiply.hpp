// Blocks of the product of H and the vectors, and from them to the gradient in the caller's array.
//
// A sum over the others is cut as a dot product is (see gram/products.hpp): in chains over
// kGramDepthBlock of them, which are added in order.

#ifndef TAUT_KERNELS_SOFT_ORTHOGONAL_MULTIPLY_HPP_
#define TAUT_KERNELS_SOFT_ORTHOGONAL_MULTIPLY_HPP_

#include "kernels/gram/finish.hpp"
#include "kernels/gram/products.hpp"

namespace taut::TAUT_LEVEL {
namespace {

// Calls visit(group, c, coordinates) for the groups of coordinates in a block, the first of which
// is coordinate c of the block.
template <typename T, typename Visit>
[[gnu::always_inline]] inline void visit_groups(const SoftProduct& product, Visit visit) {
  constexpr std::size_t kColumns = GramShape<T>::kColumns;
  for (std::size_t c = 0; c < product.coordinates; c += kColumns) {
    const std::size_t left = product.coordinates - c;
    visit(group_of<T>(product.turned, product.coordinate + c), c,
          left < kColumns ? left : kColumns);
  }
}

// Copies the rows of a block in whole vectors, of which both have room for.
template <typename T>
inline void copy_block(const SoftProduct& product, const T* from, std::size_t from_stride, T* to,
                       std::size_t to_stride) {
  const std::size_t bytes = round_up(product.coordinates, kLanesOf<T>) * sizeof(T);
  for (std::size_t i = 0; i < product.targets; ++i) {
    __builtin_memcpy(to + i * to_stride, from + i * from_stride, bytes);
  }
}

template <typename T>
[[gnu::noinline]] void multiply_block(const SoftProduct& product, T* tile) {
  using Shape = GramShape<T>;
  const std::size_t others = product.others_end - product.others_begin;
  for (std::size_t k = 0; k < others; k += kGramDepthBlock) {
    const std::size_t left = others - k;
    const std::size_t depth = left < kGramDepthBlock ? left : kGramDepthBlock;
    const T* weights = static_cast<const T*>(product.weights) + k * product.weight_stride;
    const std::size_t other = product.others_begin + k;
    NextBlock<T> next(product.turned, product.coordinate, product.coordinates,
                      other + kGramDepthBlock);
    visit_groups<T>(product, [&](const Group<T>& group, std::size_t c, std::size_t coordinates) {
      const std::size_t vectors = (coordinates + kLanesOf<T> - 1) / kLanesOf<T>;
      const T* numbers = group.rows + other * group.width;
      for (std::size_t i = 0; i < product.targets; i += Shape::kRows) {
        next.fetch_some();
        T* to = tile + i * kGramTile + c;
        if (other == 0) {
          multiply_vectors<T, true>(vectors, weights + i, product.weight_stride, numbers,
                                    group.width, depth, to);
        } else {
          multiply_vectors<T, false>(vectors, weights + i, product.weight_stride, numbers,
                                     group.width, depth, to);
        }
      }
    });
  }
}

// tile[target][coordinate] -= norms[coordinate] * V[target][coordinate]
template <typename T>
[[gnu::noinline]] void subtract_norms(const SoftProduct& product, const double* norms, T* tile) {
  using V = Vector<T, kDoubles>;
  visit_groups<T>(product, [&](const Group<T>& group, std::size_t c, std::size_t coordinates) {
    for (std::size_t i = 0; i < product.targets; ++i) {
      const T* numbers = group.rows + (product.target + i) * group.width;
      T* to = tile + i * kGramTile + c;
      for (std::size_t v = 0; v < coordinates; v += kDoubles) {
        const Doubles negative = -load<Doubles>(norms + group.first + v);
        const Doubles rest =
            multiply_add(negative, load_doubles(numbers + v), load_doubles(to + v));
        store(to + v, __builtin_convertvector(rest, V));
      }
    }
  });
}

// Up to kFinished vectors by kFinished coordinates, from a tile to the caller's array.
template <typename T, typename G>
class SoftFinisher {
 public:
  explicit SoftFinisher(const SoftFinish& finish) : finish_(finish) {}

  void write(const T* tile, std::size_t vectors, std::size_t coordinates, char* to) const {
    if (is_nearer(finish_.target.coordinate_stride, finish_.target.vector_stride)) {
      write_along_coordinates(tile, vectors, coordinates, to);
    } else {
      write_along_vectors(tile, vectors, coordinates, to);
    }
  }

 private:
  [[gnu::noinline]] void write_along_coordinates(const T* tile, std::size_t vectors,
                                                 std::size_t coordinates, char* to) const {
    const GramTarget& target = finish_.target;
    for (std::size_t v = 0; v < vectors; ++v) {
      double slopes[kFinished];
      compute(tile + v * kGramTile, slopes);
      write_line<G>(slopes, coordinates, target.accumulate, to + offset(v, target.vector_stride),
                    target.coordinate_stride);
    }
  }

  // In squares, turned in registers.
  [[gnu::noinline]] void write_along_vectors(const T* tile, std::size_t vectors,
                                             std::size_t coordinates, char* to) const {
    const GramTarget& target = finish_.target;
    constexpr std::size_t kLanes = kLanesOf<T>;
    for (std::size_t v = 0; v < vectors; v += kLanes) {
      const std::size_t lanes = vectors - v < kLanes ? vectors - v : kLanes;
      for (std::size_t c = 0; c < coordinates; c += kLanes) {
        Square<T> square;
        TAUT_UNROLL
        for (std::size_t i = 0; i < kLanes; ++i) {
          const std::size_t of = i < lanes ? i : 0;  // any that is there
          square.lines[i] = load<typename Square<T>::V>(tile + (v + of) * kGramTile + c);
        }
        square.transpose();
        for (std::size_t i = 0; i < kLanes && c + i < coordinates; ++i) {
          T line[kLanes];
          double slopes[kLanes];
          store(line, square.lines[i]);
          compute(line, slopes);
          write_line<G>(
              slopes, lanes, target.accumulate,
              to + offset(v, target.vector_stride) + offset(c + i, target.coordinate_stride),
              target.vector_stride);
        }
      }
    }
  }

  template <std::size_t kLength>
  [[gnu::always_inline]] void compute(const T* sums, double (&slopes)[kLength]) const {
    TAUT_UNROLL
    for (std::size_t i = 0; i < kLength; i += kDoubles) {
      Doubles slope = load_doubles(sums + i) * finish_.coefficient;
      if (finish_.power != 1) {
        slope = slope * finish_.power * finish_.power * finish_.power * finish_.last;
      }
      store(slopes + i, slope);
    }
  }

  const SoftFinish& finish_;
};

template <typename T, typename G>
inline void finish_block(const SoftProduct& product, const T* tile) {
  const GramTarget& target = product.finish->target;
  const SoftFinisher<T, G> finisher(*product.finish);
  for (std::size_t v = 0; v < product.targets; v += kFinished) {
    const std::size_t vectors = product.targets - v < kFinished ? product.targets - v : kFinished;
    for (std::size_t c = 0; c < product.coordinates; c += kFinished) {
      const std::size_t left = product.coordinates - c;
      finisher.write(tile + v * kGramTile + c, vectors, left < kFinished ? left : kFinished,
                     static_cast<char*>(target.data) +
                         offset(product.target + v, target.vector_stride) +
                         offset(product.coordinate + c, target.coordinate_stride));
    }
  }
}

template <typename Storage>
void soft_multiply(const SoftProduct& product, void* scratch) {
  using T = ComputeOf<Storage>;
  using Wide = typename WideGradient<Storage>::type;
  T* tile = static_cast<T*>(scratch);
  T* sums = static_cast<T*>(product.sums);
  if (sums != nullptr) {
    sums += product.coordinate;
    if (product.others_begin > 0) copy_block(product, sums, product.sum_stride, tile, kGramTile);
  }
  multiply_block(product, tile);
  if (product.finish == nullptr) {
    copy_block(product, tile, kGramTile, sums, product.sum_stride);
    return;
  }
  if (product.finish->norms != nullptr) subtract_norms(product, product.finish->norms, tile);
  if (product.finish->target.float32 && sizeof(Storage) == 2) {
    finish_block<T, Wide>(product, tile);
  } else {
    finish_block<T, Storage>(product, tile);
  }
}

}  // namespace
}  // namespace taut::TAUT_LEVEL

#endif  // TAUT_KERNELS_SOFT_ORTHOGONAL_MULTIPLY_HPP_
