// One tile of the Gram matrix: its dot products, their weighted absolute sum, and their signs.
//
// The dot products are partial sums over kGramDepthBlock coordinates, each a chain of multiply-adds
// in a register, added in order. The tile stays in the second-level cache between the blocks; it is
// never part of a larger matrix.
//
// The sign of a pair is that of its raw dot product. Where a term may have left the range of T, so
// that what is lost could count, it is that of the exact one, computed from the source. Whether it
// may have is told from the vectors' smallest numbers, so that pairs of ordinary magnitudes, the
// orthogonal ones too, never come to that.

#ifndef TAUT_KERNELS_GRAM_TILE_HPP_
#define TAUT_KERNELS_GRAM_TILE_HPP_

#include "kernels/gram/exact_dot.hpp"
#include "kernels/gram/shape.hpp"

namespace taut::TAUT_LEVEL {
namespace {

// tile[kRows][kColumns] (+)= Σ a[k][row] * b[k][column] over `depth` coordinates k.
template <typename T, bool kFirst>
[[gnu::always_inline]] inline void multiply_registers(const T* a, const T* b, std::size_t depth,
                                                      T* tile) {
  using Shape = GramShape<T>;
  using V = Vector<T, kLanesOf<T>>;
  V sums[Shape::kRows][Shape::kColumnVectors] = {};
  for (std::size_t k = 0; k < depth; ++k) {
    V columns[Shape::kColumnVectors];
    TAUT_UNROLL
    for (std::size_t j = 0; j < Shape::kColumnVectors; ++j) {
      columns[j] = load<V>(b + k * Shape::kColumns + j * kLanesOf<T>);
    }
    TAUT_UNROLL
    for (std::size_t i = 0; i < Shape::kRows; ++i) {
      const V row = broadcast<V>(a[k * Shape::kColumns + i]);
      TAUT_UNROLL
      for (std::size_t j = 0; j < Shape::kColumnVectors; ++j) {
        sums[i][j] = multiply_add(row, columns[j], sums[i][j]);
      }
    }
  }
  TAUT_UNROLL
  for (std::size_t i = 0; i < Shape::kRows; ++i) {
    TAUT_UNROLL
    for (std::size_t j = 0; j < Shape::kColumnVectors; ++j) {
      T* to = tile + i * kGramTile + j * kLanesOf<T>;
      store(to, kFirst ? sums[i][j] : load<V>(to) + sums[i][j]);
    }
  }
}

// Where a tile lies and how much of it there is.
struct TilePlace {
  std::size_t row;
  std::size_t column;
  std::size_t rows;     // at most kGramTile
  std::size_t columns;  // at most kGramTile
  bool diagonal() const { return row == column; }
};

// Asks for the next depth block of some vectors, a few cache lines at a time, while this one is
// multiplied: it lies where no hardware prefetcher looks.
template <typename T>
class NextBlock {
 public:
  NextBlock(const GramMatrix& matrix, std::size_t first, std::size_t vectors, std::size_t k)
      : at_(static_cast<const char*>(matrix.rows) +
            (first * matrix.length + k * kColumns) * sizeof(T)),
        group_bytes_(matrix.length * kColumns * sizeof(T)),
        groups_(k < matrix.length ? (vectors + kColumns - 1) / kColumns : 0) {
    const std::size_t left = groups_ == 0 ? 0 : matrix.length - k;
    block_bytes_ = (left < kGramDepthBlock ? left : kGramDepthBlock) * kColumns * sizeof(T);
  }

  [[gnu::always_inline]] void fetch_some() {
    constexpr std::size_t kLines = 6;
    constexpr std::size_t kLineBytes = 64;
    for (std::size_t line = 0; line < kLines && groups_ > 0; ++line) {
      __builtin_prefetch(at_ + done_, 0, 2);
      done_ += kLineBytes;
      if (done_ >= block_bytes_) {
        at_ += group_bytes_;
        done_ = 0;
        --groups_;
      }
    }
  }

