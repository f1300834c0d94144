// Memory that runs out at any point of a call: std::bad_alloc, nothing written, and the next call
// is as good as ever.

#include <atomic>
#include <cstdlib>
#include <new>
#include <variant>

#include "check_penalty.hpp"
#include "runtime_guards.hpp"

namespace {

// How many allocations of C++ still succeed; none counts while it is negative.
std::atomic<int> allowed{-1};

void* allocate(std::size_t bytes, std::size_t alignment) {
  if (allowed >= 0 && allowed-- == 0) {
    allowed = 0;
    throw std::bad_alloc();
  }
#if defined(_WIN32)
  void* memory = _aligned_malloc(bytes, alignment);
#else
  void* memory = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
#endif
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void deallocate(void* memory) {
#if defined(_WIN32)
  _aligned_free(memory);
#else
  std::free(memory);
#endif
}

}  // namespace

void* operator new(std::size_t bytes) { return allocate(bytes, alignof(std::max_align_t)); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return allocate(bytes, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { deallocate(memory); }
void operator delete(void* memory, std::size_t) noexcept { deallocate(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { deallocate(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { deallocate(memory); }

namespace taut_test {
namespace {

using taut::OrthogonalRegularizer;
using taut::View;

// Calls `call` with ever more allocations that succeed, until it does; returns how often it failed.
template <typename Call, typename Check>
int fail_everywhere(Call call, Check is_untouched) {
  for (int failures = 0;; ++failures) {
    taut::trim_memory();
    allowed = failures;
    try {
      call();
      allowed = -1;
      return failures;
    } catch (const std::bad_alloc&) {
      allowed = -1;
    }
    INFO("allocation " << failures);
    REQUIRE(is_untouched());
  }
}

// Terms that need memory of every kind: large and small matrices, gathered arrays, marks, arrays
// beside x.
struct Model {
  std::vector<float> memory = store<float>(random_numbers<float>(3'000'000));
  std::vector<float> before = memory;
  std::vector<taut::GradientTerm> terms;
  std::vector<double> values;

  Model() {
    std::size_t at = 0;
    const auto add = [&](const taut::Regularizer& regularizer, std::size_t rows,
                         std::size_t columns) {
      const auto take = [&] {
        View view = View::matrix(memory.data() + at, rows, columns,
                                 2 * static_cast<std::ptrdiff_t>(columns), 2);
        at += 2 * rows * columns;
        return view;
      };
      const View x = take();
      terms.push_back({regularizer, x, take()});
    };
    add(taut::L1L2{0.1, 0.2}, 100, 30);
    add(OrthogonalRegularizer{}, 700, 300);
    add(OrthogonalRegularizer{}, 20, 30);
    add(taut::L2{0.2}, 300, 200);
    add(OrthogonalRegularizer{.mode = taut::Mode::kColumns}, 100, 400);
    add(taut::L2{0}, 30, 20);
    add(taut::SoftOrthogonalRegularizer{.diagonal = false}, 90, 60);
    add(taut::GroupLasso{}, 3, 70'000);
    add(taut::L1{0.1}, 150, 100);
    terms.back().importance = terms.back().x;
    add_copied();
    values.resize(terms.size());
  }
  // A tensor whose coordinates are not steps of one size apart.
  void add_copied() {
    const std::vector<std::ptrdiff_t> shape{40, 10, 5};
    const std::vector<std::ptrdiff_t> strides{320, 32, 4};
    const auto view = [&](std::size_t end) {
      return View(memory.data() + memory.size() - end, taut::DType::kFloat32, shape, strides);
    };
    terms.push_back({OrthogonalRegularizer{.flatten = true}, view(10'000), view(5'000)});
  }
  bool is_untouched() const { return same_bits(memory, before); }
};

// Calls one of the functions for all terms.
using Batch = void (*)(Model& model, taut::Workspace* workspace);

constexpr Batch kBatches[] = {
    [](Model& model, taut::Workspace* workspace) {
      taut::value_and_grad(model.terms, 0.5, model.values, workspace);
    },
    [](Model& model, taut::Workspace* workspace) {
      taut::accumulate_grad(model.terms, 0.5, model.values, workspace);
    },
    [](Model& model, taut::Workspace* workspace) {
      std::vector<taut::ProxTerm> steps;
      for (const auto& [regularizer, _, x, reference, importance] : model.terms) {
        const bool has_step = !std::holds_alternative<OrthogonalRegularizer>(regularizer) &&
                              !std::holds_alternative<taut::SoftOrthogonalRegularizer>(regularizer);
        if (has_step) steps.push_back({regularizer, x, reference, importance});
      }
      taut::prox(steps, 0.5, workspace);
    },
};

TEST_CASE("a batch that runs out of memory has written nothing") {
  for (const int threads : {1, 3}) {
    const UsedThreads used(threads);
    for (std::size_t function = 0; function < std::size(kBatches); ++function) {
      Model expected;
      kBatches[function](expected, nullptr);
      for (const bool has_workspace : {false, true}) {
        Model model;
        taut::Workspace workspace;
        const auto call = [&] {
          if (has_workspace) workspace.clear();
          kBatches[function](model, has_workspace ? &workspace : nullptr);
        };
        INFO("threads " << threads << ", function " << function << ", workspace " << has_workspace);
        CHECK(fail_everywhere(call, [&] { return model.is_untouched(); }) > 1);
        CHECK(same_bits(model.memory, expected.memory));
        CHECK(same_bits(model.values, expected.values));
      }
    }
  }
}

TEST_CASE("a single penalty that runs out of memory has written nothing") {
  for (const int threads : {1, 3}) {
    const UsedThreads used(threads);
    for (std::size_t term = 0; term < Model().terms.size(); ++term) {
      Model model;
      const auto& [regularizer, x, gradient, reference, importance] = model.terms[term];
      const auto call = [&, &r = regularizer, &view = x, &to = gradient] {
        taut::accumulate_grad(r, view, to);
      };
      fail_everywhere(call, [&] { return model.is_untouched(); });
      Model expected;
      const auto& same = expected.terms[term];
      taut::accumulate_grad(same.regularizer, same.x, same.gradient);
      CHECK(same_bits(model.memory, expected.memory));
    }
  }
}

}  // namespace
}  // namespace taut_test
