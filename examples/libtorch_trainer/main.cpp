// Trains a small network of LibTorch's on handwritten digits, with penalties by rules on the
// parameters' names: in place after backward(), in the graph, and as proximal steps.
//
//   libtorch_trainer digits.csv [--epochs N] [--seed N] [--save DIRECTORY]

#include <torch/torch.h>

#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <taut/torch.hpp>
#include <utility>
#include <vector>

#include "digits.hpp"

namespace {

constexpr std::int64_t kBatch = 32;
constexpr double kRate = 0.05;

struct Options {
  std::string digits;
  int epochs = 20;
  std::uint64_t seed = 0;
  std::filesystem::path directory;
};

struct NetworkImpl : torch::nn::Module {
  torch::nn::Linear hidden = register_module("hidden", torch::nn::Linear(kPixels, 36));
  torch::nn::Linear output = register_module("output", torch::nn::Linear(36, 10));

  torch::Tensor forward(const torch::Tensor& x) { return output(torch::relu(hidden(x))); }
};
TORCH_MODULE(Network);

struct Data {
  torch::Tensor train_images, train_labels, test_images, test_labels;
};

enum class Way { kInPlace, kInGraph, kProximal };

struct Experiment {
  std::string name;
  Way way;
  std::vector<taut::torch::Rule> rules;
};

std::vector<Experiment> experiments() {
  // The rows of a Linear's weight are its units. The first rule that matches a name counts.
  const std::vector<taut::torch::Rule> rules{
      {"hidden.weight", taut::OrthogonalRegularizer{.factor = 3.0, .mode = taut::Mode::kRows}},
      {"*.weight", taut::L2{.l2 = 2e-3}},
      {"*.bias", std::nullopt}};
  return {{"none", Way::kInPlace, {{"*", std::nullopt}}},
          {"in place", Way::kInPlace, rules},
          {"in the graph", Way::kInGraph, rules},
          {"proximal", Way::kProximal, {{"hidden.weight", taut::L1{.l1 = 5e-3}}}}};
}

torch::Tensor images_of(const Images& images) {
  return torch::tensor(images.pixels).reshape({-1, kPixels});
}

Data data_of(const DigitImages& digits) {
  Data data{images_of(digits.train), torch::tensor(digits.train.labels), images_of(digits.test),
            torch::tensor(digits.test.labels)};
  // Without it all inputs are positive, and half of the units would be silent from the start.
  const torch::Tensor mean = data.train_images.mean(0);
  data.train_images -= mean;
  data.test_images -= mean;
  return data;
}

void step(Way way, const torch::Tensor& loss, taut::torch::Penalties& penalties,
          torch::optim::Optimizer& optimizer) {
  optimizer.zero_grad();
  if (way == Way::kInGraph) {
    (loss + penalties.penalty()).backward();
  } else {
    loss.backward();
  }
  if (way == Way::kInPlace) penalties.accumulate_grad();
  optimizer.step();
  if (way == Way::kProximal) penalties.prox(kRate);
}

double accuracy(Network& network, const Data& data) {
  const torch::NoGradGuard no_grad;
  const torch::Tensor found = network(data.test_images).argmax(1);
  return (found == data.test_labels).to(torch::kFloat64).mean().item<double>();
}

void print_penalties(const std::string& when, taut::torch::Penalties& penalties) {
  std::printf("  %-8s  total %.5f", when.c_str(), penalties.value());
  for (const auto& [name, penalty] : penalties.breakdown()) {
    std::printf("  %s %.5f", name.c_str(), penalty);
  }
  std::printf("\n");
}

Network train(const Experiment& experiment, const Data& data, const Options& options) {
  torch::manual_seed(options.seed);
  Network network;
  taut::torch::Penalties penalties(experiment.rules, *network);
  torch::optim::SGD optimizer(network->parameters(), torch::optim::SGDOptions(kRate).momentum(0.9));
  std::printf("%s\n", experiment.name.c_str());
  print_penalties("before", penalties);
  const std::int64_t images = data.train_images.size(0);
  for (int epoch = 1; epoch <= options.epochs; ++epoch) {
    for (const torch::Tensor& batch : torch::randperm(images).split(kBatch)) {
      const torch::Tensor scores = network(data.train_images.index_select(0, batch));
      const torch::Tensor labels = data.train_labels.index_select(0, batch);
      step(experiment.way, torch::cross_entropy_loss(scores, labels), penalties, optimizer);
    }
    print_penalties("epoch " + std::to_string(epoch), penalties);
  }
  const torch::Tensor zeros = (network->hidden->weight == 0).to(torch::kFloat64).mean();
  std::printf("  accuracy %.1f%%, %.0f%% of the hidden layer's weights are 0\n",
              100 * accuracy(network, data), 100 * zeros.item<double>());
  return network;
}

// Writes each parameter for Python's torch.load, and the penalties to the last bit.
void save(const Experiment& experiment, Network& network, const Options& options) {
  for (const auto& parameter : network->named_parameters()) {
    const std::string name = experiment.name + "." + parameter.key() + ".pt";
    const std::vector<char> bytes = torch::pickle_save(parameter.value().detach());
    std::ofstream(options.directory / name, std::ios::binary)
        .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }
  std::ofstream file(options.directory / "penalties.csv", std::ios::app);
  file << std::hexfloat;
  const auto write = [&](const std::string& what, double penalty) {
    file << experiment.name << ',' << what << ',' << penalty << '\n';
  };
  taut::torch::Penalties penalties(experiment.rules, *network);
  for (const auto& [name, penalty] : penalties.breakdown()) write(name, penalty);
  write("total", penalties.value());
  write("node", penalties.penalty().item<double>());
}

Options parse(int argc, char* argv[]) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument.starts_with("--") && i + 1 == argc) {
      throw std::invalid_argument(argument + " needs a value");
    }
    if (argument == "--epochs") {
      options.epochs = std::stoi(argv[++i]);
    } else if (argument == "--seed") {
      options.seed = std::stoull(argv[++i]);
    } else if (argument == "--save") {
      options.directory = argv[++i];
    } else if (options.digits.empty() && !argument.starts_with("--")) {
      options.digits = argument;
    } else {
      throw std::invalid_argument("not understood: " + argument);
    }
  }
  if (options.epochs < 1) throw std::invalid_argument("--epochs must be at least 1");
  if (options.digits.empty()) {
    throw std::invalid_argument("which CSV file? See ../cpp_trainer/write_digits.py");
  }
  return options;
}

void run(const Options& options) {
  const Data data = data_of(read_images(options.digits));
  if (!options.directory.empty()) {
    std::filesystem::create_directories(options.directory);
    std::filesystem::remove(options.directory / "penalties.csv");
  }
  for (const Experiment& experiment : experiments()) {
    Network network = train(experiment, data, options);
    if (!options.directory.empty()) save(experiment, network, options);
  }
}

}  // namespace

int main(int argc, char* argv[]) {
  try {
    run(parse(argc, argv));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "libtorch_trainer: %s\n", error.what());
    return 1;
  }
  return 0;
}