 private:
  static constexpr std::size_t kColumns = GramShape<T>::kColumns;
  const char* at_;
  std::size_t group_bytes_;
  std::size_t block_bytes_;
  std::size_t groups_;
  std::size_t done_ = 0;
};

// `adds`: to what is there, as to the tile of earlier coordinates.
template <typename T>
inline void multiply_tile(const GramMatrix& matrix, const TilePlace& place, bool adds, T* tile) {
  using Shape = GramShape<T>;
  const T* packed = static_cast<const T*>(matrix.rows);
  for (std::size_t k = 0; k < matrix.length; k += kGramDepthBlock) {
    const std::size_t left = matrix.length - k;
    const std::size_t depth = left < kGramDepthBlock ? left : kGramDepthBlock;
    NextBlock<T> next_rows(matrix, place.row, place.rows, k + kGramDepthBlock);
    NextBlock<T> next_columns(matrix, place.column, place.columns, k + kGramDepthBlock);
    for (std::size_t j = 0; j < place.columns; j += Shape::kColumns) {
      const T* b = packed + (place.column + j) * matrix.length + k * Shape::kColumns;
      for (std::size_t i = 0; i < place.rows; i += Shape::kRows) {
        if (place.diagonal() && i >= j + Shape::kColumns) break;  // below the diagonal
        next_rows.fetch_some();
        next_columns.fetch_some();
        const std::size_t within = (place.row + i) % Shape::kColumns;
        const T* a =
            packed + (place.row + i - within) * matrix.length + k * Shape::kColumns + within;
        T* to = tile + i * kGramTile + j;
        if (k == 0 && !adds) {
          multiply_registers<T, true>(a, b, depth, to);
        } else {
          multiply_registers<T, false>(a, b, depth, to);
        }
      }
    }
  }
}

// The signs are read in steps of 6 rows by 24 columns: a byte for each column, four for each row.
constexpr std::size_t kStepRows = kGramSignGroup;
constexpr std::size_t kStepColumns = 4 * kGramSignGroup;
constexpr std::size_t kRowMultiple = 2 * kStepRows;  // a whole number of 4 too, for the sum
static_assert(kGramTile % kStepColumns == 0 && kGramTile % kRowMultiple == 0);

// Makes the tile one that needs no special case: the lower half of a diagonal tile mirrors the
// upper one, a vector has no pair with itself (sign 0), and vectors beyond the last (weight 0) have
// sign 1, so that nobody takes them for orthogonal.
template <typename T>
inline void complete_tile(const TilePlace& place, T* tile) {
  if (place.diagonal()) {
    for (std::size_t i = 0; i < place.rows; ++i) {
      for (std::size_t j = 0; j < i; ++j) tile[i * kGramTile + j] = tile[j * kGramTile + i];
      tile[i * kGramTile + i] = 0;
    }
  }
  const std::size_t rows = round_up(place.rows, kRowMultiple);
  const std::size_t columns = round_up(place.columns, kStepColumns);
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = i < place.rows ? place.columns : 0; j < columns; ++j) {
      tile[i * kGramTile + j] = 1;
    }
  }
}

// Σ |tile[i][j]| weightᵢ weightⱼ: per row in 8 float64 lanes, column j to lane j mod 8; rows are
// then added in order, lanes in a tree.
template <typename T>
inline double sum_tile(const GramMatrix& matrix, const TilePlace& place, const T* tile) {
  constexpr std::size_t kLanes = 8;
  constexpr std::size_t kVectors = kLanes / kDoubles;
  constexpr std::size_t kRows = 4;  // at once: their sums fit the registers
  Doubles total[kVectors] = {};
  for (std::size_t i = 0; i < place.rows; i += kRows) {
    Doubles sums[kRows][kVectors] = {};
    for (std::size_t j = 0; j < place.columns; j += kLanes) {
      TAUT_UNROLL
      for (std::size_t v = 0; v < kVectors; ++v) {
        const Doubles weights = load<Doubles>(matrix.weights + place.column + j + v * kDoubles);
        TAUT_UNROLL
        for (std::size_t r = 0; r < kRows; ++r) {
          const T* from = tile + (i + r) * kGramTile + j + v * kDoubles;
          sums[r][v] = multiply_add(absolute(load_doubles(from)), weights, sums[r][v]);
        }
      }
    }
    TAUT_UNROLL
    for (std::size_t r = 0; r < kRows; ++r) {
      const Doubles weight = broadcast<Doubles>(matrix.weights[place.row + i + r]);
      TAUT_UNROLL
      for (std::size_t v = 0; v < kVectors; ++v) {
        total[v] = multiply_add(sums[r][v], weight, total[v]);
      }
    }
  }
  double lanes[kLanes];
  __builtin_memcpy(lanes, total, sizeof(lanes));
  for (std::size_t width = kLanes / 2; width > 0; width /= 2) {
    for (std::size_t lane = 0; lane < width; ++lane) lanes[lane] += lanes[lane + width];
  }
  return lanes[0];
}

