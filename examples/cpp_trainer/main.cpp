// Trains a small network on handwritten digits, once per penalty, and shows what each did to the
// weights.
//
//   cpp_trainer digits.csv [--epochs N] [--seed N] [--save DIRECTORY]

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <taut/taut.hpp>

#include "report.hpp"

namespace {

constexpr const char* kHelp =
    "usage: cpp_trainer digits.csv [--epochs N] [--seed N] [--save DIRECTORY]\n\n"
    "Trains a small network on handwritten digits, once per penalty, and shows what each did to\n"
    "the weights. write_digits.py writes the digits.\n\n"
    "  --epochs N        passes over the images, 60 unless given\n"
    "  --seed N          of the weights and the images' order, 0 unless given\n"
    "  --save DIRECTORY  write the trained weights and the penalties there\n"
    "  --help            print this\n";

struct Options {
  std::string digits;
  int epochs = 60;
  unsigned seed = 0;
  std::string directory;
  bool help = false;
};

template <typename Number>
Number whole_number(const std::string& option, const std::string& text) {
  Number number{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stop != end) {
    throw std::invalid_argument(option + ": not a whole number in its range: '" + text + "'");
  }
  return number;
}

Options parse(int argc, char* argv[]) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--help" || argument == "-h") {
      options.help = true;
      return options;
    }
    if (argument.starts_with("--") && i + 1 == argc) {
      throw std::invalid_argument(argument + " needs a value");
    }
    if (argument == "--epochs") {
      options.epochs = whole_number<int>(argument, argv[++i]);
    } else if (argument == "--seed") {
      options.seed = whole_number<unsigned>(argument, argv[++i]);
    } else if (argument == "--save") {
      options.directory = argv[++i];
    } else if (options.digits.empty() && !argument.starts_with("--")) {
      options.digits = argument;
    } else {
      throw std::invalid_argument("not understood: " + argument);
    }
  }
  if (options.digits.empty()) throw std::invalid_argument("which CSV file? See write_digits.py");
  if (options.epochs < 1) throw std::invalid_argument("--epochs must be at least 1");
  return options;
}

void run(const Options& options) {
  const Digits digits = read_digits(options.digits);
  std::printf("%lld images, %d epochs each; taut's level is %s\n\n",
              static_cast<long long>(digits.train_images.rows()), options.epochs,
              taut::level().data());
  std::vector<Run> runs;
  for (const Experiment& experiment : experiments()) {
    std::printf("%-18s ", experiment.name.c_str());
    int epoch = 0;
    const auto show_progress = [&] {
      if (++epoch % std::max(1, options.epochs / 20) == 0) std::printf(".");
      std::fflush(stdout);
    };
    runs.push_back(train(experiment, digits, options.epochs, options.seed, show_progress));
    std::printf(" accuracy %.1f%%\n", 100 * runs.back().accuracy);
  }
  print_table(runs);
  if (!options.directory.empty()) save(runs, options.directory);
}

}  // namespace

int main(int argc, char* argv[]) {
  try {
    const Options options = parse(argc, argv);
    if (options.help) {
      std::fputs(kHelp, stdout);
    } else {
      run(options);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "cpp_trainer: %s; see cpp_trainer --help\n", error.what());
    return 1;
  }
  return 0;
}
