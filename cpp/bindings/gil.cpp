#include "gil.hpp"

#include <chrono>
#include <thread>

namespace taut::bindings {
namespace {

thread_local PyThreadState* left = nullptr;

}  // namespace

void leave_python() { left = PyEval_SaveThread(); }

void return_to_python() {
  try {
    PyEval_RestoreThread(left);
  } catch (...) {
    // glibc ends a thread by unwinding its stack, as an exception does. It stays here instead.
    for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
  }
}

bool has_pending_exception() {
  return_to_python();
  const bool is_pending = PyErr_CheckSignals() != 0;  // its handlers may have called taut
  leave_python();
  return is_pending;
}

}  // namespace taut::bindings
