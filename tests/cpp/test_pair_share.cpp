// Shares of the orthogonal penalty's pairs: together they are the whole penalty.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>

#include "check_penalty.hpp"
#include "runtime_guards.hpp"
#include "strided.hpp"

namespace taut_test {
namespace {

using taut::ConstView;
using taut::Mode;
using taut::OrthogonalRegularizer;
using taut::PairShare;
using taut::PairSigns;
using taut::VectorRange;
using taut::View;

using Words = std::vector<std::uint64_t>;
constexpr std::uint64_t kUnwritten = ~std::uint64_t{0};

std::size_t vectors_of(const ConstView& x, Mode mode) {
  return x.extent(mode == Mode::kRows ? 0 : x.rank() - 1);
}

// What one share says; memory that it has not written shows.
struct Share {
  double value;
  Words words;
  std::vector<double> measures;
};

Share compute_share(const OrthogonalRegularizer& regularizer, const ConstView& x, PairShare share) {
  const std::size_t vectors = vectors_of(x, regularizer.mode);
  Share result{0, Words(vectors * taut::pair_words(vectors, share.count, x.dtype()), kUnwritten),
               std::vector<double>(vectors * taut::kPairMeasures, -1)};
  result.value = taut::value_and_signs(
      regularizer, x, share,
      {reinterpret_cast<std::byte*>(result.words.data()), result.measures.data()});
  return result;
}

std::vector<Share> compute_shares(const OrthogonalRegularizer& regularizer, const ConstView& x,
                                  std::size_t count) {
  std::vector<Share> shares;
  for (std::size_t index = 0; index < count; ++index) {
    shares.push_back(compute_share(regularizer, x, {index, count}));
  }
  return shares;
}

// From what the shares say of the range, as a process would have it, with gaps.
template <typename G>
std::vector<G> compute_slopes(const OrthogonalRegularizer& regularizer, const ConstView& x,
                              VectorRange range, const std::vector<Share>& shares,
                              double scale = 1) {
  const std::size_t row = shares[0].words.size() / vectors_of(x, regularizer.mode);
  Words words;
  for (const Share& share : shares) {
    const auto begin = share.words.begin();
    words.insert(words.end(), begin + static_cast<std::ptrdiff_t>(range.begin * row),
                 begin + static_cast<std::ptrdiff_t>(range.end * row));
    words.insert(words.end(), 3, kUnwritten);
  }
  const auto shape = shape_of_slice(x, regularizer.mode, range);
  std::size_t size = 1;
  for (const std::ptrdiff_t extent : shape) size *= static_cast<std::size_t>(extent);
  std::vector<G> gradient(size, from_double<G>(7));
  taut::grad_from_signs(
      regularizer, x, range,
      {reinterpret_cast<const std::byte*>(words.data()), (range.end - range.begin) * row + 3,
       shares.size(), shares.back().measures.data()},
      contiguous_view(gradient, shape), scale);
  return gradient;
}

// The rows of a gradient, or its columns.
template <typename G>
std::vector<G> slice(const std::vector<G>& whole, std::size_t vectors, Mode mode,
                     VectorRange range) {
  const std::size_t length = whole.size() / vectors;
  std::vector<G> result;
  for (std::size_t i = 0; i < whole.size(); ++i) {
    const std::size_t vector = mode == Mode::kRows ? i / length : i % vectors;
    if (vector >= range.begin && vector < range.end) result.push_back(whole[i]);
  }
  return result;
}

// By so many, each with its share of the pairs and as equal a range of the vectors; some have none.
template <typename G>
void check_shares(const OrthogonalRegularizer& regularizer, const ConstView& x, std::size_t count,
                  double scale = 1) {
  const std::size_t vectors = vectors_of(x, regularizer.mode);
  INFO("shape " << Catch::Detail::stringify(shape_of(x)) << ", shares " << count);
  const auto whole = value_and_grad<G>(regularizer, x, scale);
  const std::vector<Share> shares = compute_shares(regularizer, x, count);
  double value = 0;
  for (std::size_t index = 0; index < count; ++index) {
    const Share& share = shares[index];
    CHECK(same_bits(taut::value(regularizer, x, PairShare{index, count}), share.value));
    CHECK(std::count(share.words.begin(), share.words.end(), kUnwritten) == 0);
    CHECK((share.measures == shares[0].measures));
    value += share.value;
  }
  CHECK(std::abs(value - whole.value) <= 1e-13 * whole.value);
  const std::size_t each = (vectors + count - 1) / count;
  for (std::size_t begin = 0; begin < vectors; begin += each) {
    const VectorRange range{begin, std::min(vectors, begin + each)};
    INFO("range " << range.begin << " to " << range.end);
    CHECK(same_bits(compute_slopes<G>(regularizer, x, range, shares, scale),
                    slice(whole.gradient, vectors, regularizer.mode, range)));
  }
}

TEMPLATE_LIST_TEST_CASE("shares have the bits of one process at every size", "", EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  for (std::size_t vectors = 1; vectors <= 110; vectors += vectors < 60 ? 1 : 7) {
    const std::size_t length = 1 + vectors * 7 % 40;
    const Mode mode = vectors % 3 == 0 ? Mode::kColumns : Mode::kRows;
    const std::size_t rows = mode == Mode::kRows ? vectors : length;
    const std::vector<T> x = store<T>(random_numbers<T>(vectors * length));
    at_every_level([&] {
      check_shares<G>({.factor = 0.3, .mode = mode},
                      ConstView::matrix(x, rows, vectors * length / rows), 1 + vectors % 5, -0.7);
    });
  }
}

// Tiles of every side, and more shares than there are tiles or vectors.
TEMPLATE_LIST_TEST_CASE("many vectors and many shares", "", EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  for (const std::size_t vectors : {7u, 193u, 400u, 1201u}) {
    const std::vector<T> x = store<T>(random_numbers<T>(vectors * 17));
    at_every_level([&] {
      for (const std::size_t count : {2u, 9u}) {
        check_shares<G>({}, ConstView::matrix(x, vectors, 17), count);
      }
    });
  }
}

TEST_CASE("coordinates of several windows, and rows of several strips", "[large]") {
  const std::vector<float> x = store<float>(random_numbers<float>(2600 * 150));
  at_every_level([&] {
    check_shares<float>({}, ConstView::matrix(x, 2600, 150), 4);
    check_shares<float>({}, ConstView::matrix(x, 150, 2600), 3);
    check_shares<float>({.mode = Mode::kColumns}, ConstView::matrix(x, 1300, 300), 2);
  });
}

TEMPLATE_LIST_TEST_CASE("orthogonal pairs and vectors of zeros", "", EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  for (const std::size_t vectors : {30u, 40u, 130u, 401u}) {
    std::vector<double> numbers = random_numbers<T>(vectors * 11);
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      if ((i * 7 + i / 11) % 5 != 0 || i / 11 % 13 == 10) numbers[i] = 0;
    }
    const std::vector<T> x = store<T>(numbers);
    at_every_level([&] {
      for (const std::size_t count : {1u, 3u}) {
        check_shares<G>({}, ConstView::matrix(x, vectors, 11), count);
      }
    });
  }
}

// The largest and the smallest numbers are scaled, and the signs of some pairs are exact ones.
TEMPLATE_TEST_CASE("numbers near the ends of the range", "", double, float, BFloat16) {
  constexpr std::size_t kLength = 9;
  const double large = std::ldexp(1.0, kFormat<TestType>.max_exponent * 3 / 10);
  const double small = 1 / large;
  for (const std::size_t vectors : {30u, 60u, 200u}) {
    std::vector<double> numbers = random_numbers<TestType>(vectors * kLength);
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      const std::size_t k = i % kLength;
      numbers[i] = k > 1 ? numbers[i] * small : k == i / kLength % 2 ? large : 0;
      if (i / kLength % 7 == 3) numbers[i] *= 1e-9 / large;  // below the smallest norm
      numbers[i] = round_to(kFormat<TestType>, numbers[i]);
    }
    const std::vector<TestType> x = store<TestType>(numbers);
    at_every_level([&] {
      check_shares<TestType>({}, ConstView::matrix(x, vectors, kLength), 3);
      // Times this, a factor is beyond float64's range.
      check_shares<TestType>({.factor = 1e-200}, ConstView::matrix(x, vectors, kLength), 2, 1e-150);
    });
  }
}

