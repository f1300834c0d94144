// taut's penalties beside mlpack's own regularizers, in mlpack's own kind of network, on the
// handwritten digits: 64 pixels, a hidden layer with the regularizer, 10 digits; batches of 32.
//
//   regularizers digits.csv [hidden units, 36] [rounds, 200]
//
// First the gradients that both ought to agree on are compared. Then each network's step (one
// EvaluateWithGradient) is timed: all take turns in every round, and the medians are printed; the
// first stands there twice. Then each is trained by Adam for 30 epochs.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <mlpack.hpp>
#include <string>
#include <taut/mlpack.hpp>
#include <taut/taut.hpp>
#include <vector>

#include "digits.hpp"

namespace {

constexpr std::size_t kBatch = 32;
// ensmallen divides a step's length by the batch's size, since mlpack's losses are sums over it.
constexpr double kStepSize = 0.002 * kBatch;
constexpr double kFactor = 0.002 * kBatch;

using Matrix = arma::mat;
template <typename R>
using Taut = taut::MlpackRegularizer<R>;
using None = mlpack::NoRegularizer;

template <template <typename, typename> class Layer, typename R>
class Network {
 public:
  Network(const Data& data, std::size_t hidden, const R& regularizer) : hidden_(hidden) {
    network_.template Add<Layer<Matrix, R>>(hidden, regularizer);
    network_.template Add<mlpack::ReLU<>>();
    network_.template Add<mlpack::Linear<>>(kDigits);
    network_.template Add<mlpack::LogSoftMax<>>();
    network_.ResetData(data.train, data.train_labels);
    mlpack::RandomSeed(1);
    network_.Reset(kPixels);
  }

  Matrix gradient() {
    Matrix gradient(arma::size(network_.Parameters()));
    network_.EvaluateWithGradient(network_.Parameters(), 0, gradient, kBatch);
    return gradient;
  }

  // The hidden layer's weight: the first of all parameters.
  Matrix weight() const { return Matrix(network_.Parameters().memptr(), hidden_, kPixels); }

  double train(const Data& data) {
    mlpack::RandomSeed(2);  // so that all see the batches in the same order
    ens::Adam adam(kStepSize, kBatch, 0.9, 0.999, 1e-8, 30 * data.train.n_cols, 1e-12);
    network_.Train(data.train, data.train_labels, adam);
    Matrix output;
    network_.Predict(data.test, output);
    return accuracy(output, data.test_labels);
  }

