// Leaving Python for the core, and coming back.

#ifndef TAUT_BINDINGS_GIL_HPP_
#define TAUT_BINDINGS_GIL_HPP_

#include <pybind11/pybind11.h>

#include <exception>
#include <optional>
#include <type_traits>

#include "taut/error.hpp"
#include "taut/runtime.hpp"

namespace taut::bindings {

// Lets other threads run Python until return_to_python.
void leave_python();

// Comes back, or never: a thread that wants to, while the interpreter is being finalized, sleeps
// until the process ends. (CPython 3.14 does so itself. Older ones end the thread, which unwinds
// through frames whose destructors then touch objects without the GIL, or may not be left so and
// end the process.)
void return_to_python();

// Whether a signal's handler raised, as Ctrl-C's does. A StopCheck's function, for who left Python
// by leave_python.
bool has_pending_exception();

// A StopCheck for a call that begins here, of code that left Python, on whichever thread that is.
// What a handler raised is raised again as soon as that code has come back to Python, if it tells
// of no error of its own.
StopCheck stop_check_for_later();
// Stops the calls that have begun with such a check: the process is about to end.
void abandon_calls();
// Whether that has stopped this thread's call.
bool is_abandoned();
// To be called on import, before such a check is made.
void remember_main_thread();

// Throws what a signal's handler raised, with a note unless that is null.
[[noreturn]] void raise_interrupt(const char* note);

// Calls the core without the GIL. This is safe: the core sees plain memory and no Python object,
// and the caller's arguments keep the arrays alive until the call returns. `note` goes with what
// interrupts it.
template <typename Call>
auto without_gil(Call&& call, const char* note) {
  std::optional<std::conditional_t<std::is_void_v<decltype(call())>, bool, decltype(call())>>
      result;
  std::exception_ptr failure;
  leave_python();
  try {
    const StopCheck stop_check(has_pending_exception);
    if constexpr (std::is_void_v<decltype(call())>) {
      call();
    } else {
      result = call();
    }
  } catch (...) {
    failure = std::current_exception();
  }
  return_to_python();
  if (failure != nullptr) {
    try {
      std::rethrow_exception(failure);
    } catch (const Stopped&) {
      raise_interrupt(note);
    }
  }
  if constexpr (!std::is_void_v<decltype(call())>) return *result;
}

}  // namespace taut::bindings

#endif  // TAUT_BINDINGS_GIL_HPP_
