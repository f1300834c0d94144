// How the plans of a call are merged into rounds, which a team works off one after the other.

#ifndef TAUT_RUN_ROUNDS_HPP_
#define TAUT_RUN_ROUNDS_HPP_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "plans/plan.hpp"
#include "run/arena.hpp"
#include "run/share.hpp"

namespace taut {

// The pieces of one plan among those of a round.
struct Entry {
  Plan* plan;
  std::size_t phase;
  bool whole;           // all phases of the plan are one piece
  std::uint32_t first;  // piece of the round
};

struct Round {
  std::span<const Entry> entries;
  std::span<Share> shares;  // one per worker
  std::uint32_t pieces;
  double nanoseconds_per_piece;  // about, on one thread
  std::atomic<std::uint32_t> done{0};

  // The entry that a piece belongs to.
  const Entry& entry_of(std::uint32_t piece) const;
  // The worker's next piece: of its own share, then of the others'.
  bool take(std::size_t worker, std::uint32_t& piece);
};

struct Rounds {
  std::span<Round> rounds;
  std::size_t whole_size = 0;  // bytes that a worker needs for a plan that is one piece
};

// The first phases of all plans are a round, then the second ones, and so on. A plan that is a
// small part of all the work is a single piece of the first round, so that its data stay with one
// thread. Plans that need much memory have their rounds after one another, in the same memory.
Rounds merge(std::span<Plan* const> plans, std::size_t workers, Arena& arena);

}  // namespace taut

#endif  // TAUT_RUN_ROUNDS_HPP_