TEMPLATE_LIST_TEST_CASE("a vector that is not finite is seen by all", "", EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  at_every_level([] {
    for (const std::size_t vectors : {9u, 60u}) {
      for (const double number : {std::nan(""), std::numeric_limits<double>::infinity()}) {
        std::vector<T> x = store<T>(random_numbers<T>(vectors * 5));
        x[vectors / 2 * 5 + 3] = from_double<T>(number);
        const auto view = ConstView::matrix(x, vectors, 5);
        const std::vector<Share> shares = compute_shares({}, view, 3);
        for (const std::size_t index : {0u, 1u, 2u}) {
          CHECK(std::isnan(shares[index].value));
          CHECK(std::isnan(taut::value(OrthogonalRegularizer{}, view, PairShare{index, 3})));
          for (const G slope : compute_slopes<G>({}, view, {index, vectors - 2}, shares)) {
            CHECK(std::isnan(to_double(slope)));
          }
        }
      }
    }
  });
}

TEST_CASE("no pairs, no value and no slopes") {
  const std::vector<double> nan(12, std::nan(""));
  const std::vector<double> none;
  const OrthogonalRegularizer off{.factor = 0};
  for (const auto& [regularizer, view] :
       {std::tuple{OrthogonalRegularizer{}, ConstView::matrix(nan, 1, 12)},
        std::tuple{OrthogonalRegularizer{}, ConstView::matrix(none, 4, 0)},
        std::tuple{off, ConstView::matrix(nan, 3, 4)}}) {
    const std::size_t vectors = view.extent(0);
    const std::vector<Share> shares = compute_shares(regularizer, view, 2);
    for (const Share& share : shares) {
      CHECK(same_bits(share.value, 0.0));
      CHECK(share.words == Words(share.words.size()));
    }
    CHECK(compute_slopes<double>(regularizer, view, {0, vectors}, shares) ==
          std::vector<double>(view.size(), 0.0));
  }
}

