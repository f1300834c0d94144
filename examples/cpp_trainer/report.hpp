// What came of the runs: a table, and files.

#ifndef CPP_TRAINER_REPORT_HPP_
#define CPP_TRAINER_REPORT_HPP_

#include <filesystem>

#include "training.hpp"

// Prints the weights' table of `taut demo`, and times, one row per run.
void print_table(const std::vector<Run>& runs);

// Writes each run's kernels, "<run>.hidden.csv" and "<run>.output.csv", with digits enough to read
// the very numbers back; and "penalties.csv" with each kernel's penalty as a hexadecimal number, so
// that others can be compared to the last bit.
void save(const std::vector<Run>& runs, const std::filesystem::path& directory);

#endif  // CPP_TRAINER_REPORT_HPP_