 private:
  std::size_t hidden_;
  mlpack::FFN<mlpack::NegativeLogLikelihood, mlpack::GlorotInitialization> network_;
};

struct Contestant {
  std::string name;
  std::function<Matrix()> gradient;
  std::function<Matrix()> weight;
  std::function<double(const Data&)> train;
  bool is_slow = false;  // takes part in every 20th round, and is not trained
  std::vector<double> seconds{};
};

template <template <typename, typename> class Layer, typename R>
Contestant contestant(const std::string& name, const Data& data, std::size_t hidden,
                      const R& regularizer) {
  auto network = std::make_shared<Network<Layer, R>>(data, hidden, regularizer);
  return {name, [network] { return network->gradient(); }, [network] { return network->weight(); },
          [network](const Data& some) { return network->train(some); }};
}

template <template <typename, typename> class Layer>
std::vector<Contestant> contestants(const Data& data, std::size_t hidden) {
  const auto of = [&](const char* name, const auto& regularizer) {
    return contestant<Layer>(name, data, hidden, regularizer);
  };
  const auto shaped = [&](const auto& regularizer) {
    return Taut<std::remove_cvref_t<decltype(regularizer)>>(regularizer, hidden, kPixels);
  };
  std::vector<Contestant> all;
  all.push_back(of("none", None()));
  all.push_back(of("none again", None()));
  all.push_back(of("mlpack L1", mlpack::L1Regularizer(kFactor)));
  all.push_back(of("taut L1", Taut<taut::L1>(taut::L1{kFactor})));
  all.push_back(of("mlpack L2", mlpack::L2Regularizer(kFactor)));
  all.push_back(of("taut L2", Taut<taut::L2>(taut::L2{kFactor})));
  all.push_back(of("taut L1L2", Taut<taut::L1L2>(taut::L1L2{kFactor, kFactor})));
  all.push_back(of("taut GroupLasso", shaped(taut::GroupLasso{kFactor})));
  all.push_back(of("mlpack Orthogonal", mlpack::OrthogonalRegularizer(kFactor)));
  all.back().is_slow = std::is_same_v<Layer<Matrix, None>, mlpack::Linear<Matrix, None>>;
  all.push_back(of("taut Orthogonal", shaped(taut::OrthogonalRegularizer{100 * kFactor})));
  all.push_back(of("taut SoftOrthogonal", shaped(taut::SoftOrthogonalRegularizer{kFactor})));
  return all;
}

Contestant& named(std::vector<Contestant>& all, const std::string& name) {
  return *std::find_if(all.begin(), all.end(), [&](const auto& one) { return one.name == name; });
}

void expect_close(const std::string& what, const Matrix& a, const Matrix& b) {
  const double error = arma::abs(a - b).max() / arma::abs(b).max();
  std::printf("  %-52s %.1e\n", what.c_str(), error);
  if (!(error < 1e-12)) std::exit(1);
}

void compare(std::vector<Contestant>& all, bool has_bias, std::size_t hidden) {
  std::printf("  largest difference of gradients, over the largest slope\n");
  for (const std::string name : {"L1", "L2"}) {
    expect_close("taut's " + name + " over mlpack's", named(all, "taut " + name).gradient(),
                 named(all, "mlpack " + name).gradient());
  }
  const Matrix plain = named(all, "none").gradient();
  const Matrix weight = named(all, "none").weight();
  const std::size_t count = hidden * kPixels;
  const auto expect_added = [&](const char* name, const taut::Regularizer& regularizer) {
    Matrix expected = plain;
    Matrix slopes(arma::size(weight));
    const double value = taut::value_and_grad(regularizer, taut::view(weight), taut::view(slopes));
    expected.head_rows(count) += arma::vectorise(slopes);
    expect_close(
        std::string(name) + " over value_and_grad of the weight (" + std::to_string(value) + ")",
        named(all, name).gradient(), expected);
  };
  expect_added("taut Orthogonal", taut::OrthogonalRegularizer{100 * kFactor});
  expect_added("taut SoftOrthogonal", taut::SoftOrthogonalRegularizer{kFactor});
  expect_added("taut GroupLasso", taut::GroupLasso{kFactor});
  if (has_bias) return;
  // What mlpack's differentiates: factor * the sum of |WWᵀ - I|.
  const Matrix signs = arma::sign(weight * weight.t() - arma::eye(hidden, hidden));
  Matrix expected = plain;
  expected.head_rows(count) += arma::vectorise(Matrix(2 * kFactor * signs * weight));
  expect_close("mlpack Orthogonal over 2 factor sign(WW' - I) W",
               named(all, "mlpack Orthogonal").gradient(), expected);
}

void time_steps(std::vector<Contestant>& all, std::size_t rounds) {
  for (std::size_t round = 0; round < rounds; ++round) {
    for (Contestant& one : all) {
      if (one.is_slow && round % 20 != 0) continue;
      const auto begin = std::chrono::steady_clock::now();
      one.gradient();
      one.seconds.push_back(
          std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    }
  }
}

double median(std::vector<double> numbers) {
  std::sort(numbers.begin(), numbers.end());
  return numbers[numbers.size() / 2];
}

void report(std::vector<Contestant>& all, const Data& data) {
  const double none = median(all.front().seconds);
  std::printf("  %-22s %12s %14s %10s %12s %12s\n", "", "step, us", "of that, reg.", "accuracy",
              "mean |cos|", "near zero");
  for (Contestant& one : all) {
    const double step = median(one.seconds);
    std::printf("  %-22s %12.1f %14.1f", one.name.c_str(), 1e6 * step, 1e6 * (step - none));
    if (one.is_slow) {
      std::printf("\n");
      continue;
    }
    const double accuracy = one.train(data);
    const Matrix weight = one.weight();
    const double cosine = taut::value(taut::OrthogonalRegularizer{1}, taut::view(weight));
    const double near_zero = arma::mean(arma::conv_to<arma::vec>::from(
        arma::abs(arma::vectorise(weight)) < 0.01 * arma::abs(weight).max()));
    std::printf(" %9.1f%% %12.4f %11.1f%%\n", accuracy, cosine, 100 * near_zero);
  }
}

template <template <typename, typename> class Layer>
void run(const char* title, bool has_bias, const Data& data, std::size_t hidden,
         std::size_t rounds) {
  std::printf("%s, 64 x %zu\n", title, hidden);
  std::vector<Contestant> all = contestants<Layer>(data, hidden);
  compare(all, has_bias, hidden);
  time_steps(all, rounds);
  report(all, data);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: regularizers digits.csv [hidden units] [rounds]\n");
    return 2;
  }
  const Data data = read_digits(argv[1]);
  const std::size_t hidden = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 36;
  const std::size_t rounds = argc > 3 ? std::strtoul(argv[3], nullptr, 10) : 200;
  run<mlpack::LinearNoBias>("LinearNoBias", false, data, hidden, rounds);
  run<mlpack::Linear>("Linear", true, data, hidden, rounds);
}
