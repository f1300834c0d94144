// Penalties, gradients and a proximal step as one writes them with Eigen. Its matrix products are
// shared out over threads; what is elementwise runs on one.

#include <Eigen/Dense>
#include <cmath>
#include <cstddef>

namespace {

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Weight = Eigen::Map<const Matrix>;
using Slope = Eigen::Map<Matrix>;

Weight weight_of(const float* x, std::size_t rows, std::size_t columns) {
  return {x, static_cast<Eigen::Index>(rows), static_cast<Eigen::Index>(columns)};
}

Slope slope_of(float* grad, std::size_t rows, std::size_t columns) {
  return {grad, static_cast<Eigen::Index>(rows), static_cast<Eigen::Index>(columns)};
}

#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)

}  // namespace

extern "C" {

extern const char* const version;
const char* const version =
    TEXT(EIGEN_WORLD_VERSION) "." TEXT(EIGEN_MAJOR_VERSION) "." TEXT(EIGEN_MINOR_VERSION);

void set_num_threads(int threads) { Eigen::setNbThreads(threads); }

// Each returns the penalty of a matrix by rows and writes `grad` = factor * gradient; those without
// `_gradient` write nothing.

double l1(const float* x, float*, std::size_t rows, std::size_t columns, double factor) {
  return factor * static_cast<double>(weight_of(x, rows, columns).cwiseAbs().sum());
}

double l1_gradient(const float* x, float* grad, std::size_t rows, std::size_t columns,
                   double factor) {
  const Weight weight = weight_of(x, rows, columns);
  slope_of(grad, rows, columns) = static_cast<float>(factor) * weight.cwiseSign();
  return factor * static_cast<double>(weight.cwiseAbs().sum());
}

double l2(const float* x, float*, std::size_t rows, std::size_t columns, double factor) {
  return factor * static_cast<double>(weight_of(x, rows, columns).squaredNorm());
}

double l2_gradient(const float* x, float* grad, std::size_t rows, std::size_t columns,
                   double factor) {
  const Weight weight = weight_of(x, rows, columns);
  slope_of(grad, rows, columns) = static_cast<float>(2 * factor) * weight;
  return factor * static_cast<double>(weight.squaredNorm());
}

double group_lasso_gradient(const float* x, float* grad, std::size_t rows, std::size_t columns,
                            double factor) {
  const Weight weight = weight_of(x, rows, columns);
  const double scale = factor * std::sqrt(static_cast<double>(columns));
  const Eigen::VectorXf norms = weight.rowwise().norm();
  slope_of(grad, rows, columns) =
      (norms.cwiseInverse() * static_cast<float>(scale)).asDiagonal() * weight;
  return scale * norms.cast<double>().sum();
}

double orthogonal_gradient(const float* x, float* grad, std::size_t rows, std::size_t columns,
                           double factor) {
  const Weight weight = weight_of(x, rows, columns);
  Slope slope = slope_of(grad, rows, columns);
  const Eigen::VectorXf norms = weight.rowwise().norm().cwiseMax(1e-7f);
  const Matrix units = norms.cwiseInverse().asDiagonal() * weight;
  Matrix cosines(weight.rows(), weight.rows());
  cosines.noalias() = units * units.transpose();
  cosines.diagonal().setZero();
  const double pairs = static_cast<double>(rows) * static_cast<double>(rows - 1) / 2;
  const Eigen::VectorXf projections = cosines.cwiseAbs().rowwise().sum();
  slope.noalias() = cosines.cwiseSign() * units;
  slope -= projections.asDiagonal() * units;
  slope = (norms.cwiseInverse() * static_cast<float>(factor / pairs)).asDiagonal() * slope;
  return factor * projections.cast<double>().sum() / 2 / pairs;
}

double soft_orthogonal_gradient(const float* x, float* grad, std::size_t rows, std::size_t columns,
                                double factor) {
  const Weight weight = weight_of(x, rows, columns);
  Matrix distance(weight.rows(), weight.rows());
  distance.noalias() = weight * weight.transpose();
  distance.diagonal().array() -= 1.0f;
  slope_of(grad, rows, columns).noalias() = static_cast<float>(4 * factor) * distance * weight;
  // In float64: float32's sum loses a hundredth of the pairs of 16,384 vectors.
  return factor * distance.cast<double>().squaredNorm();
}

// Writes L1's proximal step, whose threshold is `factor`, and returns nothing of use.
double l1_prox(const float* x, float* stepped, std::size_t rows, std::size_t columns,
               double factor) {
  const auto weight = weight_of(x, rows, columns).array();
  slope_of(stepped, rows, columns) =
      weight.sign() * (weight.abs() - static_cast<float>(factor)).max(0.0f);
  return 0;
}
}
