// The penalties that are compared: those of `python -m taut demo`, and two layers at once.

#ifndef CPP_TRAINER_EXPERIMENTS_HPP_
#define CPP_TRAINER_EXPERIMENTS_HPP_

#include <optional>
#include <string>
#include <taut/taut.hpp>
#include <vector>

struct Experiment {
  std::string name;
  std::optional<taut::Regularizer> hidden_kernel;
  std::optional<taut::Regularizer> output_kernel = {};
  // Of the hidden layer's output, divided by the number of images.
  std::optional<taut::Regularizer> hidden_output = {};
  // Whether the penalties act by their proximal step after each step of the loss, in place of their
  // gradients.
  bool is_proximal = false;
};

std::vector<Experiment> experiments();

#endif  // CPP_TRAINER_EXPERIMENTS_HPP_
