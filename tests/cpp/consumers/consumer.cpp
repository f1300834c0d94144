// A program that embeds taut: compiled from scratch in every way that the README names. It calls
// every public function once, since a shared library could have forgotten to export one; prints the
// level and the threads in use; and fails at the first surprise.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <taut/taut.hpp>
#include <vector>

#if defined(_OPENMP) || defined(__SSE3__)
#error "compiled against taut, a program gets flags that it did not ask for"
#endif

namespace {

void expect(bool condition, const char* what) {
  if (condition) return;
  std::printf("not as expected: %s\n", what);
  std::exit(1);
}

bool is_close(double a, double b) { return std::abs(a - b) < 1e-12; }

void check_penalties() {
  std::vector<double> x{3, -4, 0, 5};
  std::vector<double> gradient(4, 1.0);
  expect(taut::value(taut::L1{.l1 = 0.5}, x) == 6, "the value of L1");
  expect(taut::accumulate_grad(taut::L2{.l2 = 0.5}, x, gradient) == 25, "the value of L2");
  expect(gradient == std::vector<double>{4, -3, 1, 6}, "the gradient of L2");
  taut::Workspace workspace;
  const double mean_cosine = taut::value_and_grad(
      taut::OrthogonalRegularizer{.factor = 1}, taut::ConstView::matrix(x, 2, 2),
      taut::View::matrix(gradient, 2, 2), 1, &workspace);
  expect(is_close(mean_cosine, 0.8), "the value of the orthogonal penalty");
  expect(workspace.size() > 0, "the workspace");
  workspace.clear();
  taut::prox(taut::L1{.l1 = 1}, x, 3);
  expect(x == std::vector<double>{0, -1, 0, 2}, "the proximal step");
  const double norms = taut::value(taut::GroupLasso{.factor = 1}, taut::ConstView::matrix(x, 1, 4));
  expect(is_close(norms, 2 * std::sqrt(5.0)), "the value of group lasso");
}

void check_batch() {
  std::vector<float> x{1, 2};
  std::vector<float> y{-3};
  std::vector<float> gradient(3);
  const std::span<float> all(gradient);
  const taut::Term terms[] = {{taut::L1{1}, x}, {taut::L2{1}, y}};
  const taut::GradientTerm gradients[] = {{taut::L1{1}, x, all.first(2)},
                                          {taut::L2{1}, y, all.last(1)}};
  const taut::ProxTerm steps[] = {{taut::L1{1}, x}, {taut::L1{1}, y}};
  std::vector<double> values(2);
  expect(taut::value(terms, values) == 12, "the value of a batch");
  expect(values == std::vector<double>{3, 9}, "the values of a batch");
  expect(taut::accumulate_grad(gradients) == 12, "the value of a batch with gradients");
  expect(gradient == std::vector<float>{1, 1, -6}, "the gradients of a batch");
  expect(taut::value_and_grad(gradients, 2) == 12, "the value of a batch, overwriting");
  expect(gradient == std::vector<float>{2, 2, -12}, "the overwritten gradients of a batch");
  taut::prox(steps, 1);
  expect(x == std::vector<float>{0, 1} && y[0] == -2, "the proximal steps of a batch");
  const taut::Term wrong[] = {terms[0], {taut::L2{-1}, y}};
  try {
    taut::value(wrong);
    expect(false, "a negative factor, which passed");
  } catch (const taut::InvalidTerm& error) {
    expect(error.term() == 1, "the index of a wrong term");
  }
}

void check_errors() {
  const std::vector<float> x(3);
  try {
    taut::value(taut::OrthogonalRegularizer{}, x);
    expect(false, "an orthogonal penalty of a vector, which passed");
  } catch (const std::invalid_argument& error) {
    expect(std::string(error.what()).find("rank 2") != std::string::npos, "an error's words");
  }
  const taut::StopCheck check([] { return true; });
  const std::vector<float> large(6000 * 1000, 1.0f);
  try {
    taut::value(taut::OrthogonalRegularizer{}, taut::ConstView::matrix(large, 6000, 1000));
    expect(false, "a call that was to stop, which went on");
  } catch (const taut::Stopped&) {
  }
}

std::size_t threads_after_a_large_call() {
  const std::vector<float> x(1'000'000, 1.0f);
  taut::set_num_threads(2);
  expect(taut::get_num_threads() == 2, "the number of threads");
  expect(is_close(taut::value(taut::L2{1}, x), 1e6), "the value of a large array");
  const std::filesystem::path tasks = "/proc/self/task";
  if (!std::filesystem::exists(tasks)) return 0;
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(tasks), {}));
}

void check_levels() {
  const std::vector<std::string_view> levels = taut::available_levels();
  // Whatever this file is compiled for, the best kernels that the processor can run are in use.
  expect(taut::level() == levels.back(), "the level in use");
  taut::set_level(levels.front());
  expect(taut::level() == levels.front(), "the level that was set");
  taut::set_level(levels.back());
}

}  // namespace

int main() {
  check_levels();
  check_penalties();
  check_batch();
  check_errors();
  std::printf("level=%s threads=%zu\n", taut::level().data(), threads_after_a_large_call());
}
