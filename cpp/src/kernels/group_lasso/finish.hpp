// From sums of squares to penalties, and to what the groups are multiplied with.

#ifndef TAUT_KERNELS_GROUP_LASSO_FINISH_HPP_
#define TAUT_KERNELS_GROUP_LASSO_FINISH_HPP_

#include "kernels/group_lasso/tails.hpp"
#include "kernels/kernels.hpp"
#include "kernels/lanes.hpp"

namespace taut::TAUT_LEVEL {
namespace {

struct NoFactors {
  static Doubles of(Doubles, const GroupWeights&) { return Doubles{}; }
};

struct Slopes {
  [[gnu::always_inline]] static Doubles of(Doubles norms, const GroupWeights& weights) {
    const Doubles coefficient = broadcast<Doubles>(weights.coefficient);
    // Beyond the range are slopes of norms beside which nothing but 0 is in the group, or of a
    // coefficient that is not finite.
    const double largest = __builtin_isfinite(weights.coefficient) ? __DBL_MAX__ : __builtin_inf();
    const Doubles limit = broadcast<Doubles>(largest);
    const Doubles quotients = coefficient / norms;
    const Doubles above = choose((Int64s)(quotients > limit), limit, quotients);
    const Doubles within = choose((Int64s)(above < -limit), -limit, above);
    return choose((Int64s)(norms == 0), 0 * coefficient, within);
  }
};

struct Shrinkages {
  [[gnu::always_inline]] static Doubles of(Doubles norms, const GroupWeights& weights) {
    const Doubles left = 1 - broadcast<Doubles>(weights.coefficient) / norms;
    return choose((Int64s)(norms == 0) | (Int64s)(left < 0), Doubles{}, left);
  }
};

template <typename Factors>
double finish_groups(double* sums, std::size_t count, const GroupWeights& weights) {
  Lanes<kElementwiseLanes> values;
  const auto finish = [&](double* some, std::size_t part) __attribute__((always_inline)) {
    const Doubles norms = square_roots(load<Doubles>(some));
    values.parts[part] += weights.factor * (weights.root * norms);
    store(some, Factors::of(norms, weights));
  };
  for (std::size_t i = 0; i < count; i += kElementwiseLanes) {
    TAUT_UNROLL
    for (std::size_t part = 0; part < values.kParts; ++part) {
      const std::size_t begin = i + part * kDoubles;
      if (begin + kDoubles <= count) {
        finish(sums + begin, part);
      } else if (begin < count) {
        double last[kWindow] = {};
        copy_few(last, sums + begin, count - begin);
        finish(last, part);
        copy_few(sums + begin, last, count - begin);
      }
    }
  }
  return values.sum();
}

}  // namespace
}  // namespace taut::TAUT_LEVEL

#endif  // TAUT_KERNELS_GROUP_LASSO_FINISH_HPP_
