// The handwritten digits that write_digits.py writes.

#ifndef CPP_TRAINER_DATA_HPP_
#define CPP_TRAINER_DATA_HPP_

#include <Eigen/Core>
#include <string>

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Row = Eigen::Matrix<float, 1, Eigen::Dynamic>;
using Labels = Eigen::VectorXi;

constexpr int kClasses = 10;

// Images as rows. A pixel of 1 is as much brighter than one of 0 as white is than black; its mean
// over the training images is 0.
struct Digits {
  Matrix train_images;
  Labels train_labels;
  Matrix test_images;
  Labels test_labels;
};

// Throws std::runtime_error for a file that is not there or not as write_digits.py writes it.
Digits read_digits(const std::string& path);

#endif  // CPP_TRAINER_DATA_HPP_
