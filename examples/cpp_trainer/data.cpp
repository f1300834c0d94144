#include "data.hpp"

#include <cstdint>

#include "digits.hpp"

namespace {

Matrix matrix_of(const Images& images) {
  return Eigen::Map<const Matrix>(images.pixels.data(),
                                  static_cast<Eigen::Index>(images.labels.size()), kPixels);
}

Labels labels_of(const Images& images) {
  using Column = Eigen::Matrix<std::int64_t, Eigen::Dynamic, 1>;
  const auto count = static_cast<Eigen::Index>(images.labels.size());
  return Eigen::Map<const Column>(images.labels.data(), count).cast<int>();
}

}  // namespace

Digits read_digits(const std::string& path) {
  const DigitImages images = read_images(path);
  Digits digits{matrix_of(images.train), labels_of(images.train), matrix_of(images.test),
                labels_of(images.test)};
  // Without it all inputs are positive, and half of the units would be silent from the start.
  const Row mean = digits.train_images.colwise().mean();
  digits.train_images.rowwise() -= mean;
  digits.test_images.rowwise() -= mean;
  return digits;
}
