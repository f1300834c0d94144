#include "data.hpp"

#include <fstream>
#include <sstream>
#include <stdexcept>
#include <vector>

namespace {

constexpr float kWhite = 16;
constexpr Eigen::Index kPixels = 64;

struct Images {
  std::vector<float> pixels;
  std::vector<int> labels;

  Matrix matrix() const {
    return Eigen::Map<const Matrix>(pixels.data(), static_cast<Eigen::Index>(labels.size()),
                                    kPixels);
  }
  Labels vector() const {
    return Eigen::Map<const Labels>(labels.data(), static_cast<Eigen::Index>(labels.size()));
  }
};

void read_line(const std::string& line, Images& images) {
  std::istringstream cells(line.substr(line.find(',') + 1));
  std::string cell;
  std::getline(cells, cell, ',');
  images.labels.push_back(std::stoi(cell));
  while (std::getline(cells, cell, ',')) images.pixels.push_back(std::stof(cell) / kWhite);
  if (images.pixels.size() != images.labels.size() * kPixels) {
    throw std::runtime_error("not an image of 64 pixels: " + line);
  }
}

}  // namespace

Digits read_digits(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path);
  Images train;
  Images test;
  for (std::string line; std::getline(file, line);) {
    read_line(line, line.starts_with("train,") ? train : test);
  }
  if (train.labels.empty() || test.labels.empty()) {
    throw std::runtime_error("no images to train with, or none to test with, in " + path);
  }
  Digits digits{train.matrix(), train.vector(), test.matrix(), test.vector()};
  // Without it all inputs are positive, and half of the units would be silent from the start.
  const Row mean = digits.train_images.colwise().mean();
  digits.train_images.rowwise() -= mean;
  digits.test_images.rowwise() -= mean;
  return digits;
}
