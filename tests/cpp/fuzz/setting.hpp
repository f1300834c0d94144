// What a result must not depend on.

#ifndef TAUT_TESTS_FUZZ_SETTING_HPP_
#define TAUT_TESTS_FUZZ_SETTING_HPP_

#include <iterator>
#include <string>
#include <taut/taut.hpp>
#include <vector>

#include "plans/vectors.hpp"
#include "reader.hpp"

namespace taut_test {

constexpr taut::MemorySaving kSavings[] = {taut::MemorySaving::kAsNeeded, taut::MemorySaving::kAll,
                                           taut::MemorySaving::kParts,
                                           taut::MemorySaving::kStripSigns};
constexpr const char* kNamesOfSavings[] = {"kAsNeeded", "kAll", "kParts", "kStripSigns"};

struct Setting {
  std::string level;
  int threads;
  std::size_t saving;  // of kSavings

  void apply() const {
    taut::set_level(level);
    taut::set_num_threads(threads);
    taut::memory_saving = kSavings[saving];
  }
  std::string text() const {
    return "  taut::set_level(\"" + level + "\");\n  taut::set_num_threads(" +
           std::to_string(threads) + ");\n" +
           "  taut::memory_saving = taut::MemorySaving::" + kNamesOfSavings[saving] + ";\n";
  }
  std::string name() const {
    return "on " + std::to_string(threads) + " threads at " + level + ", saving memory " +
           kNamesOfSavings[saving];
  }
};

inline bool is_fused(std::string_view level) { return level != "x86-64-v2"; }

inline Setting read_setting(Reader& reader) {
  const std::vector<std::string_view> levels = taut::available_levels();
  // The best one first.
  const std::string_view level = levels[levels.size() - 1 - reader.below(levels.size())];
  const std::size_t choice = reader.below(4 * std::size(kSavings));
  return {std::string(level), static_cast<int>(1 + choice % 4), choice / 4};
}

// Settings in which the same bits are promised: of elementwise penalties on every level, of all
// others whatever memory is saved, and on those that have fused multiply-add.
inline std::vector<Setting> settings_beside(const Setting& setting, bool elementwise) {
  std::vector<Setting> settings{{setting.level, 5 - setting.threads, setting.saving}};
  for (std::size_t saving = 0; saving < std::size(kSavings) && !elementwise; ++saving) {
    if (saving != setting.saving) settings.push_back({setting.level, setting.threads, saving});
  }
  for (const std::string_view level : taut::available_levels()) {
    if (level == setting.level) continue;
    if (!elementwise && !(is_fused(level) && is_fused(setting.level))) continue;
    settings.push_back({std::string(level), setting.threads, setting.saving});
  }
  return settings;
}

}  // namespace taut_test

#endif  // TAUT_TESTS_FUZZ_SETTING_HPP_
