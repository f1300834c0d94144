#include "run/executor.hpp"

#include <algorithm>
#include <chrono>
#include <thread>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "run/team.hpp"

namespace taut {
namespace {

// Waking a thread takes some microseconds; below this much work for each, it does not pay. A larger
// team takes longer to wake.
constexpr double kWorthAThread = 20'000;  // nanoseconds
std::size_t workers_worth(double nanoseconds) {
  if (nanoseconds < 2 * kWorthAThread) return 1;
  const std::size_t workers = team_size();
  return nanoseconds < kWorthAThread * (1.5 + static_cast<double>(workers) / 4) ? 1 : workers;
}

void pause_processor() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Runs all of a plan on this thread; calls after_piece(nanoseconds) in between.
template <typename AfterPiece>
void run_whole(Plan& plan, std::byte* memory, std::byte* scratch, AfterPiece after_piece) {
  if (plan.needs().memory > 0) {
    Block block(memory);
    plan.place(block);
  }
  for (std::size_t phase = 0; phase < plan.needs().phases; ++phase) {
    const auto [pieces, nanoseconds] = plan.phase(phase);
    for (std::size_t piece = 0; piece < pieces; ++piece) {
      plan.run(phase, piece, scratch);
      after_piece(nanoseconds / static_cast<double>(pieces));
    }
  }
}

}  // namespace

Executor::Executor(std::span<Plan* const> plans, Arena& arena) : plans_(plans) {
  std::size_t largest = 0;
  for (const Plan* plan : plans) {
    nanoseconds_ += plan->needs().nanoseconds;
    scratch_size_ = std::max(scratch_size_, plan->needs().scratch);
    largest = std::max(largest, plan->needs().memory);
  }
  workers_ = workers_worth(nanoseconds_);
  if (workers_ > 1) {
    merged_ = merge(plans, workers_, arena);
  } else {
    merged_.whole_size = largest;
  }
  scratch_size_ = round_up_to_cache_line(checked_sum(scratch_size_, merged_.whole_size));
  if (scratch_size_ > 0) {
    scratch_ = arena.take<std::byte>(checked_product(workers_, scratch_size_));
  }
}

void Executor::run(const DefaultFloatEnvironment& environment) {
  if (workers_ == 1) {
    run_alone(environment);
  } else {
    run_together(environment);
  }
}

void Executor::run_alone(const DefaultFloatEnvironment& environment) {
  for (Plan* plan : plans_) {
    run_whole(*plan, scratch_.data(), scratch_.data() + merged_.whole_size,
              [&](double nanoseconds) {
                if (watch_.is_due(nanoseconds)) environment.call_outside([&] { watch_.ask(); });
              });
  }
}

void Executor::run_together(const DefaultFloatEnvironment& environment) {
  while (current_.load(std::memory_order_acquire) < merged_.rounds.size()) {
    state_.store(State::kRunning, std::memory_order_relaxed);
    run_team(
        workers_, nanoseconds_,
        [](void* self, std::size_t worker) { static_cast<Executor*>(self)->work(worker); }, this);
    if (failure_ != nullptr) std::rethrow_exception(failure_);
    if (state_.load(std::memory_order_relaxed) == State::kPaused) {
      environment.call_outside([&] { watch_.ask(); });
    }
  }
}

// What every worker does: round after round, until none is left or the team is to leave.
void Executor::work(std::size_t worker) {
  const DefaultFloatEnvironment environment;
  const Questions none(nullptr);
  const std::size_t count = merged_.rounds.size();
  try {
    for (std::size_t round; (round = current_.load(std::memory_order_acquire)) < count;) {
      if (!work_on(merged_.rounds[round], worker)) return;
      if (round + 1 == count || !wait_for(round, worker)) return;
    }
  } catch (...) {
    if (!has_failed_.exchange(true)) failure_ = std::current_exception();
    state_.store(State::kFailed, std::memory_order_relaxed);
  }
}

// Until no piece is left to take; false if the team is to leave before.
bool Executor::work_on(Round& round, std::size_t worker) {
  std::byte* memory = scratch_.data() + worker * scratch_size_;
  std::byte* scratch = memory + merged_.whole_size;
  std::uint32_t done = 0;
  bool leaves = false;
  for (std::uint32_t piece; !leaves && round.take(worker, piece);) {
    const Entry& entry = round.entry_of(piece);
    if (entry.whole) {
      run_whole(*entry.plan, memory, scratch, [](double) {});
    } else {
      entry.plan->run(entry.phase, piece - entry.first, scratch);
    }
    ++done;
    leaves = should_leave(worker, round.nanoseconds_per_piece);
  }
  // Whoever did the last piece opens the next round.
  if (done > 0 && round.done.fetch_add(done, std::memory_order_acq_rel) + done == round.pieces) {
    current_.fetch_add(1, std::memory_order_release);
  }
  return !leaves;
}

// Until the round is done; false if the team is to leave before.
bool Executor::wait_for(std::size_t round, std::size_t worker) {
  constexpr unsigned kSpins = 2'000;  // some 50 microseconds; then others may need the processor
  constexpr double kSpin = 20;        // nanoseconds
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = worker == 0 ? Clock::now() : Clock::time_point();
  for (unsigned spins = 0; current_.load(std::memory_order_acquire) == round; ++spins) {
    if (should_leave(worker, kSpin)) return false;
    if (spins < kSpins) {
      pause_processor();
    } else {
      std::this_thread::yield();
    }
  }
  if (worker == 0) note_idle(Clock::now() - begin);
  return true;
}

// Whether the team is to leave the region for now, about `nanoseconds` after this was last asked.
bool Executor::should_leave(std::size_t worker, double nanoseconds) {
  if (worker == 0 && watch_.is_due(nanoseconds)) {
    State running = State::kRunning;
    state_.compare_exchange_strong(running, State::kPaused, std::memory_order_relaxed);
  }
  return state_.load(std::memory_order_relaxed) != State::kRunning;
}

}  // namespace taut
