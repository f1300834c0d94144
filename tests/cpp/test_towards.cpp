// Elementwise penalties towards a reference, and weighted, against the formulas.

#include <cmath>
#include <limits>
#include <optional>
#include <random>

#include "check_penalty.hpp"
#include "runtime_guards.hpp"
#include "towards.hpp"

namespace taut_test {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// Around the 32 lanes, the blocks of 2048, and more than one piece.
constexpr std::size_t kLengths[] = {0, 1, 15, 16, 17, 31, 32, 33, 2047, 2048, 2049, 70'003};

const Factors kFactors[] = {{0.3, 0}, {0, 0.07}, {0.3, 0.07}};

TEMPLATE_LIST_TEST_CASE("penalties towards a reference are what the formulas say at every length",
                        "", EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  at_every_level([] {
    for (const std::size_t length : kLengths) {
      for (const Kinds& kinds : kEveryKinds) {
        for (const Factors& factors : kFactors) {
          check_towards<T, G>(Weights<T>::random(1, length, kinds), factors);
        }
      }
    }
  });
}

TEMPLATE_LIST_TEST_CASE("a thousand random penalties towards a reference, in any layouts", "",
                        EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  std::mt19937 generator(17);
  const auto below = [&](std::size_t end) { return generator() % end; };
  const std::vector<std::string> levels = levels_under_test();
  for (int i = 0; i < 1000; ++i) {
    const UsedLevel used(levels[below(levels.size())]);
    const Kinds kinds = kEveryKinds[below(std::size(kEveryKinds))];
    // Rows of whole lanes are walked in another way.
    const std::size_t columns = below(2) == 0 ? 32 * (1 + below(3)) : 1 + below(100);
    const auto weights =
        Weights<T>::random(1 + below(60), columns, kinds, static_cast<unsigned>(i));
    const auto placement = [&] { return kPlacements[below(std::size(kPlacements))]; };
    const Placements placements{placement(), placement(), placement(), placement()};
    INFO("case " << i << ": " << placements.x.name << ", " << placements.gradient.name << ", "
                 << placements.reference.name << ", " << placements.importance.name);
    check_towards<T, G>(weights, kFactors[below(std::size(kFactors))], placements);
  }
}

TEMPLATE_LIST_TEST_CASE("NaN, Inf and extreme numbers of any of the arrays show", "", EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  const double smallest = kFormat<T>.smallest();
  const double specials[] = {
      kNan, kInfinity, -kInfinity, 0.0, smallest, -3 * smallest, kFormat<T>.largest() / 8};
  at_every_level([&] {
    for (const Kinds& kinds : kEveryKinds) {
      for (const double special : specials) {
        for (const Factors& factors : kFactors) {
          auto weights = Weights<T>::random(1, 70, kinds);
          weights.x[3] = special;
          if (kinds.reference != Kind::kNone) {
            weights.reference[33] = round_to_kind<T>(kinds.reference, special);
            weights.reference[69] = round_to_kind<T>(kinds.reference, special);
            weights.x[69] = special;
          }
          if (kinds.importance != Kind::kNone) {
            weights.importance[65] = std::abs(round_to_kind<T>(kinds.importance, special));
          }
          check_towards<T, G>(weights, factors);
        }
      }
    }
  });
}

// The plain penalty of x, and of the same with arrays that change nothing.
TEMPLATE_LIST_TEST_CASE("a reference of zeros and an importance of ones change no bit", "",
                        EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  at_every_level([] {
    for (const std::size_t length : Sizes{1, 33, 5000, 40'000}) {
      std::vector<double> numbers = random_numbers<T>(length);
      numbers[0] = -0.0;
      numbers[length / 2] = kFormat<T>.smallest();
      numbers[length - 1] = kInfinity;
      for (const Kinds& kinds : kEveryKinds) {
        if (kinds.are_none()) continue;
        Weights<T> weights{
            1, length, kinds, numbers, std::vector(length, 0.0), std::vector(length, 1.0)};
        const Weights<T> plain{1, length, {}, numbers, weights.reference, weights.importance};
        for (const Factors& factors : kFactors) {
          for (const double scale : {1.0, -0.7}) {
            const auto expected = compute<T, G>(plain, factors, scale);
            const auto results = compute<T, G>(weights, factors, scale);
            CHECK(bool(results == expected));
          }
        }
      }
    }
  });
}

TEMPLATE_LIST_TEST_CASE("what is at its reference has no penalty and no slope", "", EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  at_every_level([] {
    auto weights = Weights<T>::random(1, 5000, {Kind::kOwn, Kind::kFloat32});
    weights.reference = weights.x;
    for (const Factors& factors : kFactors) {
      const auto results = compute<T, G>(weights, factors, 1);
      CHECK(results.value == 0);
      CHECK(to_doubles(results.overwritten) == std::vector(5000, 0.0));
      CHECK(same_bits(results.accumulated, store<G>(random_numbers<G>(5000, 7))));
      CHECK(same_bits(results.stepped, store<T>(weights.x)));
    }
  });
}

TEMPLATE_LIST_TEST_CASE("an importance that is a power of two is a part of the factor", "",
                        EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  at_every_level([] {
    auto weights = Weights<T>::random(1, 5000, {Kind::kOwn, Kind::kOwn});
    weights.importance.assign(5000, 0.25);
    auto plain = weights;
    plain.kinds.importance = Kind::kNone;
    plain.importance.assign(5000, 1);
    const auto results = compute<T, G>(weights, {0.3, 0.07}, 1);
    CHECK(bool(results == compute<T, G>(plain, {0.3 / 4, 0.07 / 4}, 1)));
  });
}

TEMPLATE_TEST_CASE("a proximal step of 0, or of what does not count, keeps every bit", "", double,
                   float, Float16, BFloat16) {
  at_every_level([] {
    auto weights = Weights<TestType>::random(1, 100, {Kind::kOwn, Kind::kFloat32});
    weights.x[0] = -0.0;
    weights.x[1] = kInfinity;
    weights.importance[2] = kNan;
    weights.reference[3] = 0;
    weights.reference[4] = -0.0;
    weights.x[4] = 0;
    const std::vector<TestType> x = store<TestType>(weights.x);
    for (const Factors& factors : kFactors) CHECK(same_bits(step(weights, factors, 0), x));
    CHECK(same_bits(step(weights, {0, 0}, 3), x));
    weights.importance.assign(100, 0.0);
    for (const Factors& factors : kFactors) CHECK(same_bits(step(weights, factors, 3), x));
  });
}

TEMPLATE_TEST_CASE("L1 leaves the very reference of what is no farther from it than it moves", "",
                   double, float, Float16, BFloat16) {
  at_every_level([] {
    auto weights = Weights<TestType>::random(1, 3000, {Kind::kOwn, Kind::kOwn});
    weights.importance.assign(3000, 100);
    CHECK(same_bits(step(weights, {0.3, 0.07}, 1), store<TestType>(weights.reference)));
  });
}

TEST_CASE("sums and slopes towards a reference whose intermediates leave float64's range") {
  struct Case {
    double difference;
    double importance;
    Factors factors;
    double value;
  };
  for (const auto& [difference, importance, factors, value] :
       {Case{1e200, 1, {0, 1e-300}, 1e100}, Case{1e-200, 1, {0, 1e300}, 1e-100},
        Case{1e200, 1e-300, {0, 1e-10}, 1e90}, Case{1e-120, 1e-100, {0, 1e300}, 1e-40},
        Case{1e-200, 1e300, {0, 1e50}, 1e-50}, Case{1e300, 1e200, {1e-300, 0}, 1e200},
        Case{1e200, 1e200, {1e-200, 0}, 1e200}, Case{1e-200, 1e-200, {1e300, 0}, 1e-100},
        Case{1e-200, 0, {1e300, 1e300}, 0}, Case{0, 1e300, {1e300, 1e300}, 0}}) {
    for (const std::size_t count : Sizes{1, 40'000}) {
      INFO("difference " << difference << ", importance " << importance);
      Weights<double> weights{1,
                              count,
                              {Kind::kOwn, Kind::kOwn},
                              std::vector(count, 0.0),
                              std::vector(count, -difference),
                              std::vector(count, importance)};
      const double exact = value * static_cast<double>(count);
      const double computed = value_of(weights, factors);
      CHECK(std::abs(computed - exact) <= 1e-12 * exact);
    }
  }
}

TEST_CASE("a factor times a scale beyond float64's range, towards a reference") {
  auto weights = Weights<double>::random(1, 3000, {Kind::kOwn, Kind::kOwn});
  for (double& number : weights.x) number = std::ldexp(number, -600);
  for (double& number : weights.reference) number = std::ldexp(number, -600);
  at_every_level([&] {
    const auto large = compute<double, double>(weights, {0, std::ldexp(1.0, 600)}, 0x1p800);
    const auto ordinary = compute<double, double>(weights, {0, 1}, 1);
    for (std::size_t i = 0; i < weights.x.size(); ++i) {
      CHECK(std::ldexp(large.overwritten[i], -900) == std::ldexp(ordinary.overwritten[i], 500));
    }
  });
}

TEMPLATE_LIST_TEST_CASE(
    "penalties towards a reference have the same bits for all threads and levels", "", EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  const auto weights = Weights<T>::random(611, 701, {Kind::kOwn, Kind::kFloat32});
  std::optional<Results<T, G>> first;
  for (const std::string& level : taut::available_levels()) {
    const UsedLevel used_level(level);
    for (const int threads : {1, 2, 3, 8}) {
      INFO("level " << level << ", threads " << threads);
      const UsedThreads used(threads);
      const auto results = compute<T, G>(weights, {0.3, 0.07}, 0.9);
      if (!first) first = results;
      CHECK(bool(results == *first));
    }
  }
}

}  // namespace
}  // namespace taut_test
