// Tensors that are read as matrices, in every layout, by each penalty that has a `flatten`.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <utility>
#include <variant>

#include "check_penalty.hpp"
#include "runtime_guards.hpp"
#include "soft_orthogonal_reference.hpp"

namespace taut_test {
namespace {

using taut::Mode;
using taut::OrthogonalRegularizer;
using taut::SoftOrthogonalRegularizer;

constexpr std::array<std::size_t, 4> kShape{5, 3, 2, 4};
constexpr std::size_t kSize = 5 * 3 * 2 * 4;
const std::vector<std::ptrdiff_t> kExtents(kShape.begin(), kShape.end());

std::size_t rows_of(Mode mode) { return mode == Mode::kRows ? kShape[0] : kSize / kShape[3]; }

// A penalty of tensors, and that of the matrix which each is read as.
struct Flattening {
  taut::Regularizer of_tensor;
  taut::Regularizer of_matrix;
  Mode mode;

  Reference reference(const std::vector<double>& numbers, taut::DType dtype) const {
    const std::size_t rows = rows_of(mode);
    if (const auto* soft = std::get_if<SoftOrthogonalRegularizer>(&of_matrix)) {
      return soft_orthogonal(numbers, rows, kSize / rows, *soft, dtype);
    }
    return gram(numbers, rows, kSize / rows, mode, dtype);
  }
};
constexpr double kFactor = 0.3;

std::vector<Flattening> flattenings() {
  std::vector<Flattening> all;
  for (const Mode mode : {Mode::kRows, Mode::kColumns}) {
    all.push_back({OrthogonalRegularizer{kFactor, mode, true},
                   OrthogonalRegularizer{kFactor, mode, false}, mode});
    for (const bool diagonal : {true, false}) {
      all.push_back({SoftOrthogonalRegularizer{kFactor, mode, diagonal, true},
                     SoftOrthogonalRegularizer{kFactor, mode, diagonal, false}, mode});
    }
  }
  return all;
}

// How the axes lie in memory.
struct Placement {
  std::array<std::size_t, 4> order;  // outermost first
  std::size_t padding;               // elements after each line of the innermost axis
  bool reversed;                     // the innermost axis lies backwards
};

std::vector<Placement> placements() {
  std::vector<Placement> all;
  std::array<std::size_t, 4> order{0, 1, 2, 3};
  do {
    for (const std::size_t padding : {std::size_t{0}, std::size_t{3}}) {
      for (const bool reversed : {false, true}) all.push_back({order, padding, reversed});
    }
  } while (std::next_permutation(order.begin(), order.end()));
  return all;
}

// A tensor of kShape in memory of its own.
template <typename T>
class Tensor {
 public:
  Tensor(const std::vector<double>& numbers, const Placement& placement) {
    std::ptrdiff_t stride = 1;
    for (std::size_t i = 4; i-- > 0;) {
      const std::size_t axis = placement.order[i];
      strides_[axis] = stride * static_cast<std::ptrdiff_t>(sizeof(T));
      stride *= static_cast<std::ptrdiff_t>(kShape[axis]);
      if (i == 3) stride += static_cast<std::ptrdiff_t>(placement.padding);
    }
    memory_.assign(static_cast<std::size_t>(stride), from_double<T>(kGap));
    if (placement.reversed) {
      const std::size_t axis = placement.order[3];
      begin_ = kShape[axis] - 1;
      strides_[axis] = -strides_[axis];
    }
    for (std::size_t i = 0; i < kSize; ++i) *at(i) = from_double<T>(numbers[i]);
  }

  taut::View view() {
    return {memory_.data() + begin_, taut::DTypeOf<T>::value, kExtents, strides_};
  }

  std::vector<T> elements() {  // in C order
    std::vector<T> elements;
    for (std::size_t i = 0; i < kSize; ++i) elements.push_back(*at(i));
    return elements;
  }

  bool has_clean_gaps() {
    std::vector<T> gaps = memory_;
    for (std::size_t i = 0; i < kSize; ++i) gaps[place(i)] = from_double<T>(kGap);
    return same_bits(gaps, std::vector<T>(gaps.size(), from_double<T>(kGap)));
  }

 private:
  static constexpr double kGap = 3.25;

  std::size_t place(std::size_t i) const {
    auto place = static_cast<std::ptrdiff_t>(begin_);
    for (std::size_t axis = 4; axis-- > 0; i /= kShape[axis]) {
      place += static_cast<std::ptrdiff_t>(i % kShape[axis]) * strides_[axis] /
               static_cast<std::ptrdiff_t>(sizeof(T));
    }
    return static_cast<std::size_t>(place);
  }
  T* at(std::size_t i) { return &memory_[place(i)]; }

