// From a tile's products to their signs, six to a code: see GramSigns.

#ifndef TAUT_KERNELS_GRAM_CODES_HPP_
#define TAUT_KERNELS_GRAM_CODES_HPP_

#include <type_traits>

#include "kernels/gram/products.hpp"

namespace taut::TAUT_LEVEL {
namespace {

// The signs are read in squares of four groups by four, each of which is half a word of each of its
// targets, in either direction.
constexpr std::size_t kCodedGroups = 4;
constexpr std::size_t kCoded = kCodedGroups * kGramSignGroup;
static_assert(kGramSmallTile % kCoded == 0 && kGramSignBlock == 2 * kCoded);
constexpr std::uint32_t kAllCodes = 0x3f3f3f3f;

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

// Numbers as their bits, of which the highest is set where a number is negative.
template <typename T>
struct CodedVector {
  static constexpr std::size_t kLanes = (kVectorBytes < 32 ? 16 : 32) / sizeof(T);
  static constexpr std::size_t kCount = kCoded / kLanes;
  static constexpr int kHighest = 8 * sizeof(T) - 1;
  using Values = Vector<T, kLanes>;
  using Integer = typename IntegerOf<sizeof(T)>::type;
  using Unsigned = std::make_unsigned_t<Integer>;
  using Bits = Vector<Unsigned, kLanes>;

