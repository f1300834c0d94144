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

constexpr std::size_t kGroup = 4;  // directions per table
constexpr std::size_t kGroups = kGramSignBlock / kGroup;
constexpr std::size_t kTableEntries = 1 << kGroup;

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
      const T* from = directions + group * kGroup * kGramPanel + v * P::kLanes;
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

// The bits of a block's groups, two words of bytes: one for the even groups, one for the odd ones.
// A byte is 16 * bits, which is where the entry begins, since an entry has 16 numbers.
struct Codes {
  static_assert(kGramPanel == kTableEntries && kGramSignBlock == 64);
  std::uint64_t even;
  std::uint64_t odd;

  Codes() = default;
  explicit Codes(std::uint64_t signs)
      : even((signs << 4) & UINT64_C(0xf0f0f0f0f0f0f0f0)),
        odd(signs & UINT64_C(0xf0f0f0f0f0f0f0f0)) {}

  // The code of the next group. The groups are asked for in order, so `group` is only a hint.
  [[gnu::always_inline]] std::size_t next(std::size_t group) {
    std::uint64_t& word = group % 2 == 0 ? even : odd;
    const auto code = static_cast<std::uint8_t>(word);
    word >>= 8;
    return code;
  }
};

// gradients += Σ of the entries that the signs name, for kTargets targets one after the other in
// memory. `keep_order` stops the compiler from computing all addresses first, for which there are
// not enough registers.
template <typename T, std::size_t kTargets>
[[gnu::always_inline]] inline void add_block(const std::uint64_t* signs, const T* tables,
                                             T* gradients) {
  Panel<T> sums[kTargets] = {};
  Codes codes[kTargets];
  TAUT_UNROLL
  for (std::size_t t = 0; t < kTargets; ++t) codes[t] = Codes(signs[t]);
  TAUT_UNROLL
  for (std::size_t group = 0; group < kGroups; ++group) {
    TAUT_UNROLL
    for (std::size_t t = 0; t < kTargets; ++t) {
      sums[t].add(tables + group * Panel<T>::kTable + codes[t].next(group));
      sums[t].keep_order();
    }
  }
  TAUT_UNROLL
  for (std::size_t t = 0; t < kTargets; ++t) {
    sums[t].add(gradients + t * kGramPanel);
    sums[t].write(gradients + t * kGramPanel);
  }
}

// The same for `targets` targets, two at once, so that one's additions fill the other's latency.
// A function of its own, since the compiler has registers enough for nothing beside it.
template <typename T>
[[gnu::noinline]] void add_blocks(const std::uint64_t* signs, const T* tables, T* gradients,
                                  std::size_t targets) {
  for (; targets >= 2; targets -= 2) {
    add_block<T, 2>(signs, tables, gradients);
    signs += 2;
    gradients += 2 * kGramPanel;
  }
  if (targets > 0) add_block<T, 1>(signs, tables, gradients);
}

// The same for a block of fewer groups.
template <typename T>
inline void add_groups(const std::uint64_t* signs, const T* tables, std::size_t groups,
                       T* gradients, std::size_t targets) {
  for (std::size_t target = 0; target < targets; ++target) {
    Codes codes(signs[target]);
    Panel<T> sum{};
    for (std::size_t group = 0; group < groups; ++group) {
      sum.add(tables + group * Panel<T>::kTable + codes.next(group));
    }
    sum.add(gradients + target * kGramPanel);
    sum.write(gradients + target * kGramPanel);
  }
}

