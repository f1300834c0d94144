// The orthogonal penalty and its gradient as one writes them with Eigen.

#include <Eigen/Dense>
#include <cstddef>

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

extern "C" void set_num_threads(int threads) { Eigen::setNbThreads(threads); }

// grad = factor * gradient; returns the penalty.
extern "C" double value_and_grad(const float* x, float* grad, std::size_t rows, std::size_t columns,
                                 double factor) {
  const auto height = static_cast<Eigen::Index>(rows);
  const auto width = static_cast<Eigen::Index>(columns);
  const Eigen::Map<const Matrix> weight(x, height, width);
  Eigen::Map<Matrix> slope(grad, height, width);
  const Eigen::VectorXf norms = weight.rowwise().norm().cwiseMax(1e-7f);
  const Matrix units = norms.cwiseInverse().asDiagonal() * weight;
  Matrix cosines(height, height);
  cosines.noalias() = units * units.transpose();
  cosines.diagonal().setZero();
  const double pairs = static_cast<double>(rows) * static_cast<double>(rows - 1) / 2;
  const Eigen::VectorXf projections = cosines.cwiseAbs().rowwise().sum();
  slope.noalias() = cosines.cwiseSign() * units;
  slope -= projections.asDiagonal() * units;
  slope = (norms.cwiseInverse() * static_cast<float>(factor / pairs)).asDiagonal() * slope;
  return factor * projections.cast<double>().sum() / 2 / pairs;
}