// Whether anything may be lost of a dot product below the range of T, from the smallest magnitudes
// of its two vectors. A term is a whole number of ulp(a) ulp(b): while that is no smaller than T's
// own smallest number, every result that is too small to be rounded is exact.
template <typename T>
[[gnu::always_inline]] inline bool may_lose(double smallest, double other_smallest) {
  constexpr double kUnits = static_cast<double>(INT64_C(1) << (GramRange<T>::kDigits - 1));
  return smallest * other_smallest < GramRange<T>::kSmallest * kUnits * kUnits;
}

// The dot products that what is lost could change by more than rounding does. Each term may be off
// by T's smallest number; and by half of that times a number of the other vector, which is at most
// kSafeLargest, where one was scaled to below the range.
template <typename T>
[[gnu::always_inline]] inline double uncertain_below(std::size_t length) {
  constexpr double kLost = GramRange<T>::kSmallest * (2 * kSafeLargest);
  constexpr double kRounding = static_cast<double>(INT64_C(1) << GramRange<T>::kDigits);
  return static_cast<double>(length) * (kLost * kRounding);
}

template <typename T>
inline bool may_lose_any(const GramMatrix& matrix, const TilePlace& place) {
  double row = matrix.smallest[place.row];
  double column = matrix.smallest[place.column];
  for (std::size_t i = 1; i < place.rows; ++i) {
    const double smallest = matrix.smallest[place.row + i];
    row = smallest < row ? smallest : row;
  }
  for (std::size_t j = 1; j < place.columns; ++j) {
    const double smallest = matrix.smallest[place.column + j];
    column = smallest < column ? smallest : column;
  }
  return may_lose<T>(row, column);
}

// The pairs (i, j) of a tile in which something that counts may be lost; without those below the
// diagonal of a diagonal tile.
template <typename T, typename Visit>
[[gnu::always_inline]] inline void visit_uncertain(const GramMatrix& matrix, const TilePlace& place,
                                                   const T* tile, Visit visit) {
  const double bound = uncertain_below<T>(matrix.length);
  for (std::size_t i = 0; i < place.rows; ++i) {
    for (std::size_t j = place.diagonal() ? i + 1 : 0; j < place.columns; ++j) {
      if (__builtin_fabs(tile[i * kGramTile + j]) <= bound &&
          may_lose<T>(matrix.smallest[place.row + i], matrix.smallest[place.column + j])) {
        visit(i, j);
      }
    }
  }
}

template <typename T>
[[gnu::noinline]] void clear_uncertain(const GramMatrix& matrix, const TilePlace& place, T* tile) {
  visit_uncertain(matrix, place, tile, [&](std::size_t i, std::size_t j) {
    tile[i * kGramTile + j] = 0;
    if (place.diagonal()) tile[j * kGramTile + i] = 0;
  });
}

