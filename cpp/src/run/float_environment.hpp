// The floating-point environment that every piece of work runs under.

#ifndef TAUT_RUN_FLOAT_ENVIRONMENT_HPP_
#define TAUT_RUN_FLOAT_ENVIRONMENT_HPP_

#include <cstdint>

#if defined(__x86_64__) || defined(_M_X64)
#include <xmmintrin.h>
#endif

namespace taut {

// While it lives, this thread rounds to nearest, traps nothing and keeps subnormals; afterwards its
// control and status bits are as they were. Code under it must be called, not inlined, since a
// compiler may move arithmetic across a change of the control word.
class DefaultFloatEnvironment {
 public:
  DefaultFloatEnvironment() : saved_(read()) {
    if ((saved_ & kControlBits) != kDefault) write(kDefault);
  }
  ~DefaultFloatEnvironment() {
    if (read() != saved_) write(saved_);
  }
  // Calls a function under what the caller set.
  template <typename Call>
  void call_outside(Call&& call) const {
    write(saved_);
    call();
    write(kDefault);
  }
  DefaultFloatEnvironment(const DefaultFloatEnvironment&) = delete;
  DefaultFloatEnvironment& operator=(const DefaultFloatEnvironment&) = delete;

 private:
#if defined(__x86_64__) || defined(_M_X64)
  using Word = unsigned;
  static constexpr Word kDefault = 0x1f80;      // all exceptions masked
  static constexpr Word kControlBits = 0xffc0;  // the rest are status flags
  static Word read() { return _mm_getcsr(); }
  static void write(Word word) { _mm_setcsr(word); }
#elif defined(__aarch64__)
  using Word = std::uint64_t;
  static constexpr Word kDefault = 0;
  static constexpr Word kControlBits = ~Word{0};
  static Word read() {
    Word word;
    asm volatile("mrs %0, fpcr" : "=r"(word));
    return word;
  }
  static void write(Word word) { asm volatile("msr fpcr, %0" : : "r"(word) : "memory"); }
#else
#error "taut knows the floating-point control word of x86-64 and of 64-bit Arm"
#endif

  Word saved_;
};

// Calls a function under it, with it. The function is not inlined here, and that stays so.
template <typename Call>
[[gnu::noinline]] auto call_isolated(Call&& call) {
  const DefaultFloatEnvironment environment;
  return [&]() __attribute__((noinline)) {
    // What has no effect but a result, a compiler would move to where the control word is another.
    asm volatile("" : : : "memory");
    return call(environment);
  }();
}

}  // namespace taut

#endif  // TAUT_RUN_FLOAT_ENVIRONMENT_HPP_
