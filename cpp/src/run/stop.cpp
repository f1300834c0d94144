#include "run/stop.hpp"

#include "taut/error.hpp"

namespace taut {
namespace {

constexpr auto kStopInterval = std::chrono::milliseconds(50);

thread_local StopCheck::Function stop_check = nullptr;
thread_local Questions* questions = nullptr;

}  // namespace

StopCheck::StopCheck(Function check) : outer_(stop_check) { stop_check = check; }
StopCheck::~StopCheck() { stop_check = outer_; }

StopWatch::StopWatch() : check_(stop_check) {
  if (check_ != nullptr) asked_ = std::chrono::steady_clock::now();
}

bool StopWatch::has_passed() {
  unread_ = 0;
  return std::chrono::steady_clock::now() - asked_ >= kStopInterval;
}

void StopWatch::ask() {
  bool stops;
  {
    // What the check calls of taut is not asked by it again.
    const StopCheck none(nullptr);
    stops = check_();
  }
  asked_ = std::chrono::steady_clock::now();
  if (stops) throw Stopped();
}

Questions::Questions(const DefaultFloatEnvironment* environment)
    : environment_(environment), outer_(questions) {
  questions = this;
}
Questions::~Questions() { questions = outer_; }

void Questions::ask_if_due(double nanoseconds) {
  Questions* const own = questions;
  if (own == nullptr || own->environment_ == nullptr || !own->watch_.is_due(nanoseconds)) return;
  own->environment_->call_outside([&] { own->watch_.ask(); });
}

}  // namespace taut
