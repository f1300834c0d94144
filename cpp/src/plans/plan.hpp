// What a penalty is to the executor: work in phases, each of which is cut into pieces.

#ifndef TAUT_PLANS_PLAN_HPP_
#define TAUT_PLANS_PLAN_HPP_

#include <cstddef>

#include "run/arena.hpp"

namespace taut {

// One penalty of one call. It lives in the call's arena, as the problem that it is made from does,
// and is not destroyed.
//
// A piece may run on any thread, beside the other pieces of its phase, and after all of the phases
// before it. What it computes depends neither on the thread nor on the pieces' order: pieces are
// cut by the problem's size alone, and each writes its own part of the results.
class Plan {
 public:
  struct Phase {
    std::size_t pieces;
    double nanoseconds;  // of all pieces together, about, on one thread
  };

  // Known once, when the plan has been made.
  struct Needs {
    std::size_t phases = 0;
    double nanoseconds = 0;   // of all phases
    std::size_t memory = 0;   // bytes that all pieces share while the plan runs: see place
    std::size_t scratch = 0;  // bytes that each thread needs for itself while it runs a piece
  };
  const Needs& needs() const { return needs_; }

  virtual Phase phase(std::size_t index) const = 0;

  // Takes needs().memory bytes of the block. Called before the first phase, if it is not 0.
  virtual void place(Block&) {}

  virtual void run(std::size_t phase, std::size_t piece, std::byte* scratch) = 0;

  // The penalty, from the sums of all pieces. Called once, after the last phase.
  virtual double combine() = 0;

 protected:
  ~Plan() = default;

  // For a constructor that has the phases in place: adds up the rest.
  void set_needs(std::size_t phases, std::size_t scratch) {
    Block counted;
    place(counted);
    needs_ = {phases, 0, counted.used(), scratch};
    for (std::size_t index = 0; index < phases; ++index) {
      needs_.nanoseconds += phase(index).nanoseconds;
    }
  }

  Needs needs_;
};

}  // namespace taut

#endif  // TAUT_PLANS_PLAN_HPP_
