// A network of mlpack's that learns the digits with taut's penalties.
//
//   digits digits.csv

#include "digits.hpp"

#include <cstdio>
#include <mlpack.hpp>
#include <taut/mlpack.hpp>
#include <taut/taut.hpp>

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: digits digits.csv\n");
    return 2;
  }
  const Data data = read_digits(argv[1]);

  // The factors are those of a mean over a batch, times its size.
  using Units = taut::MlpackRegularizer<taut::OrthogonalRegularizer>;
  using Small = taut::MlpackRegularizer<taut::L2>;
  mlpack::FFN<mlpack::NegativeLogLikelihood, mlpack::GlorotInitialization> network;
  network.Add<mlpack::Linear<arma::mat, Units>>(36, Units({.factor = 32 * 0.2}, 36, 64));
  network.Add<mlpack::ReLU<>>();
  network.Add<mlpack::Linear<arma::mat, Small>>(10, Small({.l2 = 32 * 2e-4}));
  network.Add<mlpack::LogSoftMax<>>();

  ens::Adam adam(32 * 0.002, 32, 0.9, 0.999, 1e-8, 30 * data.train.n_cols);
  network.Train(data.train, data.train_labels, adam);
  arma::mat output;
  network.Predict(data.test, output);
  const arma::mat units(network.Parameters().memptr(), 36, 64, false, true);
  std::printf("accuracy %.1f%%, mean |cos| of the units %.4f\n", accuracy(output, data.test_labels),
              taut::value(taut::OrthogonalRegularizer{1}, taut::view(units)));
}
