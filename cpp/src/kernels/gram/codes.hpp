// From a tile's products to their signs, six to a code: see GramSigns.

#ifndef TAUT_KERNELS_GRAM_CODES_HPP_
#define TAUT_KERNELS_GRAM_CODES_HPP_

#include "kernels/gram/products.hpp"

namespace taut::TAUT_LEVEL {
namespace {

// The signs are read in steps of 6 rows by 24 columns: a byte for each column, four for each row.
constexpr std::size_t kStepRows = kGramSignGroup;
constexpr std::size_t kStepColumns = 4 * kGramSignGroup;
static_assert(kGramSmallTile % kStepColumns == 0);

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
inline bool write_codes(const GramTile& place, const T* tile, const GramSigns* row_signs,
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

// The signs of a diagonal tile's vectors towards their own groups, as numbers; up to a whole group
// of vectors.
template <typename T>
inline void write_own_signs(const GramTile& place, const T* tile, const GramSigns& signs) {
  T* own = static_cast<T*>(signs.own) + (place.row - signs.target_base) * signs.own_group;
  for (std::size_t i = 0; i < round_up(place.rows, kGramSignGroup); ++i) {
    const T* group = tile + i * kGramTile + i / signs.own_group * signs.own_group;
    for (std::size_t j = 0; j < signs.own_group; ++j) {
      *own++ = static_cast<T>((group[j] > 0) - (group[j] < 0));
    }
  }
}

// Takes these out of the words.
inline void skip_own_groups(const GramTile& place, const GramSigns& signs) {
  for (std::size_t i = place.row; i < place.row + place.rows; ++i) {
    *group_code(signs.positive, signs, i, i) = kGramOwnGroup;
    *group_code(signs.negative, signs, i, i) = kGramOwnGroup;
  }
}

}  // namespace
}  // namespace taut::TAUT_LEVEL

#endif  // TAUT_KERNELS_GRAM_CODES_HPP_
