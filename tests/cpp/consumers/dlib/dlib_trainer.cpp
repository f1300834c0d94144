// A network of dlib's that learns the handwritten digits with taut's penalties:
//
//   dlib_trainer digits.csv
//
// where examples/cpp_trainer/write_digits.py wrote the file. It compares the penalties and their
// slopes with plain loops, looks whether each penalty does what it is for, prints a line for each,
// and fails at the first surprise.

#include <dlib/dnn.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <string>
#include <taut/taut.hpp>
#include <utility>
#include <vector>

namespace {

using Image = dlib::matrix<float, 8, 8>;
using Network =
    dlib::loss_multiclass_log<dlib::fc<10, dlib::relu<dlib::fc<36, dlib::input<Image>>>>>;

constexpr std::size_t kHidden = 2;  // of the network's layers, the first of which is the last one
constexpr std::size_t kBatch = 32;
constexpr int kEpochs = 8;
// The orthogonal penalty's dot products of 64 elements are computed in float32.
constexpr double kTolerance = 64 * 0x1p-24;

void expect(bool condition, const std::string& what) {
  if (condition) return;
  std::printf("not as expected: %s\n", what.c_str());
  std::exit(1);
}

struct Digits {
  std::vector<Image> images;
  std::vector<unsigned long> labels;
};

Digits read_digits(const char* path, const std::string& split) {
  Digits digits;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::istringstream cells(line);
    std::string cell;
    std::getline(cells, cell, ',');
    if (cell != split) continue;
    std::getline(cells, cell, ',');
    digits.labels.push_back(std::stoul(cell));
    Image& image = digits.images.emplace_back();
    for (long i = 0; std::getline(cells, cell, ','); ++i)
      image(i / 8, i % 8) = std::stof(cell) / 16;
  }
  expect(!digits.labels.empty(), std::string("no images in ") + path);
  return digits;
}

// dlib keeps a fully connected layer's weight row by row, inputs x outputs, as Keras does: its
// columns are the units. Behind it lies the bias.
taut::ConstView view(const dlib::tensor& weight) {
  const auto rows = static_cast<std::size_t>(weight.num_samples());
  const std::size_t columns = weight.size() / rows;
  return taut::ConstView::matrix(weight.host(), rows, columns,
                                 static_cast<std::ptrdiff_t>(columns));
}

// The solver of one layer: adds a penalty's slopes to those of the loss before Adam's step.
class Penalized {
 public:
  std::optional<taut::Regularizer> regularizer;

  // A layer without parameters, or of parameters without a penalty.
  template <typename Layer>
  const dlib::tensor& operator()(float learning_rate, const Layer& layer,
                                 const dlib::tensor& gradient) {
    return adam_(learning_rate, layer, gradient);
  }

  template <unsigned long kOutputs, dlib::fc_bias_mode kBias>
  const dlib::tensor& operator()(float learning_rate, const dlib::fc_<kOutputs, kBias>& layer,
                                 const dlib::tensor& gradient) {
    if (!regularizer) return adam_(learning_rate, layer, gradient);
    sum_.copy_size(gradient);
    std::memcpy(sum_.host(), gradient.host(), gradient.size() * sizeof(float));
    auto weight = layer.get_weights();  // dlib turns nothing const of it into a tensor
    const taut::ConstView x = view(weight);
    const auto columns = static_cast<std::ptrdiff_t>(x.extent(1));
    taut::accumulate_grad(*regularizer, x,
                          taut::View::matrix(sum_.host(), x.extent(0), x.extent(1), columns));
    return adam_(learning_rate, layer, sum_);
  }

 private:
  dlib::adam adam_{0.0f, 0.9f, 0.999f};  // 0: no weight decay of its own
  dlib::resizable_tensor sum_;
};

auto hidden_weight(const Network& network) {
  return dlib::layer<1 + kHidden>(network).layer_details().get_weights();
}

// Both in float64, and the slopes' order is the weight's.
struct Plain {
  double value = 0;
  std::vector<double> slopes;
};

Plain plain_l1l2(const taut::L1L2& factors, const dlib::tensor& weight) {
  Plain plain;
  for (std::size_t i = 0; i < weight.size(); ++i) {
    const double x = weight.host()[i];
    plain.value += factors.l1 * std::abs(x) + factors.l2 * x * x;
    plain.slopes.push_back(factors.l1 * ((x > 0) - (x < 0)) + 2 * factors.l2 * x);
  }
  return plain;
}

