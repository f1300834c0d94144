// Training a network once, with one experiment's penalties.

#ifndef CPP_TRAINER_TRAINING_HPP_
#define CPP_TRAINER_TRAINING_HPP_

#include "experiments.hpp"
#include "network.hpp"

struct Run {
  Experiment experiment;
  Parameters parameters;
  Matrix hidden_output;    // for the test images
  double accuracy;         // over the test images
  double penalty;          // of all that is penalized, after the training
  double penalty_seconds;  // the median over all steps; 0 without a penalty
};

// Stochastic gradient descent with momentum. Runs with the same seed differ by their penalties
// alone. `on_epoch` is called after each epoch.
Run train(const Experiment& experiment, const Digits& digits, int epochs, unsigned seed,
          const std::function<void()>& on_epoch);

#endif  // CPP_TRAINER_TRAINING_HPP_
