#include "training.hpp"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <taut/eigen.hpp>

namespace {

constexpr Eigen::Index kUnits = 36;
constexpr Eigen::Index kBatchSize = 32;
constexpr float kLearningRate = 0.05f;
constexpr float kMomentum = 0.9f;

using Clock = std::chrono::steady_clock;

// Applies an experiment's penalties where they belong, and notes how long each step takes.
class Penalties {
 public:
  // The arrays of `parameters` and `gradients` stay where they are, so that their views are made
  // once.
  Penalties(const Experiment& experiment, Parameters& parameters, Parameters& gradients)
      : experiment_(experiment) {
    add(experiment.hidden_kernel, parameters.hidden_kernel, gradients.hidden_kernel);
    add(experiment.output_kernel, parameters.output_kernel, gradients.output_kernel);
  }

  void penalize_output(const Matrix& output, Matrix& gradient) {
    if (!experiment_.hidden_output) return;
    const auto start = Clock::now();
    taut::accumulate_grad(*experiment_.hidden_output, taut::view(output), taut::view(gradient),
                          1.0 / static_cast<double>(output.rows()));
    seconds_.push_back(std::chrono::duration<double>(Clock::now() - start).count());
  }

  // Adds the gradients of all kernels' penalties to those of the loss.
  void accumulate_gradients() {
    if (experiment_.is_proximal || terms_.empty()) return;
    const auto start = Clock::now();
    taut::accumulate_grad(terms_, 1.0, {}, &workspace_);
    seconds_.push_back(std::chrono::duration<double>(Clock::now() - start).count());
  }

  void step(double length) {
    if (!experiment_.is_proximal) return;
    const auto start = Clock::now();
    taut::prox(steps_, length, &workspace_);
    seconds_.push_back(std::chrono::duration<double>(Clock::now() - start).count());
  }

  double value(const Matrix& output) const {
    double value = 0;
    for (const taut::GradientTerm& term : terms_) value += taut::value(term.regularizer, term.x);
    if (experiment_.hidden_output) {
      value += taut::value(*experiment_.hidden_output, taut::view(output)) /
               static_cast<double>(output.rows());
    }
    return value;
  }

  double median_seconds() {
    if (seconds_.empty()) return 0;
    const auto middle = seconds_.begin() + static_cast<std::ptrdiff_t>(seconds_.size() / 2);
    std::nth_element(seconds_.begin(), middle, seconds_.end());
    return *middle;
  }

 private:
  void add(const std::optional<taut::Regularizer>& regularizer, Matrix& x, Matrix& gradient) {
    if (!regularizer) return;
    terms_.push_back({*regularizer, taut::view(x), taut::view(gradient)});
    steps_.push_back({*regularizer, taut::view(x)});
  }

  const Experiment& experiment_;
  std::vector<taut::GradientTerm> terms_;
  std::vector<taut::ProxTerm> steps_;
  taut::Workspace workspace_;  // so that a step allocates nothing
  std::vector<double> seconds_;
};

Parameters zeros_like(const Parameters& parameters) {
  Parameters zeros = parameters;
  zeros.zip(parameters, [](auto& array, const auto&) { array.setZero(); });
  return zeros;
}

}  // namespace

Run train(const Experiment& experiment, const Digits& digits, int epochs, unsigned seed,
          const std::function<void()>& on_epoch) {
  std::mt19937_64 generator(seed);
  const Eigen::Index images = digits.train_images.rows();
  Parameters parameters = initial_parameters(generator, digits.train_images.cols(), kUnits);
  Parameters gradients = zeros_like(parameters);
  Parameters velocities = zeros_like(parameters);
  Penalties penalties(experiment, parameters, gradients);
  const PenalizeOutput penalize_output = [&](const Matrix& output, Matrix& gradient) {
    penalties.penalize_output(output, gradient);
  };

  std::vector<Eigen::Index> order(static_cast<std::size_t>(images));
  std::iota(order.begin(), order.end(), 0);
  const Eigen::Index batches = images / kBatchSize;
  float length = 0;
  for (int epoch = 0; epoch < epochs; ++epoch) {
    std::shuffle(order.begin(), order.end(), generator);
    for (Eigen::Index batch = 0; batch < batches; ++batch) {
      const Eigen::Map<const Eigen::Matrix<Eigen::Index, Eigen::Dynamic, 1>> chosen(
          order.data() + batch * kBatchSize, kBatchSize);
      differentiate(parameters, digits.train_images(chosen, Eigen::all),
                    digits.train_labels(chosen), penalize_output, gradients);
      penalties.accumulate_gradients();
      // Towards the end the rate falls to zero: the slope of |w| is as steep beside 0 as far from
      // it, so a weight that belongs at 0 would jump about it by a step's length.
      const float done =
          static_cast<float>(epoch) + static_cast<float>(batch) / static_cast<float>(batches);
      const float rate = kLearningRate * (1 - done / static_cast<float>(epochs));
      velocities.zip(gradients, [&](auto& velocity, const auto& gradient) {
        velocity = kMomentum * velocity - rate * gradient;
      });
      parameters.zip(velocities, [](auto& array, const auto& velocity) { array += velocity; });
      // The velocity is made of this gradient and of those before it, each by a weight; the
      // proximal step is as long as these weights' sum.
      length = kMomentum * length + rate;
      penalties.step(static_cast<double>(length));
    }
    on_epoch();
  }
  Matrix output = hidden_output(parameters, digits.test_images);
  return {experiment,
          parameters,
          output,
          accuracy(parameters, digits.test_images, digits.test_labels),
          penalties.value(output),
          penalties.median_seconds()};
}
