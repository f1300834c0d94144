#include "level.hpp"

#include <atomic>
#include <cstdlib>
#include <iterator>
#include <stdexcept>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "taut/error.hpp"
#include "taut/runtime.hpp"

namespace taut {
namespace {

struct Level {
  std::string_view name;
  const Kernels* kernels;
  bool (*is_available)();
};

#if defined(__x86_64__)
// What the processor and the operating system support, beyond what __builtin_cpu_supports knows on
// every compiler.
bool has_cpuid_bits(unsigned leaf, unsigned ecx_bits) {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid(leaf, &eax, &ebx, &ecx, &edx) != 0 && (ecx & ecx_bits) == ecx_bits;
}

bool has_v2() {
  return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("ssse3") &&
         __builtin_cpu_supports("popcnt");
}

bool has_v3() {
  constexpr unsigned kMovbe = 1u << 22, kF16c = 1u << 29, kLzcnt = 1u << 5;
  return has_v2() && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
         has_cpuid_bits(1, kMovbe | kF16c) && has_cpuid_bits(0x80000001, kLzcnt);
}

bool has_v4() {
  return has_v3() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl");
}

constexpr Level kLevels[] = {
    {"x86-64-v2", &x86_64_v2::kernels, has_v2},
    {"x86-64-v3", &x86_64_v3::kernels, has_v3},
    {"x86-64-v4", &x86_64_v4::kernels, has_v4},
};
#elif defined(__aarch64__)
constexpr Level kLevels[] = {{"neon", &neon::kernels, [] { return true; }}};
#endif

std::string names_of_levels() {
  std::string names;
  for (const Level& level : kLevels) {
    if (!names.empty()) names += ", ";
    names += level.name;
  }
  return names;
}

const Level* find_level(std::string_view name) {
  for (const Level& level : kLevels) {
    if (level.name == name) return &level;
  }
  throw InvalidArgument("'" + std::string(name) +
                        "' is not an instruction-set level of this build: " + names_of_levels());
}

const Level* choose_level() {
  const Level* highest = std::end(kLevels) - 1;
  if (const char* cap = std::getenv("TAUT_SIMD"); cap != nullptr && *cap != '\0') {
    highest = find_level(cap);
  }
  const Level* best = nullptr;
  for (const Level* level = kLevels; level <= highest; ++level) {
    if (level->is_available()) best = level;
  }
  if (best != nullptr) return best;
  throw std::runtime_error("taut needs a processor with x86-64-v2 (SSE4.2), or 64-bit Arm");
}

std::atomic<const Level*> active{nullptr};

const Level& active_level() {
  const Level* level = active.load(std::memory_order_acquire);
  if (level == nullptr) {
    level = choose_level();
    active.store(level, std::memory_order_release);
  }
  return *level;
}

}  // namespace

const Kernels& active_kernels() { return *active_level().kernels; }

std::string level() { return std::string(active_level().name); }

std::vector<std::string> available_levels() {
  std::vector<std::string> names;
  for (const Level& level : kLevels) {
    if (level.is_available()) names.emplace_back(level.name);
  }
  return names;
}

void set_level(std::string_view name) {
  const Level* level = find_level(name);
  if (!level->is_available()) {
    throw InvalidArgument("this processor does not have " + std::string(name));
  }
  active = level;
}

}  // namespace taut