template <typename T>
void check_bits(std::size_t vectors, std::size_t length, VectorRange range) {
  const std::vector<T> x = store<T>(random_numbers<T>(vectors * length));
  const auto view = ConstView::matrix(x, vectors, length);
  std::optional<std::vector<Share>> first;
  std::optional<std::vector<T>> first_slopes;
  at_every_fused_level({1, 2, 3, 8}, [&] {
    INFO("vectors " << vectors);
    const std::vector<Share> shares = compute_shares({}, view, 2);
    const auto slopes = compute_slopes<T>({}, view, range, shares);
    if (!first) first = shares;
    if (!first_slopes) first_slopes = slopes;
    for (const std::size_t index : {0u, 1u}) {
      CHECK(same_bits(shares[index].value, (*first)[index].value));
      CHECK((shares[index].words == (*first)[index].words));
      CHECK((shares[index].measures == (*first)[index].measures));
    }
    CHECK(same_bits(slopes, *first_slopes));
  });
}

TEMPLATE_TEST_CASE("a share has the same bits for all threads and fused levels", "", float,
                   double) {
  check_bits<TestType>(30, 4000, {3, 21});
  check_bits<TestType>(49, 70, {40, 44});
  check_bits<TestType>(400, 300, {101, 203});
  check_bits<TestType>(1300, 40, {0, 690});
}

// A convolution's kernel, and a slice of one, whose coordinates are no steps of one size.
TEST_CASE("shares of a tensor's vectors are those of the matrix it is read as") {
  const std::vector<double> memory = random_numbers<double>(80 * 3 * 5);
  constexpr std::ptrdiff_t kSize = sizeof(double);
  for (const std::ptrdiff_t length : {5, 4}) {
    const std::vector<std::ptrdiff_t> shape{80, 3, length};
    const std::vector<std::ptrdiff_t> strides{15 * kSize, 5 * kSize, kSize};
    const ConstView tensor(memory.data(), taut::DType::kFloat64, shape, strides);
    at_every_level([&] { check_shares<double>({.factor = 1, .flatten = true}, tensor, 3); });
  }
}

