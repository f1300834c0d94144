// The product of the matrix of signs with the directions, by look-up.
//
// Four directions have only 16 signed sums. They are put into a table, once for a panel of
// coordinates and every group of four directions; then one look-up and one addition stand for four
// multiply-adds (the Method of Four Russians; Arlazarov, Dinic, Kronrod and Faradzev 1970). No
// product is rounded, so this is as exact as adding the directions one by one.
//
// A pair of sign 0 must be left out rather than subtracted again. Targets with such pairs look up
// two sums, of the positive and of the negative directions, in tables that have 0 where a bit is
// clear.

#ifndef TAUT_KERNELS_GRAM_SIGNS_HPP_
#define TAUT_KERNELS_GRAM_SIGNS_HPP_

#include "kernels/gram_shape.hpp"

namespace taut::TAUT_LEVEL {
namespace {

constexpr std::size_t kTableEntries = 16;

template <typename T>
struct Panel {
  using V = Vector<T, (kLanesOf<T> < kGramPanel ? kLanesOf<T> : kGramPanel)>;
  static constexpr std::size_t kLanes = sizeof(V) / sizeof(T);
  static constexpr std::size_t kVectors = kGramPanel / kLanes;
  static constexpr std::size_t kTable = kTableEntries * kGramPanel;  // numbers per group

  V vectors[kVectors];