// The same for targets with signs of 0. What is left out is an entry of zeros.
template <typename T>
[[gnu::always_inline]] inline void add_subset(std::uint64_t positive, std::uint64_t negative,
                                              const T* tables, std::size_t groups, T* gradient) {
  Codes added_codes(positive);
  Codes subtracted_codes(negative);
  Panel<T> added{};
  Panel<T> subtracted{};
  TAUT_UNROLL
  for (std::size_t group = 0; group < groups; ++group) {
    const T* table = tables + group * Panel<T>::kTable;
    added.add(table + added_codes.next(group));
    subtracted.add(table + subtracted_codes.next(group));
    added.keep_order();
    subtracted.keep_order();
  }
  Panel<T> sum = Panel<T>::read(gradient);
  TAUT_UNROLL
  for (std::size_t v = 0; v < Panel<T>::kVectors; ++v) {
    sum.vectors[v] += added.vectors[v] - subtracted.vectors[v];
  }
  sum.write(gradient);
}

template <typename T>
[[gnu::noinline]] void add_subsets(const std::uint64_t* positive, const std::uint64_t* negative,
                                   const T* tables, std::size_t groups, T* gradients,
                                   std::size_t targets) {
  for (std::size_t target = 0; target < targets; ++target) {
    T* gradient = gradients + target * kGramPanel;
    if (groups == kGroups) {
      add_subset(positive[target], negative[target], tables, kGroups, gradient);
    } else {
      add_subset(positive[target], negative[target], tables, groups, gradient);
    }
  }
}

// How many of the flags in a row are what the first one is.
inline std::size_t count_equal(const std::uint8_t* flags, std::size_t count) {
  const std::uint64_t eight = flags[0] * UINT64_C(0x0101010101010101);
  std::size_t equal = 0;
  while (equal + 8 <= count && load<std::uint64_t>(flags + equal) == eight) equal += 8;
  while (equal < count && flags[equal] == flags[0]) ++equal;
  return equal;
}

template <typename T>
void multiply_signs(const GramMatrix& matrix, std::size_t panel, std::size_t target_begin,
                    std::size_t target_end, std::size_t other_end, const GramSigns& signs,
                    void* scratch) {
  T* tables = static_cast<T*>(scratch);
  T* subset_tables = tables + kGroups * Panel<T>::kTable;
  const std::size_t panel_begin = panel * matrix.padded_vectors * kGramPanel;
  const T* directions = static_cast<const T*>(matrix.directions) + panel_begin;
  T* gradients = static_cast<T*>(matrix.gradients) + panel_begin;
  if (signs.other_base == 0) {
    __builtin_memset(gradients + target_begin * kGramPanel, 0,
                     (target_end - target_begin) * kGramPanel * sizeof(T));
  }

  for (std::size_t other = signs.other_base; other < other_end; other += kGramSignBlock) {
    const std::size_t left = other_end - other;
    const std::size_t groups = left < kGramSignBlock ? (left + kGroup - 1) / kGroup : kGroups;
    const std::size_t block = (other - signs.other_base) / kGramSignBlock * signs.targets;
    bool has_tables = false;
    bool has_subset_tables = false;

    for (std::size_t target = target_begin; target < target_end;) {
      const std::size_t at = block + target - signs.target_base;
      const std::uint64_t* positive = signs.positive + at;
      const std::size_t targets = count_equal(signs.has_zero + at, target_end - target);
      T* gradient = gradients + target * kGramPanel;
      if (signs.has_zero[at] != 0) {
        if (!has_subset_tables) {
          build_tables<T, false>(directions + other * kGramPanel, groups, subset_tables);
          has_subset_tables = true;
        }
        const std::uint64_t* negative = signs.negative + at;
        add_subsets(positive, negative, subset_tables, groups, gradient, targets);
      } else {
        if (!has_tables) {
          build_tables<T, true>(directions + other * kGramPanel, groups, tables);
          has_tables = true;
        }
        if (groups == kGroups) {
          add_blocks(positive, tables, gradient, targets);
        } else {
          add_groups(positive, tables, groups, gradient, targets);
        }
      }
      target += targets;
    }
  }
}

template <typename T>
constexpr std::size_t kSignScratch = 2 * kGroups * Panel<T>::kTable * sizeof(T);

}  // namespace
}  // namespace taut::TAUT_LEVEL

#endif  // TAUT_KERNELS_GRAM_SIGNS_HPP_
