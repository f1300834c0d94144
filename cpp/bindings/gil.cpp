#include "gil.hpp"

#include <atomic>
#include <chrono>
#include <memory>
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

namespace {

std::atomic<bool> are_abandoned{false};

// A pending call's function.
int raise_kept(void* kept) {
  const std::unique_ptr<pybind11::error_already_set> error(
      static_cast<pybind11::error_already_set*>(kept));
  error->restore();
  return -1;
}

}  // namespace

void abandon_calls() { are_abandoned = true; }

bool has_pending_exception_for_later() {
  if (are_abandoned) return true;
  // Python runs handlers on its main thread alone; threads that are not Python's know nothing.
  if (PyGILState_GetThisThreadState() == nullptr) return false;
  const pybind11::gil_scoped_acquire in_python;
  if (PyErr_CheckSignals() == 0) return false;
  auto error = std::make_unique<pybind11::error_already_set>();
  if (Py_AddPendingCall(raise_kept, error.get()) == 0) {
    error.release();  // raise_kept has it
  } else {            // too many calls are pending
    PyErr_SetInterrupt();
  }
  return true;
}

void raise_interrupt(const char* note) {
  pybind11::error_already_set error;
  if (note != nullptr) {
    // As add_note does, which Python 3.10 has not.
    const pybind11::object raised = error.value();
    pybind11::list notes = pybind11::getattr(raised, "__notes__", pybind11::list());
    notes.append(note);
    raised.attr("__notes__") = notes;
  }
  throw error;
}

bool has_pending_exception() {
  return_to_python();
  const bool is_pending = PyErr_CheckSignals() != 0;  // its handlers may have called taut
  leave_python();
  return is_pending;
}

}  // namespace taut::bindings
