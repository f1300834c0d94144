// A process that ends while threads of its own, and those that lend taut theirs, are in the middle
// of a call: it must end by itself, and well.

#include <atomic>
#include <taut/taut.hpp>
#include <thread>
#include <vector>

int main() {
  static std::atomic<int> calls{0};
  taut::set_num_threads(2);
  for (int caller = 0; caller < 3; ++caller) {
    std::thread([] {
      const auto& x =
          *new std::vector<float>(500'000, 1.0f);  // nothing of it ends before the process
      for (;;) {
        taut::value(taut::L1{1}, x);
        taut::value(taut::OrthogonalRegularizer{1}, taut::ConstView::matrix(x, 1000, 500));
        ++calls;
      }
    }).detach();
  }
  while (calls < 3) std::this_thread::yield();
}
