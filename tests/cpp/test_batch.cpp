// Many tensors in one call are what calls for one tensor after another would be.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>

#include "check_penalty.hpp"
#include "runtime_guards.hpp"

namespace taut_test {
namespace {

using taut::GradientTerm;
using taut::View;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

template <typename T>
View matrix(T* data, std::size_t rows = 4, std::size_t columns = 5) {
  return View::matrix(data, rows, columns, static_cast<std::ptrdiff_t>(columns));
}

using Terms = std::vector<GradientTerm>;

std::vector<taut::Term> without_gradients(const Terms& terms) {
  std::vector<taut::Term> values;
  for (const GradientTerm& term : terms) values.push_back({term.regularizer, term.x});
  return values;
}

// Tensors of one dtype, one after the other in memory.
template <typename T, typename G>
struct Tensors {
  std::vector<T> x = store<T>(random_numbers<T>(5 * 234'001));
  std::vector<G> gradient = store<G>(random_numbers<G>(x.size(), 2));

  explicit Tensors(Dtypes<T, G>) {}
  bool operator==(const Tensors& other) const {
    return same_bits(x, other.x) && same_bits(gradient, other.gradient);
  }

  void add_to(Terms& terms) {
    const taut::Regularizer regularizers[] = {taut::L1{0.3}, taut::OrthogonalRegularizer{},
                                              taut::L2{0.07}, taut::L1L2{0.3, 0.07},
                                              taut::SoftOrthogonalRegularizer{.diagonal = false}};
    constexpr std::size_t kShapes[][2] = {{400, 500}, {0, 0}, {40, 25}, {1, 1}, {165, 200}};
    std::size_t at = 0;
    for (const auto& [rows, columns] : kShapes) {
      for (const taut::Regularizer& regularizer : regularizers) {
        terms.push_back({regularizer, matrix(x.data() + at, rows, columns),
                         matrix(gradient.data() + at, rows, columns)});
        at += rows * columns;
      }
    }
  }
};

auto make_model() {
  return std::apply([](auto... dtypes) { return std::tuple(Tensors(dtypes)...); }, EveryDtype());
}

template <typename Model>
Terms terms_of(Model& model) {
  Terms terms;
  std::apply([&](auto&... tensors) { (tensors.add_to(terms), ...); }, model);
  return terms;
}

// Of the gradients, which are as good as any tensor.
std::vector<taut::ProxTerm> steps_of(const Terms& terms) {
  std::vector<taut::ProxTerm> steps;
  for (const auto& [regularizer, x, gradient, reference, importance] : terms) {
    if (!std::holds_alternative<taut::OrthogonalRegularizer>(regularizer) &&
        !std::holds_alternative<taut::SoftOrthogonalRegularizer>(regularizer)) {
      steps.push_back({regularizer, gradient});
    }
  }
  return steps;
}

TEST_CASE("a batch has the bits of single calls for any number of threads") {
  const auto before = make_model();
  auto alone = before;
  std::vector<double> expected;
  for (const auto& [regularizer, x, gradient, reference, importance] : terms_of(alone)) {
    expected.push_back(taut::accumulate_grad(regularizer, x, gradient, -0.7));
  }
  const double sum = std::accumulate(expected.begin(), expected.end(), 0.0);
  auto alone_overwritten = before;
  for (const auto& [regularizer, x, gradient, reference, importance] :
       terms_of(alone_overwritten)) {
    taut::value_and_grad(regularizer, x, gradient, -0.7);
  }
  auto stepped = alone;
  for (const auto& [regularizer, x, reference, importance] : steps_of(terms_of(stepped)))
    taut::prox(regularizer, x, 0.7);
  for (const int threads : {1, 2, 3, 8}) {
    INFO("threads " << threads);
    const UsedThreads used(threads);
    auto model = before;
    const Terms terms = terms_of(model);
    std::vector<double> values(expected.size(), kNan);
    CHECK(same_bits(taut::value(without_gradients(terms), values), sum));
    CHECK(same_bits(values, expected));
    CHECK(same_bits(taut::value(without_gradients(terms)), sum));
    values.assign(expected.size(), kNan);
    CHECK(same_bits(taut::accumulate_grad(terms, -0.7, values), sum));
    CHECK(same_bits(values, expected));
    CHECK(bool(model == alone));
    auto overwritten = before;
    values.assign(expected.size(), kNan);
    CHECK(same_bits(taut::value_and_grad(terms_of(overwritten), -0.7, values), sum));
    CHECK(same_bits(values, expected));
    CHECK(bool(overwritten == alone_overwritten));
    taut::prox(steps_of(terms), 0.7);
    CHECK(bool(model == stepped));
  }
}

// Five pairs of an x and a gradient, 4 by 5, one after the other in memory.
struct Row {
  std::vector<double> memory = random_numbers<double>(200);
  Terms terms;

  Row() {
    for (std::size_t i = 0; i < 5; ++i) terms.push_back({taut::L1{1}, matrix(x(i)), matrix(g(i))});
    terms[2].regularizer = taut::OrthogonalRegularizer{};
  }
  Row(const Row&) = delete;
  Row& operator=(const Row&) = delete;
  double* x(std::size_t i) { return memory.data() + 40 * i; }
  double* g(std::size_t i) { return x(i) + 20; }
};

// These terms give what they give alone, and the others are left out.
void check_counted(Row& row, const std::vector<std::size_t>& counted) {
  const std::vector<double> before = row.memory;
  std::vector<double> expected(5);
  for (const std::size_t i : counted) {
    const auto& [regularizer, x, gradient, reference, importance] = row.terms[i];
    expected[i] = taut::accumulate_grad(regularizer, x, gradient);
  }
  const double sum = std::accumulate(expected.begin(), expected.end(), 0.0);
  const std::vector<double> alone = row.memory;
  std::copy(before.begin(), before.end(), row.memory.begin());
  std::vector<double> values(5, kNan);
  CHECK(same_bits(taut::value(without_gradients(row.terms), values), sum));
  CHECK(same_bits(values, expected));
  values.assign(5, kNan);
  CHECK(same_bits(taut::accumulate_grad(row.terms, 1, values), sum));
  CHECK(same_bits(values, expected));
  CHECK(same_bits(row.memory, alone));
}

TEST_CASE("memory that comes again counts once, under the first term") {
  Row row;
  const View view = matrix(row.x(0));
  const View transposed = View::matrix(row.x(0), 5, 4, 1, 5);
  const View backwards = View::matrix(row.x(0) + 19, 4, 5, -5, -1);
  row.terms[1] = {taut::OrthogonalRegularizer{}, transposed, matrix(row.g(1), 5, 4)};
  row.terms[3].x = view;
  row.terms[4] = {taut::L2{1}, backwards, matrix(row.g(4))};
  check_counted(row, {0, 2});

  // Where gradients are overwritten, that of a weight that does not count again is 0.
  taut::value_and_grad(row.terms);
  for (const std::size_t i : {1u, 3u, 4u}) {
    CHECK(std::all_of(row.g(i), row.g(i) + 20, [](double slope) { return slope == 0; }));
  }
  CHECK(row.g(0)[0] != 0);

  std::vector<double> expected = row.memory;
  taut::prox(taut::L1{0.3}, View(expected.data(), 20), 0.7);
  const taut::ProxTerm steps[] = {
      {taut::L1{0.3}, view}, {taut::L1{0.5}, backwards}, {taut::L2{0.5}, transposed}};
  taut::prox(steps, 0.7);
  CHECK(row.memory == expected);
}

TEST_CASE("memory that is shared in part, or read as another dtype, counts again") {
  Row row;
  auto* floats = reinterpret_cast<float*>(row.g(4));
  row.terms[1] = {taut::L1{1}, {row.x(0), 19}, {row.g(1), 19}};
  row.terms[3] = {taut::L1{1}, View::matrix(row.x(0), 1, 10, 0, 2), matrix(row.g(3), 1, 10)};
  row.terms[4] = {taut::L1{1}, {reinterpret_cast<float*>(row.x(0)), 40}, {floats, 40}};
  check_counted(row, {0, 1, 2, 3, 4});
}

TEST_CASE("views of one extent are one memory only if their elements are the same") {
  double x[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  const View all(x, 9);
  const View odd = View::matrix(x, 1, 5, 0, 2);
  const taut::Term hidden[] = {{taut::L1{1}, all}, {taut::L1{1}, odd}, {taut::L1{1}, all}};
  std::vector<double> values(3);
  CHECK(taut::value(hidden, values) == 70);
  CHECK(values == std::vector<double>{45, 25, 0});

  const View first = View::matrix(x, 2, 2, 4, 1);
  const View second = View::matrix(x, 2, 2, 3, 2);
  const taut::Term gapped[] = {{taut::L1{1}, first}, {taut::L1{1}, second}};
  CHECK(taut::value(gapped) == (1 + 2 + 5 + 6) + (1 + 3 + 4 + 6));
  const taut::ProxTerm steps[] = {{taut::L1{1}, first}, {taut::L1{1}, second}};
  CHECK_THROWS_AS(taut::prox(steps, 1), taut::InvalidTerm);
}

TEST_CASE("gradients may lie between the elements of other gradients and inputs") {
  Row row;
  for (std::size_t i = 0; i < 4; ++i) {
    double* first = row.memory.data() + 2 * i;
    row.terms[i].x = View::matrix(first, 4, 5, 40, 8);
    row.terms[i].gradient = View::matrix(first + 1, 4, 5, 40, 8);
  }
  check_counted(row, {0, 1, 2, 3, 4});
}

TEST_CASE("a term with a factor of 0 is skipped, NaN or not") {
  Row row;
  row.terms[0].regularizer = taut::L1{0};
  row.terms[2].regularizer = taut::OrthogonalRegularizer{.factor = 0};
  row.terms[3].regularizer = taut::L1L2{0, 0};
  for (const std::size_t i : {0u, 2u, 3u}) row.x(i)[7] = kNan;
  check_counted(row, {1, 4});
}

TEST_CASE("what is overwritten for a term that adds nothing is overwritten with zeros") {
  Row row;
  row.terms[0].regularizer = taut::L1{0};
  row.terms[1].regularizer = taut::SoftOrthogonalRegularizer{.factor = 0};
  row.terms[2].regularizer = taut::OrthogonalRegularizer{.factor = 0};
  row.terms[4].x = row.terms[3].x;  // and so counts under that term
  for (std::size_t i = 0; i < 5; ++i) std::fill_n(row.g(i), 20, kNan);
  taut::value_and_grad(row.terms);
  for (const std::size_t i : {0u, 1u, 2u, 4u}) {
    INFO("term " << i);
    CHECK(std::vector<double>(row.g(i), row.g(i) + 20) == std::vector<double>(20, 0.0));
  }
  for (std::size_t i = 0; i < 20; ++i) CHECK(std::abs(row.g(3)[i]) == 1);
}

// A weight that has come before is not added to its gradient, which has to fit all the same.
TEST_CASE("a gradient that does not count may be the first one, or any that fits") {
  Row row;
  row.terms[3].x = row.terms[0].x;
  check_counted(row, {0, 1, 2, 4});
  row.terms[3].gradient = row.terms[0].gradient;
  check_counted(row, {0, 1, 2, 4});
}

// Puts `wrong` in the place of the fourth term, for which that or another one is blamed.
void check_refused(Row& row, const GradientTerm& wrong, std::size_t term = 3) {
  row.terms[3] = wrong;
  std::vector<double> values(5, 7.0);
  const std::vector<double> before = row.memory;
  std::size_t blamed = 99;
  try {
    taut::accumulate_grad(row.terms, 1, values);
  } catch (const taut::InvalidTerm& error) {
    blamed = error.term();
  }
  CHECK(blamed == term);
  CHECK_THROWS_AS(taut::check_accumulate_grad(row.terms), taut::InvalidTerm);
  CHECK(row.memory == before);
  CHECK(values == std::vector<double>(5, 7.0));
}

TEST_CASE("terms are checked by themselves, and nothing is written") {
  const Row row;
  taut::check_accumulate_grad(row.terms, -0.5);
  CHECK(row.memory == Row().memory);
}

TEST_CASE("a mistake in one term names it, and nothing is written") {
  Row row;
  const View x = matrix(row.x(3));
  const View g = matrix(row.g(3));
  check_refused(row, {taut::L1{-1}, x, g});
  check_refused(row, {taut::L1L2{0, kNan}, x, g});
  check_refused(row, {taut::OrthogonalRegularizer{}, {row.x(3), 20}, {row.g(3), 20}});
  check_refused(row, {taut::L1{1}, x, matrix(row.g(3), 5, 4)});
  check_refused(row, {taut::L1{1}, x, View::matrix(row.g(3), 4, 5, 1)});  // overlaps itself
  check_refused(row, {taut::L1{1}, x, x});
  check_refused(row, {taut::L1{0}, x, matrix(row.x(3) + 19)});
  for (const std::size_t other : {0u, 1u, 2u, 4u}) {
    INFO("other term " << other);
    check_refused(row, {taut::L1{0}, x, matrix(row.g(other))}, std::max<std::size_t>(3, other));
    check_refused(row, {taut::L1{1}, x, matrix(row.x(other))});
    check_refused(row, {taut::L1{1}, matrix(row.g(other)), g}, other);
    // One element is enough.
    check_refused(row, {taut::L1{1}, {row.x(3), 1}, {row.g(other) + 19, 1}},
                  std::max<std::size_t>(3, other));
    check_refused(row, {taut::L1{1}, {row.x(3), 1}, {row.x(other) + 19, 1}});
  }
}

TEST_CASE("a mistake in a term that does not count is one all the same") {
  Row row;
  const View x = matrix(row.x(0));
  const View g = matrix(row.g(3));
  std::vector<float> floats(20);
  check_refused(row, {taut::L1{-1}, x, g});
  check_refused(row, {taut::L1{1}, x, matrix(row.g(3), 5, 4)});
  check_refused(row, {taut::L1{1}, x, matrix(floats.data())});
  check_refused(row, {taut::L1{1}, x, View::matrix(row.g(3), 4, 5, 1)});  // overlaps itself
  check_refused(row, {taut::L1{1}, x, x});
  check_refused(row, {taut::L1{1}, x, g, x, taut::ConstView(g)});
}

TEST_CASE("values that overlap a tensor, or what belongs to it, are refused") {
  Row row;
  std::vector<double> sides = random_numbers<double>(40);
  row.terms[2] = {taut::L1{1}, matrix(row.x(2)), matrix(row.g(2)), matrix(sides.data()),
                  matrix(sides.data() + 20)};
  row.terms[4].x = row.terms[0].x;  // which does not count
  const std::vector<double> before = row.memory;
  const std::vector<double> sides_before = sides;
  const auto blamed_of = [](auto call) {
    try {
      call();
    } catch (const taut::InvalidTerm& error) {
      return error.term();
    }
    return std::size_t{5};
  };
  struct Place {
    double* values;
    std::size_t blamed;
    bool is_read;  // by taut::value, too
  };
  for (const auto& [values, blamed, is_read] :
       {Place{row.x(1) + 15, 1, true}, Place{row.x(3) + 18, 3, true}, Place{row.g(3), 3, false},
        Place{row.g(4), 4, false}, Place{sides.data() + 3, 2, true},
        Place{sides.data() + 35, 2, true}}) {
    INFO("term " << blamed);
    const std::span<double> written(values, 5);
    CHECK(blamed_of([&] { taut::accumulate_grad(row.terms, 1, written); }) == blamed);
    CHECK(blamed_of([&] { taut::value_and_grad(row.terms, 1, written); }) == blamed);
    std::vector<taut::Term> terms = without_gradients(row.terms);
    terms[2].reference = row.terms[2].reference;
    terms[2].importance = row.terms[2].importance;
    if (is_read) CHECK(blamed_of([&] { taut::value(terms, written); }) == blamed);
    CHECK(row.memory == before);
    CHECK(sides == sides_before);
  }
  // They may lie between the elements of others.
  std::vector<double> spread(5 * 20);
  row.terms[4].x = View::matrix(spread.data(), 4, 5, 25, 5);
  const auto between = std::span<double>(spread).subspan(26, 4);
  CHECK(blamed_of([&] {
          taut::accumulate_grad(std::span<const GradientTerm>(row.terms).last(4), 1, between);
        }) == 5);
}

TEST_CASE("a batch of another size than its values, and wrong steps, are refused") {
  Row row;
  const std::vector<double> before = row.memory;
  std::vector<double> values(6, 7.0);
  const taut::Term term[] = {{taut::L1{1}, row.terms[0].x}};
  for (const std::size_t size : {1u, 4u, 6u}) {
    const std::span<double> wrong(values.data(), size);
    CHECK_THROWS_AS(taut::accumulate_grad(row.terms, 1, wrong), taut::InvalidArgument);
    if (size > 1) CHECK_THROWS_AS(taut::value(term, wrong), taut::InvalidArgument);
    CHECK_THROWS_AS(taut::value(std::span<const taut::Term>(), wrong), taut::InvalidArgument);
  }
  CHECK(values == std::vector<double>(6, 7.0));
  const auto check_step = [&](const taut::Regularizer& regularizer, const View& x, double step) {
    const taut::ProxTerm terms[] = {{taut::L1{1}, matrix(row.x(0))}, {regularizer, x}};
    CHECK_THROWS_AS(taut::prox(terms, step), taut::InvalidTerm);
    CHECK_THROWS_AS(taut::check_prox(terms, step), taut::InvalidTerm);
  };
  CHECK_THROWS_AS(taut::prox({}, -1), taut::InvalidArgument);
  CHECK_THROWS_AS(taut::check_prox({}, -1), taut::InvalidArgument);
  const taut::ProxTerm right[] = {{taut::L1{1}, matrix(row.x(0))}, {taut::L2{1}, matrix(row.x(1))}};
  taut::check_prox(right, 1);
  check_step(taut::OrthogonalRegularizer{}, matrix(row.x(1)), 1);
  check_step(taut::L2{-1}, matrix(row.x(1)), 1);
  check_step(taut::L2{1}, matrix(row.x(0) + 19), 1);
  CHECK(row.memory == before);
}

// The index that is blamed, or as many as there are.
std::size_t blamed_of(std::span<const taut::Memory> arrays) {
  try {
    taut::check_apart(arrays);
  } catch (const taut::InvalidTerm& error) {
    return error.term();
  }
  return arrays.size();
}

TEST_CASE("what is written overlaps neither itself nor what is read beside it") {
  const std::array<std::byte, 48> memory{};
  const std::array<std::ptrdiff_t, 2> shape{2, 3};
  const std::array<std::ptrdiff_t, 2> dense{12, 4};
  const std::array<std::ptrdiff_t, 2> spread{24, 8};
  const std::array<std::ptrdiff_t, 2> dotted{4, 4};
  const auto at = [&](std::size_t offset, const auto& strides, bool is_written) {
    return taut::Memory{memory.data() + offset, 4, shape, strides, is_written};
  };
  using Arrays = std::vector<taut::Memory>;
  CHECK(blamed_of({}) == 0);
  CHECK(blamed_of(Arrays{at(0, dense, true), at(24, dense, true)}) == 2);
  CHECK(blamed_of(Arrays{at(0, spread, true), at(4, spread, true)}) == 2);
  CHECK(blamed_of(Arrays{at(0, dense, false), at(20, dense, false), at(0, dotted, false)}) == 3);
  CHECK(blamed_of(Arrays{at(0, dense, false), at(20, dense, true)}) == 1);
  CHECK(blamed_of(Arrays{at(20, dense, true), at(0, dense, false)}) == 0);
  CHECK(blamed_of(Arrays{at(20, dense, true), at(0, dense, true)}) == 1);
  CHECK(blamed_of(Arrays{at(0, spread, true), at(1, spread, true)}) == 1);  // one byte is enough
  CHECK(blamed_of(Arrays{at(0, dense, false), at(24, dotted, true)}) == 1);
  const std::array<std::ptrdiff_t, 2> empty{0, 3};
  CHECK(blamed_of(Arrays{at(0, dense, true), {memory.data(), 4, empty, dense, true}}) == 2);
  const std::array<std::ptrdiff_t, 2> many{24, 1};  // elements that would reach one another
  const taut::Memory nothing{memory.data(), 0, many, dense, true};
  CHECK(blamed_of(Arrays{nothing, at(0, dense, true), nothing}) == 3);
  CHECK(taut::memory_key(memory.data(), 0, shape, dense).empty());
  CHECK(taut::memory_key(memory.data(), 0, {}, {}).empty());
  const std::array<std::ptrdiff_t, 1> fewer{4};
  CHECK(blamed_of(Arrays{{memory.data(), 4, shape, fewer, false}}) == 0);
  const std::array<std::ptrdiff_t, 2> negative{2, -1};
  CHECK(blamed_of(Arrays{at(0, dense, false), {memory.data(), 4, negative, dense, false}}) == 1);
}

TEST_CASE("a batch of nothing is 0") {
  CHECK(same_bits(taut::value(std::span<const taut::Term>()), 0));
  CHECK(same_bits(taut::accumulate_grad({}), 0));
  taut::prox(std::span<const taut::ProxTerm>(), 1);
}

}  // namespace
}  // namespace taut_test
