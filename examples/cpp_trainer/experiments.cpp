#include "experiments.hpp"

// L1, L2 and group lasso are sums over all weights, the orthogonal penalty is a mean over pairs:
// hence its larger factor.
std::vector<Experiment> experiments() {
  using taut::Mode;
  using taut::OrthogonalRegularizer;
  return {
      {.name = "none", .hidden_kernel = std::nullopt},
      {.name = "L1", .hidden_kernel = taut::L1{1e-3}},
      {.name = "L1 prox", .hidden_kernel = taut::L1{1e-3}, .is_proximal = true},
      {.name = "group lasso",
       .hidden_kernel = taut::GroupLasso{1.5e-3, Mode::kColumns},
       .is_proximal = true},
      {.name = "L2", .hidden_kernel = taut::L2{2e-3}},
      {.name = "L1L2", .hidden_kernel = taut::L1L2{.l1 = 5e-4, .l2 = 1e-3}},
      {.name = "orthogonal columns", .hidden_kernel = OrthogonalRegularizer{3.0, Mode::kColumns}},
      {.name = "orthogonal rows", .hidden_kernel = OrthogonalRegularizer{3.0, Mode::kRows}},
      {.name = "activity L1", .hidden_kernel = std::nullopt, .hidden_output = taut::L1{2e-2}},
      {.name = "both layers",
       .hidden_kernel = OrthogonalRegularizer{3.0, Mode::kColumns},
       .output_kernel = taut::L2{2e-3}},
  };
}
