#include "network.hpp"

#include <cmath>

namespace {

Matrix draw_kernel(std::mt19937_64& generator, Eigen::Index rows, Eigen::Index columns) {
  std::normal_distribution<float> normal(0, std::sqrt(2.0f / static_cast<float>(rows)));
  return Matrix::NullaryExpr(rows, columns, [&] { return normal(generator); });
}

Matrix scores_of(const Parameters& parameters, const Matrix& hidden) {
  return (hidden * parameters.output_kernel).rowwise() + parameters.output_bias;
}

// Turns the scores into the gradient of the mean cross-entropy with respect to them; returns that.
double cross_entropy(Matrix& scores, const Labels& labels) {
  double loss = 0;
  const auto images = static_cast<float>(scores.rows());
  for (Eigen::Index i = 0; i < scores.rows(); ++i) {
    auto row = scores.row(i);
    row.array() -= row.maxCoeff();  // so that no exponential overflows
    const float score = row(labels(i));
    row = row.array().exp();
    const float sum = row.sum();
    loss += std::log(sum) - score;
    row /= sum;
    row(labels(i)) -= 1;
    row /= images;
  }
  return loss / static_cast<double>(scores.rows());
}

}  // namespace

Parameters initial_parameters(std::mt19937_64& generator, Eigen::Index inputs, Eigen::Index units) {
  Parameters parameters;
  parameters.hidden_kernel = draw_kernel(generator, inputs, units);
  parameters.hidden_bias = Row::Zero(units);
  parameters.output_kernel = draw_kernel(generator, units, kClasses);
  parameters.output_bias = Row::Zero(kClasses);
  return parameters;
}

Matrix hidden_output(const Parameters& parameters, const Matrix& images) {
  return ((images * parameters.hidden_kernel).rowwise() + parameters.hidden_bias).cwiseMax(0.0f);
}

double accuracy(const Parameters& parameters, const Matrix& images, const Labels& labels) {
  const Matrix scores = scores_of(parameters, hidden_output(parameters, images));
  Eigen::Index right = 0;
  for (Eigen::Index i = 0; i < scores.rows(); ++i) {
    Eigen::Index highest = 0;
    scores.row(i).maxCoeff(&highest);
    right += highest == labels(i);
  }
  return static_cast<double>(right) / static_cast<double>(labels.size());
}

double differentiate(const Parameters& parameters, const Matrix& images, const Labels& labels,
                     const PenalizeOutput& penalize_output, Parameters& gradients) {
  const Matrix hidden = hidden_output(parameters, images);
  Matrix scores = scores_of(parameters, hidden);
  const double loss = cross_entropy(scores, labels);
  Matrix hidden_gradient = scores * parameters.output_kernel.transpose();
  // The penalty of an activity joins here, so that it flows back through the layers below.
  penalize_output(hidden, hidden_gradient);
  hidden_gradient.array() *= (hidden.array() > 0).cast<float>();
  gradients.hidden_kernel.noalias() = images.transpose() * hidden_gradient;
  gradients.hidden_bias = hidden_gradient.colwise().sum();
  gradients.output_kernel.noalias() = hidden.transpose() * scores;
  gradients.output_bias = scores.colwise().sum();
  return loss;
}
