// The one seam to threads.

#ifndef TAUT_PARALLEL_HPP_
#define TAUT_PARALLEL_HPP_

#include <cstddef>

namespace taut {

// How many workers parallel_for would use for `pieces` pieces that take about `nanoseconds` in all
// on one thread: 1 where waking others would not pay, in a parallel region of the caller's, and in
// a forked child, whose OpenMP runtime has lost its threads.
std::size_t count_workers(std::size_t pieces, double nanoseconds);

using PieceFunction = void (*)(void* context, std::size_t piece, std::size_t worker);
void run_pieces(std::size_t pieces, std::size_t workers, PieceFunction function, void* context);

// Calls body(piece, worker) once for every piece, in any order, on `workers` threads, the caller's
// among them, each under the default floating-point environment. `body` must not throw. What a
// piece computes must not depend on the worker, which only names scratch memory. Throws Stopped if
// a StopCheck of the caller's says so between two pieces.
template <typename Body>
void parallel_for(std::size_t pieces, std::size_t workers, Body&& body) {
  run_pieces(
      pieces, workers,
      [](void* context, std::size_t piece, std::size_t worker) {
        (*static_cast<Body*>(context))(piece, worker);
      },
      &body);
}

}  // namespace taut

#endif  // TAUT_PARALLEL_HPP_
