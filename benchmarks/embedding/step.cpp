// What a trainer in C++ does in each step, for many steps in one call.

#include <memory>
#include <taut/taut.hpp>
#include <vector>

namespace {

struct Model {
  std::vector<taut::GradientTerm> terms;
  taut::Workspace workspace;
};

}  // namespace

extern "C" Model* make_model(std::size_t tensors, float* const* weights, float* const* gradients,
                             const std::size_t* sizes, double l2) {
  auto model = std::make_unique<Model>();
  for (std::size_t i = 0; i < tensors; ++i) {
    model->terms.push_back(
        {taut::L2{l2}, taut::View(weights[i], sizes[i]), taut::View(gradients[i], sizes[i])});
  }
  return model.release();
}

extern "C" double run_steps(Model* model, std::size_t steps, bool with_workspace) {
  double total = 0;
  for (std::size_t step = 0; step < steps; ++step) {
    total =
        taut::accumulate_grad(model->terms, 1.0, {}, with_workspace ? &model->workspace : nullptr);
  }
  return total;
}

extern "C" void delete_model(Model* model) { delete model; }

extern "C" void set_num_threads(int threads) { taut::set_num_threads(threads); }