TEST_CASE("what does not suit a share is refused before anything is written") {
  // What reaches beyond one of these reaches into nothing else.
  constexpr std::size_t kRoom = 1000;
  std::vector<double> x = random_numbers<double>(60 + kRoom);
  const auto view = View::matrix(x.data(), 10, 6, std::ptrdiff_t{6});
  const std::size_t used_words = 10 * taut::pair_words(10, 2, taut::DType::kFloat64);
  Words words(used_words + kRoom, 5);
  std::vector<double> measures(10 * taut::kPairMeasures + kRoom, 5);
  auto* const bytes = reinterpret_cast<std::byte*>(words.data());
  const auto refusal = [&](PairShare share) {
    return message_of([&] {
      taut::value_and_signs(OrthogonalRegularizer{}, view, share, {bytes, measures.data()});
    });
  };
  CHECK(refusal({2, 2}) == "Expected one of 2 shares. Received: 2");
  CHECK(refusal({0, 0}) == "Expected one of 0 shares. Received: 0");
  CHECK(message_of([] { taut::pair_words(10, 0, taut::DType::kFloat32); }) ==
        "Expected one of 0 shares. Received: 0");
  const auto refused_slopes = [&](VectorRange range, const View& gradient, std::size_t shares) {
    return message_of([&] {
      taut::grad_from_signs(OrthogonalRegularizer{}, view, range,
                            {bytes, used_words / 2, shares, measures.data()}, gradient);
    });
  };
  std::vector<double> gradient(60, 7.0);
  const auto rows = [](std::vector<double>& of, std::size_t count) {
    return View::matrix(of.data(), count, 6, std::ptrdiff_t{6});
  };
  CHECK(refused_slopes({3, 11}, rows(gradient, 8), 2) ==
        "Expected a range of the vectors [0, 10). Received: [3, 11)");
  CHECK(refused_slopes({3, 6}, rows(gradient, 3), 0) == "Expected one of 0 shares. Received: 0");
  CHECK(refused_slopes({3, 6}, rows(gradient, 4), 2) ==
        "The gradient must have the shape of the input. Received: shapes (4, 6) and (3, 6)");
  CHECK(refused_slopes({3, 6}, rows(x, 3), 2) ==
        "The gradient must not overlap the input: they share memory");
  const auto refused_signs = [&](const void* first_word, double* first_measure) {
    return message_of([&] {
      taut::value_and_signs(
          OrthogonalRegularizer{}, view, {0, 2},
          {static_cast<std::byte*>(const_cast<void*>(first_word)), first_measure});
    });
  };
  const std::vector<double> x_before = x;
  const std::string overlaps_input = "The signs must not overlap the input: they share memory";
  CHECK(refused_signs(&x[59], measures.data()) == overlaps_input);
  CHECK(refused_signs(bytes, &x[59]) == overlaps_input);
  CHECK(refused_signs(bytes, reinterpret_cast<double*>(&words[used_words - 1])) ==
        "The words and the measures of signs must not overlap: they share memory");
  CHECK(x == x_before);
  const std::string overlaps_signs = "The gradient must not overlap the signs: they share memory";
  CHECK(refused_slopes({3, 6}, View::matrix(measures.data() + 22, 3, 6, std::ptrdiff_t{6}), 2) ==
        overlaps_signs);
  CHECK(refused_slopes({3, 6}, View::matrix(reinterpret_cast<double*>(words.data()), 3, 6, 6), 2) ==
        overlaps_signs);
  CHECK(words == Words(words.size(), 5));
  CHECK(measures == std::vector<double>(measures.size(), 5));
  CHECK(gradient == std::vector<double>(60, 7.0));
}

}  // namespace
}  // namespace taut_test