// Gives each of these pairs the sign of its exact dot product, in the smallest number that has
// one, and returns what they add to the tile's sum.
template <typename T>
[[gnu::noinline]] double complete_uncertain(const GramMatrix& matrix, const TilePlace& place,
                                            ExactDotFunction exact, T* tile) {
  double sum = 0;
  visit_uncertain(matrix, place, tile, [&](std::size_t i, std::size_t j) {
    const ExactDot dot = exact(matrix.source, matrix.length, place.row + i, place.column + j);
    if (dot.sign == 0) return;
    // The reciprocals are multiplied without their exponents, which may leave the range.
    const double row = matrix.reciprocals[place.row + i];
    const double column = matrix.reciprocals[place.column + j];
    const int row_exponent = __builtin_ilogb(row);
    const int column_exponent = __builtin_ilogb(column);
    const double significand = dot.magnitude * __builtin_ldexp(row, -row_exponent) *
                               __builtin_ldexp(column, -column_exponent);
    const double cosine =
        __builtin_ldexp(significand, dot.exponent + row_exponent + column_exponent);
    sum += place.diagonal() ? 2 * cosine : cosine;
    const T signed_number = static_cast<T>(dot.sign * GramRange<T>::kSmallest);
    tile[i * kGramTile + j] = signed_number;
    if (place.diagonal()) tile[j * kGramTile + i] = signed_number;
  });
  return sum;
}

template <typename T>
struct SignVectors {
  static constexpr std::size_t kLanes = kVectorBytes < 32 ? 16 / sizeof(T) : 32 / sizeof(T);
  static constexpr std::size_t kCount = kStepColumns / kLanes;
  using Values = Vector<T, kLanes>;
  using Masks = decltype(Values{} > Values{});
  using Code = typename IntegerOf<sizeof(T)>::type;
};

// Where the word of a target and the block of an other stands, and its flag.
[[gnu::always_inline]] inline std::size_t word_index(const GramSigns& signs, std::size_t target,
                                                     std::size_t other) {
  return (other - signs.other_base) / kGramSignBlock * signs.targets + target - signs.target_base;
}

// The code of the group that `other` begins; words are little-endian on every level.
[[gnu::always_inline]] inline std::uint8_t* group_code(std::uint64_t* words, const GramSigns& signs,
                                                       std::size_t target, std::size_t other) {
  const std::size_t group = (other - signs.other_base) % kGramSignBlock / kGramSignGroup;
  return reinterpret_cast<std::uint8_t*>(words + word_index(signs, target, other)) + group;
}

// 24 bits as four codes of 6.
[[gnu::always_inline]] inline std::uint32_t split_groups(std::uint32_t bits) {
  return (bits & 0x3f) | (bits & 0xfc0) << 2 | (bits & 0x3f000) << 4 | (bits & 0xfc0000) << 6;
}

// Writes the codes of one sign in both directions; returns whether any pair has sign 0.
template <typename T, bool kPositive>
inline bool write_codes(const TilePlace& place, const T* tile, const GramSigns* row_signs,
                        const GramSigns* column_signs) {
  using Signs = SignVectors<T>;
  using Masks = typename Signs::Masks;
  Masks zeros{};
  for (std::size_t i = 0; i < place.rows; i += kStepRows) {
    for (std::size_t j = 0; j < place.columns; j += kStepColumns) {
      std::uint32_t row_bits[kStepRows] = {};
      typename Signs::Code column_codes[kStepColumns];
      TAUT_UNROLL
      for (std::size_t v = 0; v < Signs::kCount; ++v) {
        Masks columns{};
        TAUT_UNROLL
        for (std::size_t r = 0; r < kStepRows; ++r) {
          const auto values =
              load<typename Signs::Values>(tile + (i + r) * kGramTile + j + v * Signs::kLanes);
          const Masks masks = kPositive ? values > 0 : values < 0;
          const auto bit = static_cast<typename Signs::Code>(typename Signs::Code{1} << r);
          zeros |= values == 0;
          row_bits[r] |= mask_bits(masks) << (v * Signs::kLanes);
          columns |= masks & bit;
        }
        store(column_codes + v * Signs::kLanes, columns);
      }
      if (row_signs != nullptr) {
        std::uint8_t* codes = group_code(kPositive ? row_signs->positive : row_signs->negative,
                                         *row_signs, place.row + i, place.column + j);
        const std::size_t rows = place.rows - i < kStepRows ? place.rows - i : kStepRows;
        for (std::size_t r = 0; r < rows; ++r) {
          store(codes + r * sizeof(std::uint64_t), split_groups(row_bits[r]));
        }
      }
      if (column_signs != nullptr) {
        std::uint8_t* codes =
            group_code(kPositive ? column_signs->positive : column_signs->negative, *column_signs,
                       place.column + j, place.row + i);
        const std::size_t left = place.columns - j;
        const std::size_t columns = left < kStepColumns ? left : kStepColumns;
        for (std::size_t c = 0; c < columns; ++c) {
          codes[c * sizeof(std::uint64_t)] = static_cast<std::uint8_t>(column_codes[c]);
        }
      }
    }
  }
  return mask_bits(zeros) != 0;
}

