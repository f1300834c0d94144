// The digits of ../cpp_trainer/write_digits.py.

#ifndef LIBTORCH_TRAINER_DIGITS_HPP_
#define LIBTORCH_TRAINER_DIGITS_HPP_

#include <cstdint>
#include <string>
#include <vector>

constexpr std::int64_t kPixels = 64;

struct Images {
  std::vector<float> pixels;  // 64 for each image, from 0 to 1
  std::vector<std::int64_t> labels;
};

struct Digits {
  Images train;
  Images test;
};

// Throws std::runtime_error for a file that does not hold them.
Digits read_digits(const std::string& path);

#endif  // LIBTORCH_TRAINER_DIGITS_HPP_
