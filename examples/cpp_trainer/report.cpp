#include "report.hpp"

#include <cstdio>
#include <fstream>
#include <limits>
#include <stdexcept>
#include <taut/eigen.hpp>

namespace {

constexpr float kNearZero = 0.01f;  // beside a standard deviation of 0.18 before the training

// The mean of |cos| over all pairs of rows or columns is the orthogonal penalty for a factor of 1.
double mean_cosine(const Matrix& kernel, taut::Mode mode) {
  return taut::value(taut::OrthogonalRegularizer{1, mode}, taut::view(kernel));
}

template <typename Condition>
double percentage(const Condition& condition) {
  return 100 * static_cast<double>(condition.count()) / static_cast<double>(condition.size());
}

std::ofstream create(const std::filesystem::path& path) {
  std::ofstream file(path);
  if (!file) throw std::runtime_error("cannot write " + path.string());
  return file;
}

void save_kernel(const Run& run, const char* layer, const Matrix& kernel,
                 const std::optional<taut::Regularizer>& regularizer,
                 const std::filesystem::path& directory, std::ofstream& penalties) {
  constexpr int kDigits = std::numeric_limits<float>::max_digits10;
  const Eigen::IOFormat format(kDigits, Eigen::DontAlignCols, ",");
  create(directory / (run.experiment.name + "." + layer + ".csv")) << kernel.format(format) << '\n';
  if (!regularizer) return;
  penalties << run.experiment.name << ',' << layer << ',' << std::hexfloat
            << taut::value(*regularizer, taut::view(kernel)) << '\n';
}

}  // namespace

void print_table(const std::vector<Run>& runs) {
  std::printf("\nThe first layer after training\n\n");
  std::printf("%-18s %8s %7s %5s %5s %5s %5s %6s %6s %4s\n", "", "test", "penalty", "near", "exact",
              "", "|cos|", "|cos|", "mean", "time");
  std::printf("%-18s %8s %7s %5s %5s %5s %5s %6s %6s %4s\n", "penalty", "accuracy", "left", "zero",
              "zero", "norm", "units", "pixels", "output", "(us)");
  for (const Run& run : runs) {
    const Matrix& kernel = run.parameters.hidden_kernel;
    std::printf("%-18s %7.1f%% %7.3f %4.0f%% %4.0f%% %5.1f %5.3f %6.3f %6.2f %4.1f\n",
                run.experiment.name.c_str(), 100 * run.accuracy, run.penalty,
                percentage(kernel.array().abs() < kNearZero), percentage(kernel.array() == 0),
                static_cast<double>(kernel.norm()), mean_cosine(kernel, taut::Mode::kColumns),
                mean_cosine(kernel, taut::Mode::kRows),
                static_cast<double>(run.hidden_output.mean()), 1e6 * run.penalty_seconds);
  }
}

void save(const std::vector<Run>& runs, const std::filesystem::path& directory) {
  std::filesystem::create_directories(directory);
  std::ofstream penalties = create(directory / "penalties.csv");
  for (const Run& run : runs) {
    save_kernel(run, "hidden", run.parameters.hidden_kernel, run.experiment.hidden_kernel,
                directory, penalties);
    save_kernel(run, "output", run.parameters.output_kernel, run.experiment.output_kernel,
                directory, penalties);
  }
}