Plain plain_orthogonal_columns(double factor, const dlib::tensor& weight) {
  const auto rows = static_cast<std::size_t>(weight.num_samples());
  const std::size_t columns = weight.size() / rows;
  const auto at = [&](std::size_t row, std::size_t column) {
    return static_cast<double>(weight.host()[row * columns + column]);
  };
  std::vector<double> norms(columns);
  for (std::size_t j = 0; j < columns; ++j) {
    for (std::size_t k = 0; k < rows; ++k) norms[j] += at(k, j) * at(k, j);
    norms[j] = std::max(std::sqrt(norms[j]), 1e-7);  // a unit that L2 has all but erased
  }
  const double share = factor / (static_cast<double>(columns * (columns - 1)) / 2);
  Plain plain;
  plain.slopes.resize(weight.size());
  for (std::size_t i = 0; i < columns; ++i) {
    for (std::size_t j = 0; j < columns; ++j) {
      if (i == j) continue;
      double cosine = 0;
      for (std::size_t k = 0; k < rows; ++k) cosine += at(k, i) * at(k, j) / (norms[i] * norms[j]);
      if (i < j) plain.value += share * std::abs(cosine);
      const double sign = (cosine > 0) - (cosine < 0);
      const double along = norms[i] == 1e-7 ? 0 : cosine;
      for (std::size_t k = 0; k < rows; ++k) {
        plain.slopes[k * columns + i] +=
            share * sign * (at(k, j) / norms[j] - along * at(k, i) / norms[i]) / norms[i];
      }
    }
  }
  return plain;
}

void compare(const char* name, const taut::Regularizer& regularizer, const dlib::tensor& weight,
             const Plain& plain) {
  const taut::ConstView x = view(weight);
  std::vector<float> slopes(weight.size());
  const double value =
      taut::value_and_grad(regularizer, x, taut::View::matrix(slopes, x.extent(0), x.extent(1)));
  expect(std::abs(value - plain.value) < kTolerance * (1 + plain.value),
         std::string("the value of ") + name);
  double largest = 0;
  for (const double slope : plain.slopes) largest = std::max(largest, std::abs(slope));
  for (std::size_t i = 0; i < slopes.size(); ++i) {
    expect(std::abs(slopes[i] - plain.slopes[i]) < kTolerance * largest,
           std::string("a slope of ") + name);
  }
}

struct Trained {
  double accuracy = 0;
  double squares = 0;  // Σx² of the hidden layer's weight
  double sum = 0;      // Σ|x|
  double cosine = 0;   // the mean of |cos| between its units
};

Trained train(const char* name, std::optional<taut::Regularizer> regularizer, const Digits& digits,
              const Digits& test) {
  Network network;
  dlib::resizable_tensor x;
  network.to_tensor(digits.images.begin(), digits.images.begin() + kBatch, x);
  network.forward(x);  // here the layers learn their sizes
  dlib::rand random(1);
  for (dlib::tensor* parameters :
       {&dlib::layer<1>(network).layer_details().get_layer_params(),
        &dlib::layer<1 + kHidden>(network).layer_details().get_layer_params()}) {
    dlib::randomize_parameters(*parameters, 100, random);
  }

  std::vector<Penalized> solvers(Network::num_computational_layers);
  solvers[kHidden].regularizer = std::move(regularizer);
  for (int epoch = 0; epoch < kEpochs; ++epoch) {
    for (std::size_t i = 0; i + kBatch <= digits.labels.size(); i += kBatch) {
      const auto first = static_cast<std::ptrdiff_t>(i);
      const auto last = static_cast<std::ptrdiff_t>(i + kBatch);
      network.to_tensor(digits.images.begin() + first, digits.images.begin() + last, x);
      network.compute_parameter_gradients(x, digits.labels.begin() + first);
      network.update_parameters(dlib::make_sstack(solvers), 0.005);
    }
  }

  const std::vector<unsigned long> found = network(test.images);
  std::size_t right = 0;
  for (std::size_t i = 0; i < found.size(); ++i) right += found[i] == test.labels[i] ? 1 : 0;

  auto weight = hidden_weight(network);
  compare("L1L2", taut::L1L2{0.5, 0.25}, weight, plain_l1l2({0.5, 0.25}, weight));
  const taut::OrthogonalRegularizer orthogonal{.factor = 1, .mode = taut::Mode::kColumns};
  compare("orthogonal", orthogonal, weight, plain_orthogonal_columns(1, weight));
  const Trained trained{100.0 * static_cast<double>(right) / static_cast<double>(found.size()),
                        taut::value(taut::L2{1}, view(weight)),
                        taut::value(taut::L1{1}, view(weight)),
                        taut::value(orthogonal, view(weight))};
  std::printf("%-11s accuracy=%.1f%% squares=%.2f sum=%.1f cosine=%.4f\n", name, trained.accuracy,
              trained.squares, trained.sum, trained.cosine);
  expect(trained.accuracy > 88, std::string("accuracy with ") + name);
  return trained;
}

}  // namespace

int main(int argc, char* argv[]) {
  expect(argc == 2, "a file of digits is needed");
  const Digits digits = read_digits(argv[1], "train");
  const Digits test = read_digits(argv[1], "test");

  const Trained none = train("none", std::nullopt, digits, test);
  const Trained l1 = train("L1", taut::L1{3e-3}, digits, test);
  const Trained l2 = train("L2", taut::L2{1e-2}, digits, test);
  const Trained orthogonal =
      train("orthogonal", taut::OrthogonalRegularizer{3, taut::Mode::kColumns}, digits, test);

  expect(l1.sum < 0.7 * none.sum, "weights that L1 shrinks");
  expect(l2.squares < 0.5 * none.squares, "weights that L2 shrinks");
  expect(orthogonal.cosine < 0.5 * none.cosine, "units that the orthogonal penalty spreads");
}
