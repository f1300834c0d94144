// Little stacks for threads and fibers, which tell how much of them was used.

#ifndef TAUT_TESTS_SMALL_STACK_HPP_
#define TAUT_TESTS_SMALL_STACK_HPP_

#include <pthread.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <span>

#if defined(__GLIBC__)  // others have no contexts, or call them obsolete
#define TAUT_HAS_FIBERS
#include <ucontext.h>
#endif

#include "catch2.hpp"

namespace taut_test {

// What is beyond it is a guard page: who goes there ends the process.
class SmallStack {
 public:
  // What musl gives a thread, and the least that glibc takes for one on Arm.
  static constexpr std::size_t kBytes = std::size_t{128} << 10;

  SmallStack() {
    memory_ = static_cast<std::byte*>(
        mmap(nullptr, kGuard + kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    REQUIRE(memory_ != MAP_FAILED);
    REQUIRE(mprotect(memory_, kGuard, PROT_NONE) == 0);
  }
  ~SmallStack() { munmap(memory_, kGuard + kBytes); }
  SmallStack(const SmallStack&) = delete;
  SmallStack& operator=(const SmallStack&) = delete;

  // Both run a function, which throws nothing, on the whole stack, and return how many of its bytes
  // were used.
  std::size_t run_on_thread(const std::function<void()>& function) {
    std::ranges::fill(stack(), kUnused);
    pthread_attr_t attributes;
    REQUIRE(pthread_attr_init(&attributes) == 0);
    REQUIRE(pthread_attr_setstack(&attributes, stack().data(), kBytes) == 0);
    const auto run = [](void* context) -> void* {
      (*static_cast<const std::function<void()>*>(context))();
      return nullptr;
    };
    pthread_t thread;
    auto* context = const_cast<std::function<void()>*>(&function);
    REQUIRE(pthread_create(&thread, &attributes, run, context) == 0);
    REQUIRE(pthread_join(thread, nullptr) == 0);
    pthread_attr_destroy(&attributes);
    return used();
  }

#if defined(TAUT_HAS_FIBERS)
  std::size_t run_on_fiber(const std::function<void()>& function) {
    std::ranges::fill(stack(), kUnused);
    static const std::function<void()>* running;
    running = &function;
    ucontext_t here, fiber;
    REQUIRE(getcontext(&fiber) == 0);
    fiber.uc_stack.ss_sp = stack().data();
    fiber.uc_stack.ss_size = kBytes;
    fiber.uc_link = &here;
    makecontext(&fiber, [] { (*running)(); }, 0);
    REQUIRE(swapcontext(&here, &fiber) == 0);
    return used();
  }
#endif

 private:
  static constexpr std::size_t kGuard = std::size_t{64} << 10;  // a page of any system's
  static constexpr std::byte kUnused{0xA5};

  std::span<std::byte> stack() const { return {memory_ + kGuard, kBytes}; }
  std::size_t used() const {
    const auto is_used = [](std::byte byte) { return byte != kUnused; };
    return static_cast<std::size_t>(stack().end() - std::ranges::find_if(stack(), is_used));
  }

  std::byte* memory_;
};

}  // namespace taut_test

#endif  // TAUT_TESTS_SMALL_STACK_HPP_
