// A tile of H: the products of gram/products.hpp, what stands on the diagonal, and the sum of the
// squares, while it is in a cache.

#ifndef TAUT_KERNELS_SOFT_ORTHOGONAL_GRAM_TILE_HPP_
#define TAUT_KERNELS_SOFT_ORTHOGONAL_GRAM_TILE_HPP_

#include "kernels/gram/tile.hpp"

namespace taut::TAUT_LEVEL {
namespace {

constexpr std::size_t kSquareRows = 4;  // whose sums are taken at once
using SquareLanes = Lanes<8>;

template <typename T>
constexpr std::size_t kSoftScratch = kGramTile * kGramTile * sizeof(T);

// Makes both halves of a diagonal tile, and its diagonal.
template <typename T>
inline void complete_diagonal(const GramTile& place, SoftDiagonal diagonal, double one, T* tile) {
  mirror_tile(place, tile);
  if (diagonal == SoftDiagonal::kWhole) return;
  for (std::size_t i = 0; i < place.rows; ++i) {
    T& square = tile[i * kGramTile + i];
    square =
        diagonal == SoftDiagonal::kNone ? T{0} : static_cast<T>(static_cast<double>(square) - one);
  }
}

// Zeros beyond the last row and column, up to where sums are taken.
template <typename T>
inline void clear_edges(const GramTile& place, T* tile) {
  constexpr std::size_t kLanes = SquareLanes::kParts * kDoubles;
  const std::size_t columns = round_up(place.columns, kLanes);
  for (std::size_t i = 0; i < round_up(place.rows, kSquareRows); ++i) {
    for (std::size_t j = i < place.rows ? place.columns : 0; j < columns; ++j) {
      tile[i * kGramTile + j] = 0;
    }
  }
}

// Row i is added up with the rows i mod kSquareRows, column j in lane j mod 8.
template <typename T>
inline double sum_of_squares(const GramTile& place, const T* tile) {
  constexpr std::size_t kLanes = SquareLanes::kParts * kDoubles;
  SquareLanes sums[kSquareRows];
  for (std::size_t i = 0; i < place.rows; i += kSquareRows) {
    for (std::size_t j = 0; j < place.columns; j += kLanes) {
      TAUT_UNROLL
      for (std::size_t r = 0; r < kSquareRows; ++r) {
        TAUT_UNROLL
        for (std::size_t part = 0; part < SquareLanes::kParts; ++part) {
          const Doubles h = load_doubles(tile + (i + r) * kGramTile + j + part * kDoubles);
          sums[r].parts[part] = multiply_add(h, h, sums[r].parts[part]);
        }
      }
    }
  }
  return (sums[0].sum() + sums[1].sum()) + (sums[2].sum() + sums[3].sum());
}

// to[i][j] = tile[i][j], in whole vectors of columns.
template <typename T>
inline void copy_rows(const GramTile& place, const T* tile, T* to, std::size_t stride) {
  using V = Vector<T, kLanesOf<T>>;
  for (std::size_t i = 0; i < place.rows; ++i) {
    for (std::size_t j = 0; j < place.columns; j += kLanesOf<T>) {
      store(to + i * stride + j, load<V>(tile + i * kGramTile + j));
    }
  }
}

// to[j][i] = tile[i][j], in whole vectors of rows.
template <typename T>
inline void copy_turned(const GramTile& place, const T* tile, T* to, std::size_t stride) {
  constexpr std::size_t kLanes = kLanesOf<T>;
  for (std::size_t i = 0; i < place.rows; i += kLanes) {
    for (std::size_t j = 0; j < place.columns; j += kLanes) {
      Square<T> square;
      TAUT_UNROLL
      for (std::size_t line = 0; line < kLanes; ++line) {
        square.lines[line] = load<typename Square<T>::V>(tile + (i + line) * kGramTile + j);
      }
      square.transpose();
      TAUT_UNROLL
      for (std::size_t line = 0; line < kLanes; ++line) {
        if (j + line < place.columns) store(to + (j + line) * stride + i, square.lines[line]);
      }
    }
  }
}

template <typename T>
inline void write_strip(const GramTile& place, const T* tile, const SoftStrip& strip) {
  const std::size_t row = place.row - strip.begin;
  const std::size_t column = place.column - strip.begin;
  T* own = static_cast<T*>(strip.own);
  if (place.column >= strip.end) {
    T* below = static_cast<T*>(strip.below) + (place.column - strip.end);
    copy_rows(place, tile, below + row * strip.below_stride, strip.below_stride);
  } else {
    copy_rows(place, tile, own + row * strip.own_stride + column, strip.own_stride);
  }
  if (!place.diagonal()) {
    copy_turned(place, tile, own + column * strip.own_stride + row, strip.own_stride);
  }
}

template <typename T>
void soft_multiply_window(const GramMatrix& window, const GramTile& place, void* products) {
  multiply_tile(window, place, false, static_cast<T*>(products));
}

// tile = the sum of the windows' products, in float64: a chain of float32 additions over the length
// of very long vectors would lose digits.
template <typename T>
inline void sum_windows(const char* products, std::size_t windows, std::size_t stride,
                        const GramTile& place, T* tile) {
  using V = Vector<T, kDoubles>;
  const std::size_t columns = round_up(place.columns, kLanesOf<T>);
  for (std::size_t i = 0; i < round_up(place.rows, GramShape<T>::kRows); ++i) {
    const std::size_t first = place.diagonal() ? i - i % kLanesOf<T> : 0;
    for (std::size_t j = first; j < columns; j += kDoubles) {
      const char* from = products + (i * kGramTile + j) * sizeof(T);
      Doubles sum = load_doubles(reinterpret_cast<const T*>(from));
      for (std::size_t window = 1; window < windows; ++window) {
        from += stride;
        sum += load_doubles(reinterpret_cast<const T*>(from));
      }
      store(tile + i * kGramTile + j, __builtin_convertvector(sum, V));
    }
  }
}

template <typename T>
double soft_finish_tile(const void* products, std::size_t windows, std::size_t stride,
                        const GramTile& place, SoftDiagonal diagonal, double one,
                        const SoftStrip* strip, void* scratch) {
  T* tile = static_cast<T*>(scratch);
  if (products != scratch) {
    sum_windows(static_cast<const char*>(products), windows, stride, place, tile);
  }
  if (place.diagonal()) complete_diagonal(place, diagonal, one, tile);
  clear_edges(place, tile);
  if (strip != nullptr) write_strip(place, tile, *strip);
  const double sum = sum_of_squares(place, tile);
  return place.diagonal() ? sum : 2 * sum;
}

}  // namespace
}  // namespace taut::TAUT_LEVEL

#endif  // TAUT_KERNELS_SOFT_ORTHOGONAL_GRAM_TILE_HPP_
