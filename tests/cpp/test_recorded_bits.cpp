// What fixed inputs have given, to the last bit: over dtypes, layouts, sizes around every edge, and
// batches.

#include <limits>

#include "check_penalty.hpp"
#include "recorded_bits.hpp"
#include "runtime_guards.hpp"
#include "strided.hpp"
#include "towards.hpp"

namespace taut_test {
namespace {

using taut::Mode;
using taut::OrthogonalRegularizer;
using taut::View;

using EveryElement = std::tuple<Dtypes<double>, Dtypes<float>, Dtypes<Float16>, Dtypes<BFloat16>>;

template <typename T, typename G>
std::string name_of_dtypes() {
  std::string name = taut::name_of(taut::DTypeOf<T>::value);
  if (!std::is_same_v<T, G>) name += "-to-float32";
  return name;
}

// The value, and the gradient written and accumulated.
template <typename T, typename G>
void add_penalty(Digest& digest, const taut::Regularizer& regularizer, const taut::ConstView& x) {
  const std::vector<double> before = random_numbers<G>(x.size(), 2);
  digest.add(taut::value(regularizer, x));
  const auto overwritten = value_and_grad<G>(regularizer, x, 0.9);
  digest.add(overwritten.value);
  digest.add(overwritten.gradient);
  const auto accumulated = accumulate_grad<G>(regularizer, x, before, -0.7);
  digest.add(accumulated.value);
  digest.add(accumulated.gradient);
}

template <typename T>
void add_prox(Digest& digest, const taut::Regularizer& regularizer, std::vector<T> x) {
  taut::prox(regularizer, View(x.data(), x.size()), 0.7);
  digest.add(x);
}

// Whatever is added up in lanes, blocks and pieces has its edges here.
constexpr std::size_t kLengths[] = {0,    1,    2,    7,    8,     9,     15,    16,    17,
                                    31,   32,   33,   63,   65,    127,   129,   511,   513,
                                    2047, 2048, 2049, 4096, 32767, 32768, 32769, 66'003};

constexpr struct {
  const char* name;
  taut::Regularizer regularizer;
} kElementwise[] = {
    {"l1", taut::L1{0.3}},
    {"l2", taut::L2{0.07}},
    {"l1l2", taut::L1L2{0.3, 0.07}},
    {"none", taut::L1L2{}},
};

// Numbers at the ends of a dtype's range and what is no number, among ordinary ones.
template <typename T>
std::vector<double> special_numbers() {
  std::vector<double> numbers = random_numbers<T>(200, 3);
  const double largest = kFormat<T>.largest() / 256;
  const double smallest = kFormat<T>.smallest();
  const double specials[] = {0.0, -0.0, smallest, -smallest, 3 * smallest, 1e-4, largest, -largest};
  for (std::size_t i = 0; i < std::size(specials); ++i) {
    numbers[11 * i] = round_to(kFormat<T>, specials[i]);
  }
  return numbers;
}

TEMPLATE_LIST_TEST_CASE("recorded bits of elementwise penalties", "", EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  RecordedBits recorded;
  for (const std::string& level : levels_under_test()) {
    const UsedLevel used(level);
    for (const auto& [kind, regularizer] : kElementwise) {
      const std::string name = std::string(kind) + "/" + name_of_dtypes<T, G>();
      for (const std::size_t length : kLengths) {
        Digest digest;
        const std::vector<T> x = store<T>(random_numbers<T>(length));
        add_penalty<T, G>(digest, regularizer, taut::ConstView(x));
        add_prox(digest, regularizer, x);
        recorded.check(name + "/" + std::to_string(length), digest);
      }
      Digest special;
      std::vector<double> numbers = special_numbers<T>();
      const std::vector<T> finite = store<T>(numbers);
      add_penalty<T, G>(special, regularizer, taut::ConstView(finite));
      numbers[100] = std::numeric_limits<double>::quiet_NaN();
      numbers[150] = -std::numeric_limits<double>::infinity();
      const std::vector<T> x = store<T>(numbers);
      add_penalty<T, G>(special, regularizer, taut::ConstView(x));
      add_prox(special, regularizer, x);
      recorded.check(name + "/special", special);
    }
  }
}

TEMPLATE_LIST_TEST_CASE("recorded bits of elementwise penalties towards a reference", "",
                        EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  RecordedBits recorded;
  at_every_level([&] {
    for (const Factors& factors : {Factors{0.3, 0}, Factors{0, 0.07}, Factors{0.3, 0.07}}) {
      Digest digest;
      for (const Kinds& kinds : kEveryKinds) {
        for (const std::size_t length : kLengths) {
          const auto weights = Weights<T>::random(1, length, kinds);
          const Results<T, G> results = compute<T, G>(weights, factors, 0.9);
          digest.add(results.value);
          digest.add(results.overwritten);
          digest.add(results.accumulated);
          digest.add(results.stepped);
        }
      }
      const std::string terms = factors.l2 == 0 ? "l1" : factors.l1 == 0 ? "l2" : "l1l2";
      recorded.check("towards/" + terms + "/" + name_of_dtypes<T, G>(), digest);
    }
  });
}

TEST_CASE("recorded bits of an array of more pieces than one level of the sum's tree has",
          "[large]") {
  RecordedBits recorded;
  const std::vector<float> x(34'000'001, 0.1f);
  at_every_level([&] {
    Digest digest;
    digest.add(taut::value(taut::L1L2{0.3, 0.07}, taut::ConstView(x)));
    recorded.check("l1l2/float32/34000001", digest);
  });
}

// Groups along lines and across them, short and long, in one piece and in several.
TEMPLATE_LIST_TEST_CASE("recorded bits of group lasso", "", EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  constexpr std::pair<std::size_t, std::size_t> kShapes[] = {{7, 9},   {33, 65},   {9, 2049},
                                                             {500, 7}, {70, 2100}, {2, 70'001}};
  RecordedBits recorded;
  at_every_level([&] {
    for (const auto& [rows, columns] : kShapes) {
      const std::vector<T> x = store<T>(random_numbers<T>(rows * columns));
      Digest digest;
      for (const Mode mode : {Mode::kRows, Mode::kColumns}) {
        const taut::GroupLasso regularizer{0.3, mode};
        add_penalty<T, G>(digest, regularizer, taut::ConstView::matrix(x, rows, columns));
        std::vector<T> moved = x;
        taut::prox(regularizer, View::matrix(moved, rows, columns), 1.7);
        digest.add(moved);
      }
      recorded.check("group_lasso/" + name_of_dtypes<T, G>() + "/" + std::to_string(rows) + "x" +
                         std::to_string(columns),
                     digest);
    }
  });
}

template <typename T, typename G>
void add_placements(Digest& digest, const taut::Regularizer& regularizer, std::size_t rows,
                    std::size_t columns) {
  const std::vector<double> numbers = random_numbers<T>(rows * columns, 4);
  const std::vector<double> before = random_numbers<G>(rows * columns, 5);
  for (const Placement& placement : kPlacements) {
    StridedMatrix<T> x(numbers, rows, columns, placement);
    add_penalty<T, G>(digest, regularizer, x.view());
    StridedMatrix<G> gradient(before, rows, columns, placement);
    taut::accumulate_grad(regularizer, x.view(), gradient.view(), 0.3);
    digest.add(gradient.elements());
  }
}

TEMPLATE_LIST_TEST_CASE("recorded bits of matrices in every layout", "", EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  RecordedBits recorded;
  const std::string dtypes = name_of_dtypes<T, G>();
  at_every_level([&] {
    Digest digest;
    add_placements<T, G>(digest, taut::L1L2{0.3, 0.07}, 67, 61);
    recorded.check("layouts/l1l2/" + dtypes, digest);
  });
  for (const std::string& level : fused_levels_under_test()) {
    const UsedLevel used(level);
    Digest digest;
    add_placements<T, G>(digest, OrthogonalRegularizer{}, 37, 53);
    add_placements<T, G>(digest, OrthogonalRegularizer{.mode = Mode::kColumns}, 37, 53);
    recorded.check("layouts/orthogonal/" + dtypes, digest);
  }
}

// Around whole groups, registers, blocks and tiles, at every level.
constexpr std::size_t kVectors[] = {1,   2,   3,   5,   6,   7,   8,   9,   12,  13,  15,  16,
                                    17,  23,  24,  25,  31,  32,  33,  47,  48,  49,  63,  64,
                                    65,  95,  96,  97,  127, 128, 129, 143, 144, 145, 191, 192,
                                    193, 239, 240, 241, 287, 288, 289, 383, 384, 385, 400};
constexpr std::size_t kFewCoordinates[] = {1, 17, 130};
constexpr std::size_t kManyCoordinates[] = {0, 1, 2, 15, 16, 17, 31, 32, 33, 127, 128, 129, 260};

using Edit = void (*)(std::vector<double>& numbers, std::size_t rows, std::size_t columns);

template <typename T, typename G>
void add_matrix(Digest& digest, std::size_t vectors, std::size_t coordinates, Mode mode,
                Edit edit) {
  const bool is_row = mode == Mode::kRows;
  const std::size_t rows = is_row ? vectors : coordinates;
  const std::size_t columns = is_row ? coordinates : vectors;
  std::vector<double> numbers = random_numbers<T>(rows * columns);
  if (edit != nullptr) edit(numbers, rows, columns);
  const std::vector<T> x = store<T>(numbers);
  add_penalty<T, G>(digest, OrthogonalRegularizer{.factor = 0.3, .mode = mode},
                    taut::ConstView::matrix(x, rows, columns));
}

template <typename T, typename G>
void check_matrices(RecordedBits& recorded, const std::string& name, Mode mode,
                    Edit edit = nullptr) {
  for (const std::size_t vectors : kVectors) {
    Digest digest;
    for (const std::size_t coordinates : kFewCoordinates) {
      add_matrix<T, G>(digest, vectors, coordinates, mode, edit);
    }
    recorded.check(name + "/" + std::to_string(vectors), digest);
  }
  Digest digest;
  for (const std::size_t coordinates : kManyCoordinates) {
    add_matrix<T, G>(digest, 50, coordinates, mode, edit);
  }
  recorded.check(name + "/50", digest);
}

TEMPLATE_LIST_TEST_CASE("recorded bits of orthogonal penalties", "", EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  RecordedBits recorded;
  for (const std::string& level : fused_levels_under_test()) {
    const UsedLevel used(level);
    check_matrices<T, G>(recorded, "rows/" + name_of_dtypes<T, G>(), Mode::kRows);
  }
}

// Pairs of sign 0, and vectors without a direction.
void make_sparse(std::vector<double>& numbers, std::size_t, std::size_t columns) {
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const std::size_t row = i / columns;
    if ((i * 7 + row) % 5 != 0 || row % 11 == 10) numbers[i] = 0;
  }
}

// Vectors that are so long or so short that they are scaled.
template <typename T>
void scale_rows(std::vector<double>& numbers, std::size_t, std::size_t columns) {
  const double large = kFormat<T>.largest() / 4;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (i / columns % 4 == 1) numbers[i] *= large;
    if (i / columns % 4 == 3) numbers[i] /= large;
    numbers[i] = round_to(kFormat<T>, numbers[i]);
  }
}

TEMPLATE_LIST_TEST_CASE(
    "recorded bits of orthogonal penalties by columns, of sparse matrices, and "
    "of scaled ones",
    "[large]", EveryElement) {
  using T = typename TestType::Element;
  RecordedBits recorded;
  const std::string dtype = name_of_dtypes<T, T>();
  for (const std::string& level : fused_levels_under_test()) {
    const UsedLevel used(level);
    check_matrices<T, T>(recorded, "columns/" + dtype, Mode::kColumns);
    check_matrices<T, T>(recorded, "sparse/" + dtype, Mode::kRows, make_sparse);
    check_matrices<T, T>(recorded, "scaled/" + dtype, Mode::kRows, scale_rows<T>);
  }
}

TEMPLATE_LIST_TEST_CASE("recorded bits of orthogonal penalties of several strips", "[large]",
                        EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  RecordedBits recorded;
  for (const std::string& level : fused_levels_under_test()) {
    const UsedLevel used(level);
    Digest digest;
    for (const std::size_t vectors : {2303u, 2304u, 2305u, 2500u}) {
      const std::vector<T> x = store<T>(random_numbers<T>(vectors * 3));
      add_penalty<T, G>(digest, OrthogonalRegularizer{}, taut::ConstView::matrix(x, vectors, 3));
    }
    recorded.check("strips/" + name_of_dtypes<T, G>(), digest);
  }
}

// Ranges of one tile, of several, and of several strips.
TEMPLATE_LIST_TEST_CASE("recorded bits of orthogonal penalties of ranges", "", EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  struct Case {
    std::size_t vectors;
    std::size_t length;
    taut::VectorRange range;
  };
  RecordedBits recorded;
  for (const std::string& level : fused_levels_under_test()) {
    const UsedLevel used(level);
    Digest digest;
    for (const auto& [vectors, length, range] :
         {Case{30, 17, {4, 11}}, Case{49, 130, {0, 25}}, Case{200, 33, {51, 150}},
          Case{400, 17, {399, 400}}, Case{2500, 3, {30, 2450}}}) {
      const std::vector<T> x = store<T>(random_numbers<T>(vectors * length));
      const auto view = taut::ConstView::matrix(x, vectors, length);
      digest.add(taut::value(OrthogonalRegularizer{}, view, range));
      const auto part = part_and_grad<G>(OrthogonalRegularizer{}, view, range, 0.9);
      digest.add(part.value);
      digest.add(part.gradient);
    }
    recorded.check("ranges/" + name_of_dtypes<T, G>(), digest);
  }
}

TEMPLATE_LIST_TEST_CASE("recorded bits of soft orthogonality", "", EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  constexpr std::size_t kShapes[][2] = {{5, 300}, {300, 5}, {97, 64}, {64, 64}, {2, 4097}};
  RecordedBits recorded;
  for (const std::string& level : fused_levels_under_test()) {
    const UsedLevel used(level);
    for (const bool diagonal : {true, false}) {
      Digest digest;
      for (const auto& [rows, columns] : kShapes) {
        const std::vector<T> x = store<T>(random_numbers<T>(rows * columns));
        for (const Mode mode : {Mode::kRows, Mode::kColumns}) {
          add_penalty<T, G>(digest, taut::SoftOrthogonalRegularizer{0.3, mode, diagonal},
                            taut::ConstView::matrix(x, rows, columns));
        }
      }
      const std::string kind = diagonal ? "soft/" : "soft-off-diagonal/";
      recorded.check(kind + name_of_dtypes<T, G>(), digest);
    }
  }
}

// Terms of every kind and many sizes, with a tied one and one whose factor is 0.
template <typename T, typename G>
void add_batch(Digest& digest) {
  const taut::Regularizer regularizers[] = {
      taut::L1{0.3},         OrthogonalRegularizer{},
      taut::L2{0.07},        OrthogonalRegularizer{.mode = Mode::kColumns},
      taut::L1L2{0.3, 0.07}, taut::L2{0}};
  constexpr std::size_t kShapes[][2] = {{1, 1}, {40, 25}, {0, 3}, {128, 128}, {200, 170}, {2, 900}};
  std::vector<std::vector<T>> x;
  std::vector<std::vector<G>> gradients;
  std::vector<taut::GradientTerm> terms;
  for (const auto& [rows, columns] : kShapes) {
    for (const taut::Regularizer& regularizer : regularizers) {
      const auto seed = static_cast<unsigned>(x.size());
      x.push_back(store<T>(random_numbers<T>(rows * columns, seed)));
      gradients.push_back(store<G>(random_numbers<G>(rows * columns, seed + 100)));
      terms.push_back({regularizer, View::matrix(x.back(), rows, columns),
                       View::matrix(gradients.back(), rows, columns)});
    }
  }
  terms.push_back(terms[1]);  // the same memory again
  gradients.push_back(store<G>(random_numbers<G>(terms[1].x.size(), 99)));
  terms.back().gradient =
      View::matrix(gradients.back(), terms[1].x.extent(0), terms[1].x.extent(1));
  std::vector<double> values(terms.size());
  const auto add_results = [&](double total) {
    digest.add(total);
    digest.add(values);
    for (const auto& gradient : gradients) digest.add(gradient);
  };
  std::vector<taut::Term> without;
  for (const taut::GradientTerm& term : terms) without.push_back({term.regularizer, term.x});
  add_results(taut::value(without, values));
  add_results(taut::accumulate_grad(terms, -0.7, values));
  add_results(taut::value_and_grad(terms, 0.9, values));
}

TEMPLATE_LIST_TEST_CASE("recorded bits of batches", "", EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  RecordedBits recorded;
  for (const std::string& level : fused_levels_under_test()) {
    const UsedLevel used(level);
    Digest digest;
    add_batch<T, G>(digest);
    recorded.check("batch/" + name_of_dtypes<T, G>(), digest);
  }
}

}  // namespace
}  // namespace taut_test
