// The handwritten digits, as examples/cpp_trainer/write_digits.py writes them; an image is a
// column.

#ifndef TAUT_BENCHMARKS_MLPACK_DIGITS_HPP_
#define TAUT_BENCHMARKS_MLPACK_DIGITS_HPP_

#include <armadillo>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

constexpr std::size_t kPixels = 64;
constexpr std::size_t kDigits = 10;

struct Data {
  arma::mat train, train_labels, test, test_labels;
};

inline Data read_digits(const std::string& path) {
  std::vector<double> numbers[2];
  std::vector<double> labels[2];
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const int which = line.rfind("train,", 0) == 0 ? 0 : 1;
    std::istringstream cells(line.substr(line.find(',') + 1));
    std::string cell;
    std::getline(cells, cell, ',');
    labels[which].push_back(std::stod(cell));
    while (std::getline(cells, cell, ',')) numbers[which].push_back(std::stod(cell) / 16 - 0.3);
  }
  if (labels[0].empty() || labels[1].empty()) throw std::runtime_error("cannot read " + path);
  return {arma::mat(numbers[0].data(), kPixels, labels[0].size()),
          arma::mat(labels[0].data(), 1, labels[0].size()),
          arma::mat(numbers[1].data(), kPixels, labels[1].size()),
          arma::mat(labels[1].data(), 1, labels[1].size())};
}

// In percent. `output` has a column of log-probabilities for each image.
inline double accuracy(const arma::mat& output, const arma::mat& labels) {
  const arma::urowvec found = arma::index_max(output, 0);
  const arma::urowvec right = found == arma::conv_to<arma::urowvec>::from(labels);
  return 100 * arma::mean(arma::conv_to<arma::rowvec>::from(right));
}

#endif  // TAUT_BENCHMARKS_MLPACK_DIGITS_HPP_
