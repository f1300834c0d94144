#include "digits.hpp"

#include <fstream>
#include <sstream>
#include <stdexcept>

namespace {

constexpr float kWhite = 16;

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

DigitImages read_images(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path);
  DigitImages digits;
  for (std::string line; std::getline(file, line);) {
    read_line(line, line.starts_with("train,") ? digits.train : digits.test);
  }
  if (digits.train.labels.empty() || digits.test.labels.empty()) {
    throw std::runtime_error("no images to train with, or none to test with, in " + path);
  }
  return digits;
}