  [[gnu::always_inline]] static Panel read(const T* from) {
    Panel panel;
    TAUT_UNROLL
    for (std::size_t v = 0; v < kVectors; ++v) panel.vectors[v] = load<V>(from + v * kLanes);
    return panel;
  }
  [[gnu::always_inline]] void write(T* to) const {
    TAUT_UNROLL
    for (std::size_t v = 0; v < kVectors; ++v) store(to + v * kLanes, vectors[v]);
  }
  [[gnu::always_inline]] void add(const T* from) {
    TAUT_UNROLL
    for (std::size_t v = 0; v < kVectors; ++v) vectors[v] += load<V>(from + v * kLanes);
  }
  [[gnu::always_inline]] void keep_order() {
    TAUT_UNROLL
    for (std::size_t v = 0; v < kVectors; ++v) keep_in_register(vectors[v]);
  }
};

// Entry `bits` is Σ ±x_b with + where bit b is set (kSigned), or Σ x_b over the set bits.
template <typename T, bool kSigned>
inline void build_tables(const T* directions, std::size_t groups, T* tables) {
  using P = Panel<T>;
  using V = typename P::V;
  for (std::size_t group = 0; group < groups; ++group) {
    for (std::size_t v = 0; v < P::kVectors; ++v) {
      const T* from = directions + group * kGramSignGroup * kGramPanel + v * P::kLanes;
      V low[4];  // sums of the first two, by their bits
      V high[4];
      const V x[4] = {load<V>(from), load<V>(from + kGramPanel), load<V>(from + 2 * kGramPanel),
                      load<V>(from + 3 * kGramPanel)};
      if constexpr (kSigned) {
        low[3] = x[0] + x[1];
        low[1] = x[0] - x[1];
        low[2] = -low[1];
        low[0] = -low[3];
        high[3] = x[2] + x[3];
        high[1] = x[2] - x[3];
        high[2] = -high[1];
        high[0] = -high[3];
      } else {
        low[0] = high[0] = V{};
        low[1] = x[0];
        low[2] = x[1];
        low[3] = x[0] + x[1];
        high[1] = x[2];
        high[2] = x[3];
        high[3] = x[2] + x[3];
      }
      T* table = tables + group * P::kTable + v * P::kLanes;
      TAUT_UNROLL
      for (std::size_t bits = 0; bits < kTableEntries; ++bits) {
        store(table + bits * kGramPanel, low[bits & 3] + high[bits >> 2]);
      }
    }
  }
}

// A code byte is 16 * bits, which is where the entry begins, since an entry has 16 numbers.
static_assert(kGramPanel == kTableEntries);

// gradients += Σ of the entries that the codes name, for kTargets targets one after the other in
// memory. The codes are read eight at a time, since each look-up already needs the load units;
// `keep_order` stops the compiler from gathering all addresses first, for which there are not
// enough registers.
template <typename T, std::size_t kTargets>
[[gnu::always_inline]] inline void add_block(const std::uint8_t* codes, const T* tables,
                                             T* gradients) {
  constexpr std::size_t kCodesPerWord = sizeof(std::uint64_t);
  static_assert(kGramCodes % kCodesPerWord == 0);
  Panel<T> sums[kTargets] = {};
  TAUT_UNROLL
  for (std::size_t group = 0; group < kGramCodes; group += kCodesPerWord) {
    std::uint64_t words[kTargets];
    TAUT_UNROLL
    for (std::size_t t = 0; t < kTargets; ++t) {
      words[t] = load<std::uint64_t>(codes + t * kGramCodes + group);
    }
    TAUT_UNROLL
    for (std::size_t i = 0; i < kCodesPerWord; ++i) {
      TAUT_UNROLL
      for (std::size_t t = 0; t < kTargets; ++t) {
        const auto code = static_cast<std::uint8_t>(words[t]);
        sums[t].add(tables + (group + i) * Panel<T>::kTable + code);
        words[t] >>= 8;
        sums[t].keep_order();
      }
    }
  }
  TAUT_UNROLL
  for (std::size_t t = 0; t < kTargets; ++t) {
    sums[t].add(gradients + t * kGramPanel);
    sums[t].write(gradients + t * kGramPanel);
  }
}

// The same for one target and a block of fewer groups.
template <typename T>
inline void add_groups(const std::uint8_t* codes, const T* tables, std::size_t groups,
                       T* gradient) {
  Panel<T> sum{};
  for (std::size_t group = 0; group < groups; ++group) {
    sum.add(tables + group * Panel<T>::kTable + codes[group]);
  }
  sum.add(gradient);
  sum.write(gradient);
}

// The same for a target with signs of 0. What is left out is an entry of zeros.
template <typename T>
inline void add_subsets(const std::uint8_t* positive, const std::uint8_t* negative, const T* tables,
                        std::size_t groups, T* gradient) {
  Panel<T> added{};
  Panel<T> subtracted{};
  for (std::size_t group = 0; group < groups; ++group) {
    added.add(tables + group * Panel<T>::kTable + positive[group]);
    subtracted.add(tables + group * Panel<T>::kTable + negative[group]);
  }
  Panel<T> sum = Panel<T>::read(gradient);
  TAUT_UNROLL
  for (std::size_t v = 0; v < Panel<T>::kVectors; ++v) {
    sum.vectors[v] += added.vectors[v] - subtracted.vectors[v];
  }
  sum.write(gradient);
}

template <typename T>
void multiply_signs(const GramMatrix& matrix, std::size_t panel, std::size_t target_begin,
                    std::size_t target_end, std::size_t other_end, const GramSigns& signs,
                    void* scratch) {
  T* tables = static_cast<T*>(scratch);
  T* subset_tables = tables + kGramCodes * Panel<T>::kTable;
  const std::size_t panel_begin = panel * matrix.padded_vectors * kGramPanel;
  const T* directions = static_cast<const T*>(matrix.directions) + panel_begin;
  T* gradients = static_cast<T*>(matrix.gradients) + panel_begin;

  for (std::size_t other = signs.other_base; other < other_end; other += kGramSignBlock) {
    const std::size_t left = other_end - other;
    const std::size_t groups =
        left < kGramSignBlock ? (left + kGramSignGroup - 1) / kGramSignGroup : kGramCodes;
    const std::size_t block = (other - signs.other_base) / kGramSignBlock * signs.targets;
    build_tables<T, true>(directions + other * kGramPanel, groups, tables);
    bool has_subset_tables = false;

    for (std::size_t target = target_begin; target < target_end;) {
      const std::size_t at = block + target - signs.target_base;
      const std::uint8_t* positive = signs.positive + at * kGramCodes;
      const std::uint8_t* has_zero = signs.has_zero + at;
      T* gradient = gradients + target * kGramPanel;
      const bool is_whole = groups == kGramCodes;
      // Two at once, so that one's additions fill the other's latency.
      if (is_whole && target + 2 <= target_end && (has_zero[0] | has_zero[1]) == 0) {
        add_block<T, 2>(positive, tables, gradient);
        target += 2;
        continue;
      }
      if (*has_zero == 0) {
        if (is_whole) {
          add_block<T, 1>(positive, tables, gradient);
        } else {
          add_groups(positive, tables, groups, gradient);
        }
      } else {
        if (!has_subset_tables) {
          build_tables<T, false>(directions + other * kGramPanel, groups, subset_tables);
          has_subset_tables = true;
        }
        add_subsets(positive, signs.negative + at * kGramCodes, subset_tables, groups, gradient);
      }
      ++target;
    }
  }
}

template <typename T>
constexpr std::size_t kSignScratch = 2 * kGramCodes * Panel<T>::kTable * sizeof(T);

}  // namespace
}  // namespace taut::TAUT_LEVEL

#endif  // TAUT_KERNELS_GRAM_SIGNS_HPP_