  std::vector<T> memory_;
  std::array<std::ptrdiff_t, 4> strides_;
  std::size_t begin_ = 0;
};

TEMPLATE_LIST_TEST_CASE("a tensor without gaps has the penalty of its matrix, bit by bit", "",
                        EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  std::vector<T> x = store<T>(random_numbers<T>(kSize));
  for (const Flattening& flattening : flattenings()) {
    const std::size_t rows = rows_of(flattening.mode);
    at_every_level([&] {
      const auto matrix = value_and_grad<G>(flattening.of_matrix,
                                            taut::ConstView::matrix(x, rows, kSize / rows), 0.7);
      const auto tensor =
          value_and_grad<G>(flattening.of_tensor, contiguous_view(x, kExtents), 0.7);
      CHECK(same_bits(tensor.value, matrix.value));
      CHECK(same_bits(tensor.gradient, matrix.gradient));
    });
  }
}

TEMPLATE_LIST_TEST_CASE("tensors whose axes lie in any order have the penalty of their matrix", "",
                        EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  const std::vector<double> numbers = random_numbers<T>(kSize);
  const std::vector<double> before = random_numbers<G>(kSize, 7);
  constexpr double kScale = -0.7;
  for (const Flattening& flattening : flattenings()) {
    const taut::Regularizer& regularizer = flattening.of_tensor;
    const Reference reference = flattening.reference(numbers, taut::DTypeOf<T>::value);
    for (const Placement& of_x : placements()) {
      Tensor<T> x(numbers, of_x);
      check_penalty<G>(regularizer, x.view(), reference, kFactor);
      for (const Placement& of_gradient : {of_x, placements()[0], placements()[53]}) {
        Tensor<G> gradient(before, of_gradient);
        const double value = taut::accumulate_grad(regularizer, x.view(), gradient.view(), kScale);
        CHECK(same_bits(value, taut::value(regularizer, x.view())));
        const Real scale = Real{kScale} * kFactor;
        CHECK(gradient_error(reference, scale, before, gradient.elements()) == "");
        CHECK(gradient.has_clean_gaps());
        taut::value_and_grad(regularizer, x.view(), gradient.view(), kScale);
        CHECK(gradient_error(reference, scale, {}, gradient.elements()) == "");
        CHECK(gradient.has_clean_gaps());
      }
    }
  }
}

TEST_CASE("NaN in a tensor is in the value and the whole gradient, in any layout") {
  std::vector<double> numbers = random_numbers<double>(kSize);
  numbers[17] = std::nan("");
  for (const Flattening& flattening : flattenings()) {
    for (const Placement& placement : placements()) {
      Tensor<double> x(numbers, placement);
      Tensor<double> gradient(std::vector<double>(kSize, 1), placements()[13]);
      CHECK(std::isnan(taut::accumulate_grad(flattening.of_tensor, x.view(), gradient.view())));
      const std::vector<double> slopes = gradient.elements();
      CHECK(std::all_of(slopes.begin(), slopes.end(), [](double s) { return std::isnan(s); }));
      CHECK(gradient.has_clean_gaps());
    }
  }
}

TEST_CASE("a batch of tensors has the bits of each alone") {
  const std::vector<double> numbers = random_numbers<double>(kSize);
  std::vector<Tensor<double>> tensors;
  std::vector<Tensor<double>> gradients;
  std::vector<taut::GradientTerm> terms;
  const std::vector<Flattening> all = flattenings();
  tensors.reserve(placements().size());
  gradients.reserve(placements().size());
  for (const Placement& placement : placements()) {
    tensors.emplace_back(numbers, placement);
    gradients.emplace_back(numbers, placements()[5]);
    const Flattening& flattening = all[terms.size() % all.size()];
    terms.push_back({flattening.of_tensor, tensors.back().view(), gradients.back().view()});
  }
  std::vector<double> values(terms.size());
  taut::accumulate_grad(terms, 1.0, values);
  for (std::size_t i = 0; i < terms.size(); ++i) {
    Tensor<double> alone(numbers, placements()[5]);
    const double value = taut::accumulate_grad(terms[i].regularizer, terms[i].x, alone.view());
    CHECK(same_bits(value, values[i]));
    CHECK(same_bits(alone.elements(), gradients[i].elements()));
  }
}

TEST_CASE("many long vectors in parts have the penalty of their copy") {
  constexpr std::size_t kVectors = 70;
  constexpr std::size_t kLength = 2000;  // more than one piece to copy
  const std::vector<double> memory = random_numbers<double>(2 * kVectors * kLength);
  // Every second of the middle axis, whose parts of 4 do not merge.
  const std::vector<std::ptrdiff_t> shape{kVectors, kLength / 4, 4};
  const std::vector<std::ptrdiff_t> strides{2 * kLength * 8, 8 * 8, 8};
  const taut::ConstView x(memory.data(), taut::DType::kFloat64, shape, strides);
  std::vector<double> copy;
  for (std::size_t i = 0; i < memory.size(); ++i) {
    if (i / 4 % 2 == 0) copy.push_back(memory[i]);
  }
  at_every_level([&] {
    const auto matrix = value_and_grad<double>(OrthogonalRegularizer{},
                                               taut::ConstView::matrix(copy, kVectors, kLength));
    const auto tensor = value_and_grad<double>(OrthogonalRegularizer{.flatten = true}, x);
    CHECK(same_bits(tensor.value, matrix.value));
    CHECK(same_bits(tensor.gradient, matrix.gradient));
  });
}

TEST_CASE("fewer than two vectors, or none with a coordinate, have no penalty as tensors") {
  const std::vector<std::vector<std::ptrdiff_t>> shapes{
      {1, 2, 3}, {0, 2, 3}, {4, 0, 3}, {4, 2, 0}, {0, 0, 0}};
  for (const auto& shape : shapes) {
    std::vector<double> x(24, 1.0);
    const auto result =
        value_and_grad<double>(OrthogonalRegularizer{.flatten = true}, contiguous_view(x, shape));
    CHECK(result.value == 0);
    CHECK(result.gradient == std::vector<double>(result.gradient.size(), 0.0));
  }
}

TEST_CASE("tensors without elements are as far from orthonormal as their vectors are many") {
  for (const auto& [shape, vectors] : std::vector<std::pair<std::vector<std::ptrdiff_t>, double>>{
           {{0, 2, 3}, 0}, {{4, 0, 3}, 4}, {{4, 2, 0}, 4}, {{0, 0, 0}, 0}}) {
    std::vector<double> x(24, 1.0);
    SoftOrthogonalRegularizer regularizer{.factor = 0.5, .flatten = true};
    CHECK(value_and_grad<double>(regularizer, contiguous_view(x, shape)).value == 0.5 * vectors);
    regularizer.diagonal = false;
    CHECK(value_and_grad<double>(regularizer, contiguous_view(x, shape)).value == 0);
  }
}

TEST_CASE("extents of 1 are no axes") {
  std::vector<double> x = random_numbers<double>(12);
  const auto matrix =
      value_and_grad<double>(OrthogonalRegularizer{}, taut::ConstView::matrix(x, 3, 4));
  const std::vector<std::vector<std::ptrdiff_t>> shapes{{3, 1, 4}, {3, 4, 1}, {3, 1, 4, 1}};
  for (const auto& shape : shapes) {
    const auto tensor =
        value_and_grad<double>(OrthogonalRegularizer{.flatten = true}, contiguous_view(x, shape));
    CHECK(same_bits(tensor.value, matrix.value));
    CHECK(same_bits(tensor.gradient, matrix.gradient));
  }
  // Vectors of one coordinate: all cosines are 1 or -1.
  CHECK(taut::value(OrthogonalRegularizer{.factor = 1, .flatten = true},
                    contiguous_view(x, {12, 1, 1})) == 1);
}

TEST_CASE("vectors alone are no tensor to be read as a matrix") {
  std::vector<double> x(24, 1.0);
  const std::vector<std::pair<taut::Regularizer, std::string>> regularizers{
      {OrthogonalRegularizer{.flatten = true}, "OrthogonalRegularizer"},
      {SoftOrthogonalRegularizer{.flatten = true}, "SoftOrthogonalRegularizer"}};
  const std::vector<std::vector<std::ptrdiff_t>> shapes{{}, {24}};
  for (const auto& [regularizer, title] : regularizers) {
    for (const auto& shape : shapes) {
      try {
        taut::value(regularizer, contiguous_view(x, shape));
        FAIL("nothing was thrown");
      } catch (const taut::InvalidArgument& error) {
        const std::string text = "Inputs to " + title + " must have rank 2 or more. ";
        CHECK(std::string(error.what()).find(text) == 0);
      }
    }
  }
}

}  // namespace
}  // namespace taut_test
