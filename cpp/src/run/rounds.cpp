#include "run/rounds.hpp"

#include <algorithm>
#include <functional>
#include <limits>
#include <new>
#include <utility>

namespace taut {
namespace {

// A plan is one piece if its share of the work is so small that the team still ends together, and
// if it takes no longer than a caller who wants to stop may wait.
constexpr double kPlansPerWorker = 4;
constexpr double kLongestPiece = 5e6;  // nanoseconds

constexpr std::size_t kMostMemoryAtOnce = std::size_t{32} << 20;

class Merger {
 public:
  Merger(std::size_t rounds, std::size_t workers, Arena& arena)
      : rounds_(arena.take<Round>(rounds)), workers_(workers), arena_(arena) {}

  // The rounds of some plans, with others that are one piece each in the first one.
  void add(std::span<Plan* const> plans, std::span<Plan* const> whole) {
    std::size_t phases = whole.empty() ? 0 : 1;
    for (const Plan* plan : plans) phases = std::max(phases, plan->needs().phases);
    for (std::size_t phase = 0; phase < phases; ++phase) {
      begin_round(plans.size() + whole.size());
      if (phase == 0) {
        for (Plan* plan : whole) add_entry({plan, 0, true, 0}, {1, plan->needs().nanoseconds});
      }
      for (Plan* plan : plans) {
        if (phase < plan->needs().phases) add_entry({plan, phase, false, 0}, plan->phase(phase));
      }
      end_round();
    }
  }

  std::span<Round> rounds() const { return rounds_.first(count_); }

 private:
  void begin_round(std::size_t most_entries) {
    entries_ = arena_.take<Entry>(most_entries);
    entry_count_ = 0;
    pieces_ = 0;
    nanoseconds_ = 0;
  }

  void add_entry(Entry entry, Plan::Phase phase) {
    if (phase.pieces == 0) return;
    if (phase.pieces > std::numeric_limits<std::uint32_t>::max() - pieces_) throw std::bad_alloc();
    entry.first = static_cast<std::uint32_t>(pieces_);
    entries_[entry_count_++] = entry;
    pieces_ += phase.pieces;
    nanoseconds_ += phase.nanoseconds;
  }

  void end_round() {
    if (pieces_ == 0) return;
    Round& round = *new (&rounds_[count_++]) Round;
    round.entries = entries_.first(entry_count_);
    round.pieces = static_cast<std::uint32_t>(pieces_);
    round.nanoseconds_per_piece = nanoseconds_ / static_cast<double>(pieces_);
    round.shares = arena_.take<Share>(workers_);
    std::uint32_t begin = 0;
    for (std::size_t worker = 0; worker < workers_; ++worker) {
      const auto end = static_cast<std::uint32_t>(pieces_ * (worker + 1) / workers_);
      (new (&round.shares[worker]) Share)->set(begin, end);
      begin = end;
    }
  }

  std::span<Round> rounds_;
  std::size_t count_ = 0;
  std::size_t workers_;
  Arena& arena_;
  // The round that is being made.
  std::span<Entry> entries_;
  std::size_t entry_count_ = 0;
  std::size_t pieces_ = 0;
  double nanoseconds_ = 0;
};

}  // namespace

const Entry& Round::entry_of(std::uint32_t piece) const {
  return *(std::upper_bound(
               entries.begin(), entries.end(), piece,
               [](std::uint32_t wanted, const Entry& entry) { return wanted < entry.first; }) -
           1);
}

bool Round::take(std::size_t worker, std::uint32_t& piece) {
  if (shares[worker].take(piece)) return true;
  for (std::size_t i = 1; i < shares.size(); ++i) {
    std::uint32_t end;
    if (shares[(worker + i) % shares.size()].split(piece, end)) {
      shares[worker].set(piece + 1, end);
      return true;
    }
  }
  return false;
}

Rounds merge(std::span<Plan* const> plans, std::size_t workers, Arena& arena) {
  double nanoseconds = 0;
  for (const Plan* plan : plans) nanoseconds += plan->needs().nanoseconds;
  const double small =
      std::min(nanoseconds / (kPlansPerWorker * static_cast<double>(workers)), kLongestPiece);
  const auto is_small = [&](Plan* plan) {
    return plan->needs().nanoseconds <= small &&
           plan->needs().memory <= kMostMemoryAtOnce / workers;
  };
  const auto sorted = arena.take<Plan*>(plans.size());
  const auto middle = std::copy_if(plans.begin(), plans.end(), sorted.begin(), is_small);
  std::copy_if(plans.begin(), plans.end(), middle, std::not_fn(is_small));
  std::span<Plan* const> whole(sorted.begin(), middle);
  const std::span<Plan* const> divided(middle, sorted.end());

  Rounds merged;
  for (Plan* plan : whole) merged.whole_size = std::max(merged.whole_size, plan->needs().memory);
  std::size_t most_rounds = 1;
  std::size_t largest = kMostMemoryAtOnce;
  std::size_t all = 0;
  for (Plan* plan : divided) {
    most_rounds += plan->needs().phases;
    largest = std::max(largest, plan->needs().memory);
    all = std::min(checked_sum(all, plan->needs().memory), largest);
  }
  const auto memory = arena.take<std::byte>(all);

  Merger merger(most_rounds, workers, arena);
  std::size_t begin = 0;
  Block block(memory.data());
  for (std::size_t i = 0; i < divided.size(); ++i) {
    if (i > begin && block.used() + divided[i]->needs().memory > memory.size()) {
      merger.add(divided.subspan(begin, i - begin), std::exchange(whole, {}));
      begin = i;
      block = Block(memory.data());
    }
    divided[i]->place(block);
  }
  merger.add(divided.subspan(begin), whole);
  merged.rounds = merger.rounds();
  return merged;
}

}  // namespace taut
