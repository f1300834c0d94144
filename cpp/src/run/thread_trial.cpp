#include "run/thread_trial.hpp"

#include <pthread.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>

#include "run/environment.hpp"
#include "taut/runtime.hpp"

namespace taut {
namespace {

// Closed until it is over, so that all of the threads are there at the same time.
using Gate = std::atomic<int>;
constexpr int kClosed = 0, kOpen = 1;

void* wait_at(void* gate) {
  static_cast<Gate*>(gate)->wait(kClosed);
  return nullptr;
}

class StackSize {
 public:
  StackSize() {
    pthread_attr_init(&attributes_);
    if (const char* size = std::getenv("OMP_STACKSIZE"); size != nullptr) {
      if (const auto bytes = parse_stack_size(size)) {
        pthread_attr_setstacksize(&attributes_, *bytes);
      }
    }
  }
  ~StackSize() { pthread_attr_destroy(&attributes_); }
  StackSize(const StackSize&) = delete;
  StackSize& operator=(const StackSize&) = delete;

  const pthread_attr_t* attributes() const { return &attributes_; }

 private:
  pthread_attr_t attributes_;
};

}  // namespace

std::size_t count_threads_to_be_had(std::size_t wanted) {
  const StackSize stack;
  // On the stack: there may be no other memory.
  std::array<pthread_t, kMostThreads + 8> threads;
  wanted = std::min(wanted, threads.size());
  Gate gate{kClosed};
  std::size_t had = 0;
  while (had < wanted && pthread_create(&threads[had], stack.attributes(), wait_at, &gate) == 0) {
    ++had;
  }
  gate = kOpen;
  gate.notify_all();
  for (std::size_t i = 0; i < had; ++i) pthread_join(threads[i], nullptr);
  return had;
}

}  // namespace taut
