// Levels and thread counts that a test uses, and that are as they were afterwards.

#ifndef TAUT_TESTS_RUNTIME_GUARDS_HPP_
#define TAUT_TESTS_RUNTIME_GUARDS_HPP_

#include <cstdlib>
#include <initializer_list>
#include <string>
#include <string_view>
#include <taut/taut.hpp>
#include <vector>

#include "catch2.hpp"

namespace taut_test {

class UsedLevel {
 public:
  explicit UsedLevel(std::string_view name) : before_(taut::level()) {
    taut::set_level(name);
    REQUIRE(taut::level() == name);
  }
  ~UsedLevel() { taut::set_level(before_); }
  UsedLevel(const UsedLevel&) = delete;
  UsedLevel& operator=(const UsedLevel&) = delete;

 private:
  std::string_view before_;
};

class UsedThreads {
 public:
  explicit UsedThreads(int threads) : before_(taut::get_num_threads()) {
    taut::set_num_threads(threads);
    REQUIRE(taut::get_num_threads() == threads);
  }
  ~UsedThreads() { taut::set_num_threads(before_); }
  UsedThreads(const UsedThreads&) = delete;
  UsedThreads& operator=(const UsedThreads&) = delete;

 private:
  int before_;
};

// The level that the environment variable TAUT_TEST_LEVEL names, else all that the processor has.
inline std::vector<std::string> levels_under_test() {
  const char* name = std::getenv("TAUT_TEST_LEVEL");
  if (name != nullptr) return {name};
  const std::vector<std::string_view> levels = taut::available_levels();
  return {levels.begin(), levels.end()};
}

template <typename Test>
void at_every_level(Test test) {
  for (const std::string& name : levels_under_test()) {
    INFO("level " << name);
    const UsedLevel used(name);
    test();
  }
}

// The levels under test that have a fused multiply-add.
inline std::vector<std::string> fused_levels_under_test() {
  std::vector<std::string> names = levels_under_test();
  std::erase(names, "x86-64-v2");
  return names;
}

// Calls test() on every such level, with each of these numbers of threads.
template <typename Test>
void at_every_fused_level(std::initializer_list<int> threads, Test test) {
  for (const std::string& level : fused_levels_under_test()) {
    const UsedLevel used_level(level);
    for (const int count : threads) {
      const UsedThreads used_threads(count);
      INFO("level " << level << ", threads " << count);
      test();
    }
  }
}

}  // namespace taut_test

#endif  // TAUT_TESTS_RUNTIME_GUARDS_HPP_
