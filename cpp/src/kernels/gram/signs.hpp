// The product of the matrix of signs with the directions, by look-up.
//
// Six directions have only 64 signed sums. They are put into a table, once for a panel of
// coordinates and every group of six directions; then one look-up and one addition stand for six
// multiply-adds (the Method of Four Russians; Arlazarov, Dinic, Kronrod and Faradzev 1970). No
// product is rounded, so this is as exact as adding the directions one by one. A block's eight
// tables are as large as a first-level cache, and measured faster than smaller ones.
//
// A target's own group, in which it is itself, is multiplied directly. Where there are other pairs
// of sign 0, they must be left out rather than subtracted. Targets with such pairs look up two
// sums, of the positive and of the negative directions, in tables that have 0 where a bit is clear.

#ifndef TAUT_KERNELS_GRAM_SIGNS_HPP_
#define TAUT_KERNELS_GRAM_SIGNS_HPP_

#include "kernels/gram/panels.hpp"

namespace taut::TAUT_LEVEL {
namespace {

constexpr std::size_t kGroups = kGramSignBlock / kGramSignGroup;
constexpr std::size_t kTableEntries = 1 << kGramSignGroup;
static_assert(kGroups == sizeof(std::uint64_t));

template <typename T>
constexpr std::size_t kTable = (kTableEntries + 1) * Panel<T>::kNumbers;  // numbers per group

// Adds the entry of the group that the word's first code names, and drops that code. The address is
// counted in bytes so that the group can become the constant part of it.
template <typename T>
[[gnu::always_inline]] inline void look_up(const T* tables, std::size_t group, std::uint64_t& word,
                                           Panel<T>& sum) {
  const char* table = reinterpret_cast<const char*>(tables + group * kTable<T>);
  sum.add(reinterpret_cast<const T*>(table + (word & 0xff) * (Panel<T>::kNumbers * sizeof(T))));
  word >>= 8;
  TAUT_UNROLL
  for (std::size_t v = 0; v < Panel<T>::kVectors; ++v) keep_in_register(sum.vectors[v]);
}

// sums[bits] for three directions: Σ ±x_b with + where bit b is set (kSigned), or Σ x_b over the
// set bits.
template <bool kSigned, typename V>
[[gnu::always_inline]] inline void sum_three(V x0, V x1, V x2, V (&sums)[8]) {
  if constexpr (kSigned) {
    const V sum = x0 + x1;
    const V difference = x0 - x1;
    sums[7] = sum + x2;
    sums[5] = difference + x2;
    sums[6] = x2 - difference;
    sums[4] = x2 - sum;
    TAUT_UNROLL
    for (std::size_t bits = 0; bits < 4; ++bits) sums[bits] = -sums[7 - bits];
  } else {
    sums[0] = V{};
    sums[1] = x0;
    sums[2] = x1;
    sums[3] = x0 + x1;
    TAUT_UNROLL
    for (std::size_t bits = 0; bits < 4; ++bits) sums[4 + bits] = sums[bits] + x2;
  }
}

// Tables of the groups from `first` on.
template <typename T, bool kSigned>
[[gnu::noinline]] void build_tables(const GramMatrix& matrix, std::size_t c, std::size_t first,
                                    std::size_t groups, T* tables) {
  using P = Panel<T>;
  for (std::size_t group = 0; group < groups; ++group) {
    P x[kGramSignGroup];
    TAUT_UNROLL
    for (std::size_t j = 0; j < kGramSignGroup; ++j) {
      x[j] = direction<T>(matrix, first + group * kGramSignGroup + j, c);
    }
    TAUT_UNROLL
    for (std::size_t v = 0; v < P::kVectors; ++v) {
      typename P::V low[8];
      typename P::V high[8];
      sum_three<kSigned>(x[0].vectors[v], x[1].vectors[v], x[2].vectors[v], low);
      sum_three<kSigned>(x[3].vectors[v], x[4].vectors[v], x[5].vectors[v], high);
      T* table = tables + group * kTable<T> + v * P::kLanes;
      for (std::size_t h = 0; h < 8; ++h) {
        TAUT_UNROLL
        for (std::size_t l = 0; l < 8; ++l) {
          store(table + (h * 8 + l) * P::kNumbers, low[l] + high[h]);
        }
      }
      store(table + kGramOwnGroup * P::kNumbers, typename P::V{});
    }
  }
}

// gradients += Σ of the entries that the words name, for kTargets targets one after the other in
// memory.
template <typename T, std::size_t kBlockGroups, std::size_t kTargets>
[[gnu::always_inline]] inline void add_entries(const std::uint64_t* words, const T* tables,
                                               T* gradients) {
  using P = Panel<T>;
  P sums[kTargets] = {};
  std::uint64_t codes[kTargets];
  TAUT_UNROLL
  for (std::size_t t = 0; t < kTargets; ++t) codes[t] = words[t];
  TAUT_UNROLL
  for (std::size_t group = 0; group < kBlockGroups; ++group) {
    TAUT_UNROLL
    for (std::size_t t = 0; t < kTargets; ++t) look_up(tables, group, codes[t], sums[t]);
  }
  TAUT_UNROLL
  for (std::size_t t = 0; t < kTargets; ++t) {
    sums[t].add(gradients + t * P::kNumbers);
    sums[t].write(gradients + t * P::kNumbers);
  }
}

// The same for `targets` targets, two at once, so that one's additions fill the other's latency.
// A function of its own, since the compiler has registers enough for nothing beside it.
template <typename T, std::size_t kBlockGroups>
[[gnu::noinline]] void add_block(const std::uint64_t* words, const T* tables, T* gradients,
                                 std::size_t targets) {
  for (; targets >= 2; targets -= 2) {
    add_entries<T, kBlockGroups, 2>(words, tables, gradients);
    words += 2;
    gradients += 2 * Panel<T>::kNumbers;
  }
  if (targets > 0) add_entries<T, kBlockGroups, 1>(words, tables, gradients);
}

// The same for a number of groups that is known only now.
template <typename T, std::size_t kBlockGroups = kGroups>
[[gnu::always_inline]] inline void add_groups(std::size_t groups, const std::uint64_t* words,
                                              const T* tables, T* gradients, std::size_t targets) {
  if constexpr (kBlockGroups > 1) {
    if (groups < kBlockGroups) {
      return add_groups<T, kBlockGroups - 1>(groups, words, tables, gradients, targets);
    }
  }
  add_block<T, kBlockGroups>(words, tables, gradients, targets);
}

// The same for targets with signs of 0. What is left out is an entry of zeros.
template <typename T>
[[gnu::always_inline]] inline void add_subset(std::uint64_t positive, std::uint64_t negative,
                                              const T* tables, std::size_t groups, T* gradient) {
  using P = Panel<T>;
  P added{};
  P subtracted{};
  TAUT_UNROLL
  for (std::size_t group = 0; group < groups; ++group) {
    look_up(tables, group, positive, added);
    look_up(tables, group, negative, subtracted);
  }
  P sum = P::read(gradient);
  TAUT_UNROLL
  for (std::size_t v = 0; v < P::kVectors; ++v) {
    sum.vectors[v] += added.vectors[v] - subtracted.vectors[v];
  }
  sum.write(gradient);
}

template <typename T>
[[gnu::noinline]] void add_subsets(const std::uint64_t* positive, const std::uint64_t* negative,
                                   const T* tables, std::size_t groups, T* gradients,
                                   std::size_t targets) {
  for (std::size_t target = 0; target < targets; ++target) {
    T* gradient = gradients + target * Panel<T>::kNumbers;
    if (groups == kGroups) {
      add_subset(positive[target], negative[target], tables, kGroups, gradient);
    } else {
      add_subset(positive[target], negative[target], tables, groups, gradient);
    }
  }
}

// gradients (+)= Σ of the directions of their own groups times the signs towards them, for the
// targets [target_begin, target_end), six at once. The gradients are those from target_begin on.
template <typename T, bool kAdds>
[[gnu::noinline]] void add_own_groups(const GramMatrix& matrix, std::size_t c,
                                      const GramSigns& signs, T* gradients,
                                      std::size_t target_begin, std::size_t target_end) {
  using P = Panel<T>;
  const std::size_t width = signs.own_group;
  const std::size_t stride = width + kGramSurplus;
  for (std::size_t first = target_begin; first < target_end; first += kGramSignGroup) {
    const T* own = static_cast<const T*>(signs.own) + (first - signs.target_base) * stride;
    P sums[kGramSignGroup] = {};
    TAUT_UNROLL
    for (std::size_t t = 0; kAdds && t < kGramSignGroup; ++t) {
      sums[t] = P::read(gradients + (first - target_begin + t) * P::kNumbers);
    }
    const std::size_t group = first / width * width;
    for (std::size_t j = 0; j < width; ++j) {
      const P x = direction<T>(matrix, group + j, c);
      TAUT_UNROLL
      for (std::size_t t = 0; t < kGramSignGroup; ++t) {
        const auto sign = broadcast<typename P::V>(own[t * stride + j]);
        TAUT_UNROLL
        for (std::size_t v = 0; v < P::kVectors; ++v) {
          sums[t].vectors[v] = multiply_add(x.vectors[v], sign, sums[t].vectors[v]);
        }
      }
    }
    TAUT_UNROLL
    for (std::size_t t = 0; t < kGramSignGroup; ++t) {
      sums[t].write(gradients + (first - target_begin + t) * P::kNumbers);
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

// projections[target] += the cosines with the others of each tile, in order.
inline void add_projections(const GramMatrix& matrix, std::size_t target_begin,
                            std::size_t target_end, std::size_t other_end, const GramSigns& signs) {
  const std::size_t targets = target_end - target_begin;
  double* projections = matrix.projections + (target_begin - matrix.first_gradient);
  if (signs.other_base == 0) __builtin_memset(projections, 0, targets * sizeof(double));
  for (std::size_t other = signs.other_base; other < other_end; other += signs.tile) {
    const std::size_t tile = (other - signs.other_base) / signs.tile;
    const double* cosines =
        signs.cosines + (tile * signs.targets + target_begin - signs.target_base);
    for (std::size_t i = 0; i < targets; ++i) projections[i] += cosines[i];
  }
}

// gradients += Σ of the directions times the signs in the words; likewise.
template <typename T>
inline void add_words(const GramMatrix& matrix, std::size_t c, const GramSigns& signs, T* gradients,
                      std::size_t target_begin, std::size_t target_end, std::size_t other_end,
                      T* tables) {
  constexpr std::size_t kNumbers = Panel<T>::kNumbers;
  T* subset_tables = tables + kGroups * kTable<T>;
  for (std::size_t other = signs.other_base; other < other_end; other += kGramSignBlock) {
    const std::size_t left = other_end - other;
    const std::size_t groups =
        left < kGramSignBlock ? (left + kGramSignGroup - 1) / kGramSignGroup : kGroups;
    const std::size_t block = (other - signs.other_base) / kGramSignBlock * signs.targets;
    bool has_tables = false;
    bool has_subset_tables = false;

    for (std::size_t target = target_begin; target < target_end;) {
      const std::size_t at = block + target - signs.target_base;
      const std::uint64_t* positive = signs.positive + at;
      const std::size_t targets = count_equal(signs.has_zero + at, target_end - target);
      T* gradient = gradients + (target - target_begin) * kNumbers;
      if (signs.has_zero[at] != 0) {
        if (!has_subset_tables) {
          build_tables<T, false>(matrix, c, other, groups, subset_tables);
          has_subset_tables = true;
        }
        const std::uint64_t* negative = signs.negative + at;
        add_subsets(positive, negative, subset_tables, groups, gradient, targets);
      } else {
        if (!has_tables) {
          build_tables<T, true>(matrix, c, other, groups, tables);
          has_tables = true;
        }
        add_groups(groups, positive, tables, gradient, targets);
      }
      target += targets;
    }
  }
}

template <typename T>
void multiply_signs(const GramMatrix& matrix, std::size_t panel_begin, std::size_t panel_end,
                    std::size_t target_begin, std::size_t target_end, std::size_t other_end,
                    const GramSigns& signs, void* scratch) {
  constexpr std::size_t kNumbers = Panel<T>::kNumbers;
  if (panel_begin == 0 && matrix.projections != nullptr) {
    add_projections(matrix, target_begin, target_end, other_end, signs);
  }
  const bool has_own = target_begin >= signs.other_base && target_begin < other_end;
  for (std::size_t panel = panel_begin; panel < panel_end; ++panel) {
    const std::size_t c = panel * kNumbers;
    T* gradients = gradient_of<T>(matrix, target_begin, c);
    if (signs.positive == nullptr) {
      add_own_groups<T, false>(matrix, c, signs, gradients, target_begin, target_end);
      continue;
    }
    if (signs.other_base == 0) {
      const std::size_t targets = round_up(target_end - target_begin, kGramSignGroup);
      __builtin_memset(gradients, 0, targets * kNumbers * sizeof(T));
    }
    add_words(matrix, c, signs, gradients, target_begin, target_end, other_end,
              static_cast<T*>(scratch));
    if (has_own) add_own_groups<T, true>(matrix, c, signs, gradients, target_begin, target_end);
  }
}

template <typename T>
constexpr std::size_t kSignScratch = 2 * kGroups * kTable<T> * sizeof(T);

}  // namespace
}  // namespace taut::TAUT_LEVEL

#endif  // TAUT_KERNELS_GRAM_SIGNS_HPP_
