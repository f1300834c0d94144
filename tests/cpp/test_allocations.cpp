// What allocates no memory: elementwise penalties, and everything with a workspace that has seen
// it.

#include <memory>

#include "allocations.hpp"
#include "check_penalty.hpp"
#include "runtime_guards.hpp"

namespace taut_test {
namespace {

using taut::View;

TEST_CASE("allocations are seen") {
  std::unique_ptr<int> number;
  std::vector<float> numbers;
  CHECK(allocations_when_repeated([&] { number = std::make_unique<int>(1); }) == 2);
  CHECK(allocations_when_repeated([&] { numbers = std::vector<float>(1000); }) == 2);
  CHECK(allocations_when_repeated([&] { numbers[0] += 1; }) == 0);
  const taut::ConstView x = View::matrix(numbers, 25, 40);
  CHECK(allocations_when_repeated([&] {
          taut::trim_memory();
          taut::value(taut::OrthogonalRegularizer{}, x);
        }) > 0);
}

// Views of one shape over memory of `T`, with strides of an array that is `gap` times as large.
template <typename T>
struct Array {
  std::vector<T> memory;
  std::vector<std::ptrdiff_t> shape;
  std::vector<std::ptrdiff_t> strides;

  Array(const std::vector<std::ptrdiff_t>& of_shape, std::ptrdiff_t gap) : shape(of_shape) {
    auto stride = static_cast<std::ptrdiff_t>(sizeof(T)) * gap;
    strides.resize(shape.size());
    for (std::size_t axis = shape.size(); axis-- > 0;) {
      strides[axis] = stride;
      stride *= shape[axis] + (gap > 1);
    }
    memory = std::vector<T>(static_cast<std::size_t>(stride) / sizeof(T));
  }
  View view() { return {memory.data(), taut::DTypeOf<T>::value, shape, strides}; }
};

TEMPLATE_LIST_TEST_CASE("elementwise penalties allocate nothing", "", EveryDtype) {
  const std::vector<std::vector<std::ptrdiff_t>> shapes{
      {}, {1000}, {140'000}, {400, 350}, {3, 2, 4, 1, 2, 3, 2, 5}};
  for (const int threads : {1, 2}) {
    const UsedThreads used(threads);
    for (const auto& shape : shapes) {
      for (const std::ptrdiff_t gap : {1, 2}) {
        Array<typename TestType::Element> x(shape, gap);
        Array<typename TestType::Gradient> gradient(shape, gap);
        INFO("rank " << shape.size() << ", gap " << gap << ", threads " << threads);
        CHECK(allocations_when_repeated([&] {
                for (const taut::Regularizer& regularizer :
                     {taut::Regularizer(taut::L1{}), taut::Regularizer(taut::L2{}),
                      taut::Regularizer(taut::L1L2{0.1, 0.1})}) {
                  taut::value(regularizer, x.view());
                  taut::value_and_grad(regularizer, x.view(), gradient.view());
                  taut::accumulate_grad(regularizer, x.view(), gradient.view(), 0.5);
                  taut::prox(regularizer, x.view(), 0.1);
                }
              }) == 0);
      }
    }
  }
}

TEMPLATE_LIST_TEST_CASE("orthogonal penalties allocate once, with a workspace and without", "",
                        EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  for (const int threads : {1, 2}) {
    const UsedThreads used(threads);
    for (const std::ptrdiff_t rows : {3, 200, 2500}) {  // 2500: more than one strip
      INFO("rows " << rows << ", threads " << threads);
      Array<T> x({rows, 17}, 1);
      Array<G> gradient({rows, 17}, 1);
      x.memory = store<T>(random_numbers<T>(x.memory.size()));
      taut::Workspace own;
      for (taut::Workspace* workspace : {&own, static_cast<taut::Workspace*>(nullptr)}) {
        CHECK(allocations_when_repeated([&] {
                taut::value(taut::OrthogonalRegularizer{}, x.view(), workspace);
                taut::accumulate_grad(taut::OrthogonalRegularizer{}, x.view(), gradient.view(), 1,
                                      workspace);
              }) == 0);
        const taut::VectorRange range{0, static_cast<std::size_t>(rows)};
        for (const taut::VectorRange part : {range, {1, range.end}, {range.end / 2, range.end}}) {
          const std::ptrdiff_t extents[] = {static_cast<std::ptrdiff_t>(part.end - part.begin), 17};
          const View slopes(gradient.memory.data(), taut::DTypeOf<G>::value, extents,
                            gradient.strides);
          CHECK(allocations_when_repeated([&] {
                  taut::value(taut::OrthogonalRegularizer{}, x.view(), part, workspace);
                  taut::accumulate_grad(taut::OrthogonalRegularizer{}, x.view(), part, slopes, 1,
                                        workspace);
                }) == 0);
        }
        CHECK(allocations_when_repeated([&] {
                for (const bool diagonal : {true, false}) {
                  const taut::SoftOrthogonalRegularizer soft{.diagonal = diagonal};
                  taut::value(soft, x.view(), workspace);
                  taut::accumulate_grad(soft, x.view(), gradient.view(), 1, workspace);
                }
              }) == 0);
      }
    }
  }
}

TEST_CASE("with a workspace, a batch allocates once") {
  std::vector<Array<float>> arrays;
  for (const std::ptrdiff_t rows : {10, 2400, 1, 700, 0}) {
    for (int i = 0; i < 4; ++i) arrays.emplace_back(std::vector<std::ptrdiff_t>{rows, 30}, 1);
  }
  std::vector<taut::Term> values;
  std::vector<taut::GradientTerm> gradients;
  std::vector<taut::ProxTerm> steps;
  for (std::size_t i = 0; i < arrays.size(); i += 2) {
    const View x = arrays[i].view();
    const taut::Regularizer orthogonal = taut::OrthogonalRegularizer{};
    const taut::Regularizer regularizer = i % 4 == 0 ? orthogonal : taut::L1L2{0.1, 0.1};
    values.push_back({regularizer, x});
    gradients.push_back({regularizer, x, arrays[i + 1].view()});
    if (i % 4 != 0) steps.push_back({regularizer, x});
  }
  for (const int threads : {1, 2}) {
    const UsedThreads used(threads);
    taut::Workspace workspace;
    CHECK(allocations_when_repeated([&] {
            taut::value(values, {}, &workspace);
            taut::accumulate_grad(gradients, 0.5, {}, &workspace);
            taut::value_and_grad(gradients, 0.5, {}, &workspace);
            taut::prox(steps, 0.1, &workspace);
          }) == 0);
  }
}

}  // namespace
}  // namespace taut_test
