// How OpenMP reads the environment variables that taut heeds too.

#ifndef TAUT_RUN_ENVIRONMENT_HPP_
#define TAUT_RUN_ENVIRONMENT_HPP_

#include <cstddef>
#include <optional>
#include <string_view>

namespace taut {

// OMP_NUM_THREADS: a list of positive numbers, "8" or "8,2"; the first is that of the outermost
// region. Nothing if it is malformed: then it counts as not set.
std::optional<int> parse_num_threads(std::string_view text);

// OMP_STACKSIZE: a positive number and a unit, "512", "512K", "16 M", "1g" or "65536B", kibibytes
// unless given. In bytes; nothing if it is malformed.
std::optional<std::size_t> parse_stack_size(std::string_view text);

}  // namespace taut

#endif  // TAUT_RUN_ENVIRONMENT_HPP_
