#include "run/level.hpp"

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

#if defined(__x86_64__)
// What the processor has is asked of it directly: __builtin_cpu_supports does not know all of it on
// every compiler, and needs a library that clang-cl does not link. Under a hypervisor each question
// leaves the guest, so whoever looks at several levels asks once. A static variable of a function
// would have a lock, which may be held by a thread that a forked child does not have.
struct Features {
  unsigned leaf_1_ecx = 0;
  unsigned leaf_7_ebx = 0;
  unsigned extended_ecx = 0;
  unsigned saved_registers = 0;  // by the operating system, when it changes threads

  Features() {
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0) leaf_1_ecx = ecx;
    if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0) leaf_7_ebx = ebx;
    if (__get_cpuid(0x80000001, &eax, &ebx, &ecx, &edx) != 0) extended_ecx = ecx;
    if ((leaf_1_ecx & kOsxsave) != 0) {
      asm volatile("xgetbv" : "=a"(saved_registers), "=d"(edx) : "c"(0));
#if defined(__APPLE__)
      saved_registers |= kZmm;  // which macOS saves from their first use on, and not before
#endif
    }
  }

  static constexpr unsigned kOsxsave = 1u << 27;
  static constexpr unsigned kYmm = 0x6, kZmm = 0xe6;
};

bool has_bits(unsigned word, unsigned bits) { return (word & bits) == bits; }

bool has_v2(const Features& features) {
  constexpr unsigned kSsse3 = 1u << 9, kSse41 = 1u << 19, kSse42 = 1u << 20, kPopcnt = 1u << 23;
  return has_bits(features.leaf_1_ecx, kSsse3 | kSse41 | kSse42 | kPopcnt);
}

bool has_v3(const Features& features) {
  constexpr unsigned kFma = 1u << 12, kMovbe = 1u << 22, kAvx = 1u << 28, kF16c = 1u << 29;
  constexpr unsigned kBmi = 1u << 3, kAvx2 = 1u << 5, kBmi2 = 1u << 8;
  constexpr unsigned kLzcnt = 1u << 5;
  return has_v2(features) && has_bits(features.leaf_1_ecx, kFma | kMovbe | kAvx | kF16c) &&
         has_bits(features.leaf_7_ebx, kBmi | kAvx2 | kBmi2) &&
         has_bits(features.extended_ecx, kLzcnt) &&
         has_bits(features.saved_registers, Features::kYmm);
}

bool has_v4(const Features& features) {
  constexpr unsigned kFoundation = 1u << 16, kDq = 1u << 17, kCd = 1u << 28, kBw = 1u << 30;
  constexpr unsigned kVl = 1u << 31;
  return has_v3(features) && has_bits(features.leaf_7_ebx, kFoundation | kDq | kCd | kBw | kVl) &&
         has_bits(features.saved_registers, Features::kZmm);
}
#elif defined(__aarch64__)
struct Features {};
#endif

struct Level {
  std::string_view name;
  const Kernels* kernels;
  bool (*is_available)(const Features& features);
};

constexpr Level kLevels[] = {
#if defined(__x86_64__)
    {"x86-64-v2", &x86_64_v2::kernels, has_v2},
    {"x86-64-v3", &x86_64_v3::kernels, has_v3},
    {"x86-64-v4", &x86_64_v4::kernels, has_v4},
#elif defined(__aarch64__)
    {"neon", &neon::kernels, [](const Features&) { return true; }},
#endif
};

std::string names_of_levels() {
  std::string names;
  for (const Level& level : kLevels) {
    if (!names.empty()) names += ", ";
    names += level.name;
  }
  return names;
}

const Level* find_level(std::string_view name, std::string_view origin = "") {
  for (const Level& level : kLevels) {
    if (level.name == name) return &level;
  }
  throw InvalidArgument(std::string(origin) + "'" + std::string(name) +
                        "' is not an instruction-set level of this build: " + names_of_levels());
}

const Level* choose_level() {
  const Level* highest = std::end(kLevels) - 1;
  if (const char* cap = std::getenv("TAUT_SIMD"); cap != nullptr && *cap != '\0') {
    highest = find_level(cap, "the environment variable TAUT_SIMD: ");
  }
  const Features features{};
  const Level* best = nullptr;
  for (const Level* level = kLevels; level <= highest; ++level) {
    if (level->is_available(features)) best = level;
  }
  if (best != nullptr) return best;
  throw std::runtime_error("taut needs a processor with x86-64-v2 (SSE4.2), or 64-bit Arm");
}

// Two threads may choose at once, and choose the same.
constinit std::atomic<const Level*> active{nullptr};

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

std::string_view level() { return active_level().name; }

std::vector<std::string_view> available_levels() {
  const Features features{};
  std::vector<std::string_view> names;
  for (const Level& level : kLevels) {
    if (level.is_available(features)) names.emplace_back(level.name);
  }
  return names;
}

void set_level(std::string_view name) {
  const Level* level = find_level(name);
  if (!level->is_available(Features())) {
    throw InvalidArgument("this processor does not have " + std::string(name));
  }
  active = level;
}

}  // namespace taut
