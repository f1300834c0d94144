// Uses of each component what this project was given; prints which.

#include <cstdio>
#include <taut/taut.hpp>
#include <vector>
#if defined(WITH_EIGEN)
#include <taut/eigen.hpp>
#endif
#if defined(WITH_ARMADILLO)
#include <taut/armadillo.hpp>
#endif
#if defined(WITH_TORCH)
#include <of_torch.hpp>  // what the package in torch/ brings along
#endif

int main() {
  const std::vector<double> x{3, -4};
  double sum = taut::value(taut::L1{1}, x);
#if defined(WITH_EIGEN)
  const Eigen::MatrixXd eigen = Eigen::MatrixXd::Constant(2, 3, 2.0);
  sum += 100 * taut::value(taut::L1{1}, taut::view(eigen));
#endif
#if defined(WITH_ARMADILLO)
  const arma::mat armadillo(3, 4, arma::fill::ones);
  sum += 10000 * taut::value(taut::L1{1}, taut::view(armadillo));
#endif
#if defined(WITH_TORCH)
  static_assert(OF_TORCH == 1 && THE_FLAG_OF_TORCH == 1);
#endif
  std::printf("sum=%g\n", sum);
}
