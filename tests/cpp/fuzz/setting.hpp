// What a result must not depend on.

#ifndef TAUT_TESTS_FUZZ_SETTING_HPP_
#define TAUT_TESTS_FUZZ_SETTING_HPP_

#include <string>
#include <taut/taut.hpp>
#include <vector>

#include "plans/vectors.hpp"
#include "reader.hpp"

namespace taut_test {

struct Setting {
  std::string level;
  int threads;
  bool saves_memory;

  void apply() const {
    taut::set_level(level);
    taut::set_num_threads(threads);
    taut::saves_all_memory = saves_memory;
  }
  std::string text() const {
    return "  taut::set_level(\"" + level + "\");\n  taut::set_num_threads(" +
           std::to_string(threads) + ");\n" +
           (saves_memory ? "  taut::saves_all_memory = true;\n" : "");
  }
  std::string name() const {
    return "on " + std::to_string(threads) + " threads at " + level +
           (saves_memory ? ", in little memory" : "");
  }
};

inline bool is_fused(std::string_view level) { return level != "x86-64-v2"; }

inline Setting read_setting(Reader& reader) {
  const std::vector<std::string_view> levels = taut::available_levels();
  // The best one first.
  const std::string_view level = levels[levels.size() - 1 - reader.below(levels.size())];
  const std::size_t other = reader.below(8);
  return {std::string(level), static_cast<int>(1 + other % 4), other >= 4};
}

// Settings in which the same bits are promised: of elementwise penalties on every level, of all
// others in more and in less memory, and on the levels that have fused multiply-add.
inline std::vector<Setting> settings_beside(const Setting& setting, bool elementwise) {
  std::vector<Setting> settings{{setting.level, 5 - setting.threads, setting.saves_memory}};
  if (!elementwise) {
    settings.push_back({setting.level, setting.threads, !setting.saves_memory});
  }
  for (const std::string_view level : taut::available_levels()) {
    if (level == setting.level) continue;
    if (!elementwise && !(is_fused(level) && is_fused(setting.level))) continue;
    settings.push_back({std::string(level), setting.threads, setting.saves_memory});
  }
  return settings;
}

}  // namespace taut_test

#endif  // TAUT_TESTS_FUZZ_SETTING_HPP_
