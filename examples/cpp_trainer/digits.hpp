// The file that write_digits.py writes, for any trainer.

#ifndef CPP_TRAINER_DIGITS_HPP_
#define CPP_TRAINER_DIGITS_HPP_

#include <cstdint>
#include <string>
#include <vector>

constexpr std::int64_t kPixels = 64;

struct Images {
  std::vector<float> pixels;  // 64 for each image, from 0 to 1
  std::vector<std::int64_t> labels;
};

struct DigitImages {
  Images train;
  Images test;
};

// Throws std::runtime_error for a file that is not there or not as write_digits.py writes it.
DigitImages read_images(const std::string& path);

#endif  // CPP_TRAINER_DIGITS_HPP_
