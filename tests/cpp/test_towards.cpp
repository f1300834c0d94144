// Elementwise penalties towards a reference, and weighted, against the formulas.

#include <cmath>
#include <limits>
#include <optional>
#include <random>
#include <span>

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

TEMPLATE_LIST_TEST_CASE("a thousand random penalties towards a reference, in any layouts",
                        "[large]", EveryDtype) {
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
        Case{1e-200, 0, {1e300, 1e300}, 0}, Case{1e200, 0, {0, 1e300}, 0},
        Case{0, 1e300, {1e300, 1e300}, 0}}) {
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
  for (const std::string_view level : taut::available_levels()) {
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

// 4 by 5 each, one after the other in memory: x, its gradient, its reference and its importance,
// and another x with its gradient.
struct Memory {
  std::vector<double> numbers = random_numbers<double>(120);

  taut::View at(std::size_t place) {
    return taut::View::matrix(numbers.data() + 20 * place, 4, 5, 5);
  }
};

std::string refusal(const taut::GradientTerm& wrong, bool is_first = true) {
  Memory memory;
  std::vector<double> other(20, 7.0);
  const taut::GradientTerm right{taut::L1{1}, memory.at(4), memory.at(5)};
  const taut::GradientTerm terms[] = {is_first ? wrong : right, is_first ? right : wrong};
  try {
    taut::accumulate_grad(terms);
  } catch (const taut::InvalidTerm& error) {
    CHECK(error.term() == (is_first ? 0 : 1));
    return error.what();
  }
  return "nothing was thrown";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("a reference and an importance have the shape of the input, and its dtype or float32") {
  Memory memory;
  const std::vector<double> before = memory.numbers;
  const taut::View x = memory.at(0), gradient = memory.at(1), side = memory.at(2);
  std::vector<float> floats(20);
  std::vector<Float16> halves(20);
  const auto check_both = [&](const taut::Regularizer& regularizer, const taut::ConstView& wrong,
                              const std::string& part) {
    for (const bool is_first : {true, false}) {
      const std::string first = refusal({regularizer, x, gradient, wrong}, is_first);
      CHECK(contains(first, part));
      CHECK(contains(first, "The reference must have the"));
      const std::string second = refusal({regularizer, x, gradient, {}, wrong}, is_first);
      CHECK(contains(second, part));
      CHECK(contains(second, "The importance must have the"));
    }
    const taut::Term terms[] = {{regularizer, x, wrong}};
    CHECK_THROWS_AS(taut::value(terms), taut::InvalidTerm);
    const taut::ProxTerm steps[] = {{regularizer, x, {}, wrong}};
    CHECK_THROWS_AS(taut::prox(steps, 1), taut::InvalidTerm);
  };
  for (const taut::Regularizer& regularizer :
       {taut::Regularizer(taut::L1{1}), taut::Regularizer(taut::L2{0})}) {
    check_both(regularizer, taut::View::matrix(memory.numbers.data(), 5, 4, 4), "shape");
    check_both(regularizer, {memory.numbers.data(), 20}, "shape");
    check_both(regularizer, taut::ConstView::matrix(halves, 4, 5), "float16 and float64");
  }
  const taut::Term fine[] = {{taut::L1{1}, x, side, taut::ConstView::matrix(floats, 4, 5)}};
  CHECK(taut::value(fine) == 0);
  CHECK(memory.numbers == before);
}

TEST_CASE("penalties of vectors take no reference") {
  Memory memory;
  CHECK(contains(refusal({taut::OrthogonalRegularizer{}, memory.at(0), memory.at(1), memory.at(2)}),
                 "L1, L2 and L1L2 alone"));
  CHECK(contains(
      refusal({taut::OrthogonalRegularizer{}, memory.at(0), memory.at(1), {}, memory.at(2)}, false),
      "L1, L2 and L1L2 alone"));
}

TEST_CASE("what is written overlaps no reference and no importance, of its own term or another") {
  Memory memory;
  const std::vector<double> before = memory.numbers;
  const taut::View x = memory.at(0), gradient = memory.at(1), other = memory.at(4);
  const taut::View last = taut::View::matrix(memory.numbers.data() + 39, 4, 5, 5);  // one element
  const auto check_refused = [&](const std::vector<taut::GradientTerm>& terms, std::size_t blamed,
                                 const std::string& part) {
    using Function = double (*)(std::span<const taut::GradientTerm>, double, std::span<double>,
                                taut::Workspace*);
    for (const Function function :
         {Function{taut::accumulate_grad}, Function{taut::value_and_grad}}) {
      std::size_t term = 99;
      std::string text;
      try {
        function(terms, 1, {}, nullptr);
      } catch (const taut::InvalidTerm& error) {
        term = error.term();
        text = error.what();
      }
      CHECK(term == blamed);
      CHECK(contains(text, part));
    }
    CHECK(memory.numbers == before);
  };
  for (const taut::View& side : {gradient, last}) {
    check_refused({{taut::L1{1}, x, gradient, side}}, 0,
                  "The gradient must not overlap the reference");
    check_refused({{taut::L1{0}, x, gradient, {}, side}}, 0,
                  "The gradient must not overlap the importance");
    // Of another term's, the one that would be written is blamed.
    check_refused({{taut::L2{1}, x, gradient}, {taut::L2{1}, other, memory.at(5), side}}, 0,
                  "reference or importance");
    check_refused({{taut::L2{1}, other, memory.at(5), {}, side}, {taut::L2{1}, x, gradient}}, 1,
                  "reference or importance");
  }
  const auto check_step = [&](const std::vector<taut::ProxTerm>& terms) {
    CHECK_THROWS_AS(taut::prox(terms, 1), taut::InvalidTerm);
    CHECK(memory.numbers == before);
  };
  check_step({{taut::L1{1}, x, x}});
  check_step({{taut::L1{1}, x, {}, taut::View::matrix(memory.numbers.data() + 19, 4, 5, 5)}});
  check_step({{taut::L1{1}, x, memory.at(2)}, {taut::L1{1}, memory.at(2)}});
  check_step({{taut::L1{1}, memory.at(2)}, {taut::L1{1}, x, {}, memory.at(2)}});
  // What is read may be read by others.
  const taut::Term readings[] = {{taut::L1{1}, x, x, x}, {taut::L1{1}, gradient, x, other}};
  CHECK(taut::value(readings) > 0);
}

TEST_CASE("memory that comes again counts once, with the arrays of its first term") {
  Memory memory;
  const std::vector<double> zeros(20);
  std::vector<double> values(2);
  const taut::Term terms[] = {{taut::L2{1}, memory.at(0), memory.at(0)},
                              {taut::L2{1}, memory.at(0), taut::ConstView::matrix(zeros, 4, 5)}};
  CHECK(taut::value(terms, values) == 0);
  CHECK(values == std::vector<double>{0, 0});
}

}  // namespace
}  // namespace taut_test
