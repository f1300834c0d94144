// A workspace changes no result, serves calls of any size in any order, and can be given back.

#include "check_penalty.hpp"

namespace taut_test {
namespace {

using taut::OrthogonalRegularizer;
using taut::View;
using taut::Workspace;

// A weight, and what its penalty is without a workspace.
struct Weight {
  std::vector<float> x;
  std::vector<float> gradient;
  std::size_t rows;
  Result<float> expected;

  Weight(std::size_t rows_of_x, std::size_t columns)
      : x(store<float>(random_numbers<float>(rows_of_x * columns))),
        gradient(x.size()),
        rows(rows_of_x) {
    expected = value_and_grad<float>(OrthogonalRegularizer{}, view(x));
  }
  View view(std::vector<float>& numbers) { return View::matrix(numbers, rows, x.size() / rows); }
  bool agrees(Workspace& workspace) {
    const OrthogonalRegularizer regularizer;
    const double value = taut::value_and_grad(regularizer, view(x), view(gradient), 1, &workspace);
    return same_bits(value, expected.value) && same_bits(gradient, expected.gradient) &&
           same_bits(taut::value(regularizer, view(x), &workspace), expected.value);
  }
};

TEST_CASE("a workspace serves calls of all sizes, one after the other, and changes no bit") {
  Weight small(20, 7);
  Weight middle(300, 40);
  Weight large(2500, 11);
  Workspace workspace;
  for (Weight* weight : {&middle, &small, &large, &small, &middle, &large}) {
    CHECK(weight->agrees(workspace));
  }
  const std::size_t size = workspace.size();
  CHECK(large.agrees(workspace));
  CHECK(workspace.size() == size);
}

TEST_CASE("a workspace grows by what is used, and can be cleared and used again") {
  Weight weight(300, 40);
  Workspace workspace;
  CHECK(workspace.size() == 0);
  CHECK(weight.agrees(workspace));
  CHECK(workspace.size() >= 3 * sizeof(float) * weight.x.size());
  workspace.clear();
  CHECK(workspace.size() == 0);
  CHECK(weight.agrees(workspace));
}

TEST_CASE("a workspace is whole after a call that failed") {
  Weight weight(300, 40);
  Workspace workspace;
  std::vector<double> values(3);
  const taut::Term wrong[] = {{OrthogonalRegularizer{}, weight.view(weight.x)},
                              {taut::L1{-1}, weight.view(weight.x)}};
  // Each failure would lose some of its blocks if it did not give them back.
  for (int i = 0; i < 50; ++i) {
    CHECK_THROWS_AS(taut::value(wrong, {}, &workspace), taut::InvalidTerm);
    CHECK_THROWS_AS(taut::value(std::span(wrong).first(1), values, &workspace),
                    taut::InvalidArgument);
  }
  const taut::GradientTerm right[] = {
      {OrthogonalRegularizer{}, weight.view(weight.x), weight.view(weight.gradient)}};
  CHECK(same_bits(taut::accumulate_grad(right, 1, {}, &workspace), weight.expected.value));
  CHECK(weight.agrees(workspace));
}

// Destroyed at exit, whatever else has been by then: the test's exit code tells.
Workspace static_workspace;

Workspace& local_static_workspace() {
  static Workspace workspace;
  return workspace;
}

TEST_CASE("a workspace may be a static object") {
  for (const std::size_t rows : {30u, 2500u}) {  // blocks of every size
    Weight weight(rows, 40);
    CHECK(weight.agrees(static_workspace));
    CHECK(weight.agrees(local_static_workspace()));
  }
  CHECK(static_workspace.size() > 0);
}

TEST_CASE("a workspace can be moved, and takes its memory along") {
  Weight weight(300, 40);
  Workspace first;
  CHECK(weight.agrees(first));
  const std::size_t size = first.size();
  Workspace second(std::move(first));
  CHECK(first.size() == 0);
  CHECK(second.size() == size);
  CHECK(weight.agrees(second));
  CHECK(weight.agrees(first));
  first = std::move(second);
  CHECK(first.size() == size);
  CHECK(second.size() == 0);
  Workspace& itself = first;
  first = std::move(itself);
  CHECK(first.size() == size);
  std::vector<Workspace> many(3);
  many[1] = std::move(first);
  many.resize(40);
  CHECK(many[1].size() == size);
  CHECK(weight.agrees(many[1]));
}

}  // namespace
}  // namespace taut_test