// Flags the targets of one direction that have a sign 0: neither sign's code has their bit. Where
// the tile has no zero at all, `negative` was not written.
inline void write_flags(const GramSigns& signs, std::size_t target, std::size_t targets,
                        std::size_t other, std::size_t others, bool any_zero) {
  for (std::size_t block = 0; block < others; block += kGramSignBlock) {
    const std::size_t left = others - block < kGramSignBlock ? others - block : kGramSignBlock;
    const std::size_t unused_bytes =
        sizeof(std::uint64_t) - round_up(left, kGramSignGroup) / kGramSignGroup;
    const std::uint64_t all = UINT64_C(0x3f3f3f3f3f3f3f3f) >> (8 * unused_bytes);
    const std::size_t at = word_index(signs, target, other + block);
    for (std::size_t t = 0; t < targets; ++t) {
      signs.has_zero[at + t] =
          any_zero && ((signs.positive[at + t] | signs.negative[at + t]) & all) != all;
    }
  }
}

// From a tile's products to its sum and its signs.
template <typename T>
[[gnu::always_inline]] inline double finish_tile(const GramMatrix& matrix, const TilePlace& place,
                                                 const GramSigns* row_signs,
                                                 const GramSigns* column_signs,
                                                 ExactDotFunction exact, T* products) {
  complete_tile(place, products);
  const bool loses = may_lose_any<T>(matrix, place);
  if (loses) clear_uncertain(matrix, place, products);
  double sum = sum_tile(matrix, place, products);
  if (loses) sum += complete_uncertain(matrix, place, exact, products);
  if (row_signs != nullptr || column_signs != nullptr) {
    if (place.diagonal()) column_signs = nullptr;
    const bool any_zero = write_codes<T, true>(place, products, row_signs, column_signs);
    if (any_zero) write_codes<T, false>(place, products, row_signs, column_signs);
    if (row_signs != nullptr) {
      write_flags(*row_signs, place.row, place.rows, place.column, place.columns, any_zero);
    }
    if (column_signs != nullptr) {
      write_flags(*column_signs, place.column, place.columns, place.row, place.rows, any_zero);
    }
  }
  return place.diagonal() ? sum / 2 : sum;  // a diagonal tile has every pair twice
}

// The tile of any Storage that is computed in T.
template <typename T>
[[gnu::noinline]] double tile_of(const GramMatrix& matrix, std::size_t row, std::size_t column,
                                 const GramSigns* row_signs, const GramSigns* column_signs,
                                 ExactDotFunction exact, void* scratch) {
  const std::size_t rows_left = matrix.vectors - row;
  const std::size_t columns_left = matrix.vectors - column;
  const TilePlace place{row, column, rows_left < kGramTile ? rows_left : kGramTile,
                        columns_left < kGramTile ? columns_left : kGramTile};
  T* products = static_cast<T*>(scratch);
  multiply_tile(matrix, place, false, products);
  return finish_tile(matrix, place, row_signs, column_signs, exact, products);
}

template <typename Storage>
double tile(const GramMatrix& matrix, std::size_t row, std::size_t column,
            const GramSigns* row_signs, const GramSigns* column_signs, void* scratch) {
  return tile_of<ComputeOf<Storage>>(matrix, row, column, row_signs, column_signs,
                                     exact_dot<Storage>, scratch);
}

}  // namespace
}  // namespace taut::TAUT_LEVEL

#endif  // TAUT_KERNELS_GRAM_TILE_HPP_
