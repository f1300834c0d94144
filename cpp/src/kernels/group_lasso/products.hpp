// x times a number per group.

#ifndef TAUT_KERNELS_GROUP_LASSO_PRODUCTS_HPP_
#define TAUT_KERNELS_GROUP_LASSO_PRODUCTS_HPP_

#include "kernels/storage.hpp"

namespace taut::TAUT_LEVEL {
namespace {

enum class Writing { kAccumulate, kAssign, kShrink };

template <Writing kWriting>
[[gnu::always_inline]] inline Doubles product_of(Doubles x, Doubles factor) {
  const Doubles product = x * factor;
  if constexpr (kWriting != Writing::kShrink) return product;
  return (Doubles)((Int64s)product & (Int64s)(factor != 0));  // what vanishes is +0
}

// a + b, as a fused multiplication by 1 where there is one: conversions, of which there are many,
// go where additions would, on AMD's processors, while what multiplies has time.
[[gnu::always_inline]] inline Doubles sum_of(Doubles a, Doubles b) {
  Doubles one = broadcast<Doubles>(1.0);
  keep_in_register(one);  // the compiler would make an addition of it
  return multiply_add(a, one, b);
}

// kPair products, added to what is there if they accumulate.
template <typename T, typename G, Writing kWriting>
[[gnu::always_inline]] inline DoublePair products_of(const T* x, const G* to, DoublePair factors) {
  const DoublePair values = load_pair(x);
  DoublePair products{product_of<kWriting>(values.first, factors.first),
                      product_of<kWriting>(values.second, factors.second)};
  if constexpr (kWriting == Writing::kAccumulate) {
    const DoublePair before = load_pair(to);
    products = {sum_of(products.first, before.first), sum_of(products.second, before.second)};
  }
  return products;
}

}  // namespace
}  // namespace taut::TAUT_LEVEL

#endif  // TAUT_KERNELS_GROUP_LASSO_PRODUCTS_HPP_