  // Bit j is set where the highest of lane j is.
  [[gnu::always_inline]] static std::uint32_t highest(Bits bits) {
    return mask_bits((Vector<Integer, kLanes>)bits >> kHighest);
  }
};

// What a code's bits stand for: every sign that is not 0, as positive or not, or one sign alone.
enum class Coded { kNonzero, kPositive, kNegative };

// The codes of a square at (i, j) of the tile; returns whether a number in it is 0. Row r's codes
// go to rows[8 * r], column c's to columns[8 * c], unless that is null.
template <typename T, Coded kCodes>
[[gnu::always_inline]] inline bool write_square(const T* square, std::uint8_t* rows,
                                                std::size_t row_count, std::uint8_t* columns,
                                                std::size_t column_count) {
  using C = CodedVector<T>;
  using Bits = typename C::Bits;
  constexpr bool kInverts = kCodes == Coded::kNonzero;  // its bits are those of negative numbers
  Bits least[C::kCount];
  Bits column_codes[C::kCount] = {};
  TAUT_UNROLL
  for (Bits& bits : least) bits = ~Bits{};
  for (std::size_t first = 0; first < kCoded; first += kGramSignGroup) {
    Bits of_group[C::kCount] = {};
    TAUT_UNROLL
    for (std::size_t r = 0; r < kGramSignGroup; ++r) {
      std::uint32_t row = 0;
      TAUT_UNROLL
      for (std::size_t v = 0; v < C::kCount; ++v) {
        const auto values =
            load<typename C::Values>(square + (first + r) * kGramTile + v * C::kLanes);
        Bits bits = (Bits)values;
        if constexpr (kCodes == Coded::kNonzero) {
          const Bits magnitude = bits + bits;
          least[v] = magnitude < least[v] ? magnitude : least[v];
        } else {
          bits = (Bits)(kCodes == Coded::kPositive ? values > 0 : values < 0);
        }
        row |= C::highest(bits) << (v * C::kLanes);
        const int place = static_cast<int>(r);
        of_group[v] |= (bits >> (C::kHighest - place)) & (typename C::Unsigned{1} << place);
      }
      if (first + r < row_count) {
        const std::uint32_t codes = split_groups(row);
        store(rows + (first + r) * sizeof(std::uint64_t), kInverts ? codes ^ kAllCodes : codes);
      }
    }
    constexpr int kByte = 8;
    TAUT_UNROLL
    for (std::size_t v = 0; v < C::kCount; ++v) {
      column_codes[v] = (column_codes[v] >> kByte) | (of_group[v] << ((kCodedGroups - 1) * kByte));
    }
  }
  if (columns != nullptr) {
    typename C::Unsigned codes[kCoded];
    TAUT_UNROLL
    for (std::size_t v = 0; v < C::kCount; ++v) store(codes + v * C::kLanes, column_codes[v]);
    for (std::size_t c = 0; c < column_count; ++c) {
      const auto of_column = static_cast<std::uint32_t>(codes[c]);
      store(columns + c * sizeof(std::uint64_t), kInverts ? of_column ^ kAllCodes : of_column);
    }
  }
  Bits smallest = least[0];
  TAUT_UNROLL
  for (const Bits bits : least) smallest = bits < smallest ? bits : smallest;
  bool any_zero = false;
  for (std::size_t lane = 0; lane < C::kLanes; ++lane) any_zero |= smallest[lane] == 0;
  return any_zero;
}

// Writes the codes of a tile in both directions, or in one; returns whether a number in it is 0.
template <typename T, Coded kCodes>
[[gnu::noinline]] bool write_codes(const GramTile& place, const T* tile, const GramSigns& row_signs,
                                   const GramSigns* column_signs) {
  const auto words_of = [](const GramSigns& signs) {
    return kCodes == Coded::kNegative ? signs.negative : signs.positive;
  };
  bool any_zero = false;
  for (std::size_t i = 0; i < place.rows; i += kCoded) {
    const std::size_t rows = place.rows - i < kCoded ? place.rows - i : kCoded;
    for (std::size_t j = 0; j < place.columns; j += kCoded) {
      const std::size_t columns = place.columns - j < kCoded ? place.columns - j : kCoded;
      std::uint8_t* row_codes =
          group_code(words_of(row_signs), row_signs, place.row + i, place.column + j);
      std::uint8_t* column_codes =
          column_signs == nullptr
              ? nullptr
              : group_code(words_of(*column_signs), *column_signs, place.column + j, place.row + i);
      any_zero |=
          write_square<T, kCodes>(tile + i * kGramTile + j, row_codes, rows, column_codes, columns);
    }
  }
  return any_zero;
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
// of vectors. A step writes kOwnStep numbers, of which the next one overwrites all but a group.
constexpr std::size_t kOwnStep = kGramSignGroup + kGramSurplus;
template <typename T>
inline void write_own_signs(const GramTile& place, const T* tile, const GramSigns& signs) {
  using V = typename CodedVector<T>::Values;
  constexpr std::size_t kLanes = CodedVector<T>::kLanes;
  static_assert(kOwnStep % kLanes == 0);
  const std::size_t stride = signs.own_group + kGramSurplus;
  std::size_t first = 0;
  for (std::size_t i = 0; i < round_up(place.rows, kGramSignGroup); ++i) {
    if (i == first + signs.own_group) first = i;
    const T* group = tile + i * kGramTile + first;
    T* own = static_cast<T*>(signs.own) + (place.row - signs.target_base + i) * stride;
    for (std::size_t j = 0; j < signs.own_group; j += kGramSignGroup) {
      TAUT_UNROLL
      for (std::size_t part = 0; part < kOwnStep; part += kLanes) {
        const V numbers = load<V>(group + j + part);
        store(own + j + part, __builtin_convertvector((numbers < 0) - (numbers > 0), V));
      }
    }
  }
}

// Takes these out of the words; `negative` is written only where the tile has a zero.
inline void skip_own_groups(const GramTile& place, const GramSigns& signs, bool any_zero) {
  for (std::size_t i = place.row; i < place.row + place.rows; ++i) {
    *group_code(signs.positive, signs, i, i) = kGramOwnGroup;
    if (any_zero) *group_code(signs.negative, signs, i, i) = kGramOwnGroup;
  }
}

}  // namespace
}  // namespace taut::TAUT_LEVEL

#endif  // TAUT_KERNELS_GRAM_CODES_HPP_
