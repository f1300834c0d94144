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

// How often calls were abandoned, and how often it was when this thread's call began.
std::atomic<unsigned> abandonments{0};
thread_local unsigned abandonments_before = 0;

// Of Python's main thread, which alone runs the handlers of signals.
std::atomic<unsigned long> main_thread{0};

// Whether a handler has raised what Python has not yet seen.
std::atomic<bool> is_kept{false};

// A pending call's function.
int raise_kept(void* kept) {
  is_kept = false;
  const std::unique_ptr<pybind11::error_already_set> error(
      static_cast<pybind11::error_already_set*>(kept));
  error->restore();
  return -1;
}

bool has_pending_exception_for_later() {
  if (is_abandoned()) return true;
  // Another thread has no handler to run, and may not ask: where Python ends, a thread that waits
  // for the GIL is ended, which no frame of C++ between survives.
  if (PyThread_get_thread_ident() != main_thread) return false;
  if (is_kept) return true;
  const pybind11::gil_scoped_acquire in_python;
  if (PyErr_CheckSignals() == 0) return false;
  auto error = std::make_unique<pybind11::error_already_set>();
  if (Py_AddPendingCall(raise_kept, error.get()) == 0) {
    error.release();  // raise_kept has it
    is_kept = true;
  } else {  // too many calls are pending
    PyErr_SetInterrupt();
  }
  return true;
}

}  // namespace

void remember_main_thread() {
  const auto threading = pybind11::module_::import("threading");
  main_thread = threading.attr("main_thread")().attr("ident").cast<unsigned long>();
}

void abandon_calls() { ++abandonments; }
bool is_abandoned() { return abandonments != abandonments_before; }

StopCheck stop_check_for_later() {
  abandonments_before = abandonments;
  return StopCheck(has_pending_exception_for_later);
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
