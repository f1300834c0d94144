// A network with one hidden layer, and its gradients.
//
//   hidden = relu(images * hidden_kernel + hidden_bias)
//   scores = hidden * output_kernel + output_bias
//   loss = mean cross-entropy of softmax(scores)
//
// A kernel has the shape (inputs, units): a column is what one unit looks for, a row is what one
// input feeds.

#ifndef CPP_TRAINER_NETWORK_HPP_
#define CPP_TRAINER_NETWORK_HPP_

#include <functional>
#include <random>

#include "data.hpp"

struct Parameters {
  Matrix hidden_kernel;
  Row hidden_bias;
  Matrix output_kernel;
  Row output_bias;

  // Calls function(array of this, array of other) for each of the four.
  template <typename Function>
  void zip(const Parameters& other, Function function) {
    function(hidden_kernel, other.hidden_kernel);
    function(hidden_bias, other.hidden_bias);
    function(output_kernel, other.output_kernel);
    function(output_bias, other.output_bias);
  }
};

// Kernels drawn as He et al. (2015) do for ReLU, and biases of zero.
Parameters initial_parameters(std::mt19937_64& generator, Eigen::Index inputs, Eigen::Index units);

Matrix hidden_output(const Parameters& parameters, const Matrix& images);

// The share of images whose highest score is that of their label.
double accuracy(const Parameters& parameters, const Matrix& images, const Labels& labels);

// Of the hidden layer's output, and of the loss's gradient with respect to it: adds the gradient of
// the output's penalty to that.
using PenalizeOutput = std::function<void(const Matrix& output, Matrix& gradient)>;

// Writes the gradients of the loss, and returns it.
double differentiate(const Parameters& parameters, const Matrix& images, const Labels& labels,
                     const PenalizeOutput& penalize_output, Parameters& gradients);

#endif  // CPP_TRAINER_NETWORK_HPP_
