// A trainer of LibTorch's, as a class of torch's: many training steps in one call.

#include <torch/library.h>
#include <torch/torch.h>

#include <string>
#include <taut/taut.hpp>
#include <taut/torch.hpp>
#include <utility>
#include <vector>

namespace {

struct Trainer : torch::CustomClassHolder {
  // Layers by their weights and biases, which are trained in place. `way` is "in place", "in the
  // graph" or "none".
  Trainer(const std::vector<torch::Tensor>& weights, const std::vector<torch::Tensor>& biases,
          double l2, std::string way, double rate)
      : weights_(weights),
        biases_(biases),
        way_(std::move(way)),
        penalties_({{"weight*", taut::L2{l2}}}, named(weights)),
        optimizer_(all(weights, biases), torch::optim::SGDOptions(rate)) {}

  static taut::torch::NamedTensors named(const std::vector<torch::Tensor>& weights) {
    taut::torch::NamedTensors named;
    for (const torch::Tensor& weight : weights) {
      named.emplace_back("weight" + std::to_string(named.size()), weight);
    }
    return named;
  }

  static std::vector<torch::Tensor> all(std::vector<torch::Tensor> weights,
                                        const std::vector<torch::Tensor>& biases) {
    weights.insert(weights.end(), biases.begin(), biases.end());
    return weights;
  }

  torch::Tensor loss_of(torch::Tensor x, const torch::Tensor& labels) {
    for (std::size_t i = 0; i < weights_.size(); ++i) {
      if (i > 0) x = torch::relu(x);
      x = torch::linear(x, weights_[i], biases_[i]);
    }
    return torch::cross_entropy_loss(x, labels);
  }

  double run(const torch::Tensor& images, const torch::Tensor& labels, std::int64_t steps) {
    double total = 0;
    for (std::int64_t step = 0; step < steps; ++step) {
      optimizer_.zero_grad();
      torch::Tensor loss = loss_of(images, labels);
      if (way_ == "in the graph") loss = loss + penalties_.penalty();
      loss.backward();
      if (way_ == "in place") total = penalties_.accumulate_grad();
      optimizer_.step();
    }
    return total;
  }

 private:
  std::vector<torch::Tensor> weights_;
  std::vector<torch::Tensor> biases_;
  std::string way_;
  taut::torch::Penalties penalties_;
  torch::optim::SGD optimizer_;
};

}  // namespace

TORCH_LIBRARY(taut_benchmark, library) {
  library.def("set_num_threads",
              [](std::int64_t threads) { taut::set_num_threads(static_cast<int>(threads)); });
  library.class_<Trainer>("Trainer")
      .def(torch::init<std::vector<torch::Tensor>, std::vector<torch::Tensor>, double, std::string,
                       double>())
      .def("run", &Trainer::run);
}
