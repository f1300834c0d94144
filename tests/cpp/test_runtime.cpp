// Threads, levels, and how to stop a long call.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <limits>
#include <thread>

#include "check_penalty.hpp"
#include "runtime_guards.hpp"

namespace taut_test {
namespace {

TEST_CASE("the number of threads has its bounds, and stays as it was set") {
  REQUIRE(taut::get_num_threads() >= 1);
  REQUIRE(taut::get_num_threads() <= taut::kMostThreads);
  const UsedThreads threads(3);
  for (const int wrong : {0, -1, std::numeric_limits<int>::min(), taut::kMostThreads + 1, 1'000'000,
                          std::numeric_limits<int>::max()}) {
    CHECK_THROWS_AS(taut::set_num_threads(wrong), taut::InvalidArgument);
  }
  CHECK(taut::get_num_threads() == 3);
  CHECK(taut::num_threads_origin() == "set_num_threads");
  const UsedThreads most(taut::kMostThreads);
}

TEST_CASE("every available level can be used, and no other") {
  const std::vector<std::string_view> levels = taut::available_levels();
  REQUIRE_FALSE(levels.empty());
  CHECK(std::find(levels.begin(), levels.end(), taut::level()) != levels.end());
  for (const std::string_view name : levels) {
    const UsedLevel used(name);
    CHECK(taut::level() == name);
  }
  const std::string_view before = taut::level();
  for (const char* wrong : {"", "x86-64-v9", "x86-64-v3 ", "AVX2"}) {
    CHECK_THROWS_AS(taut::set_level(wrong), taut::InvalidArgument);
  }
  for (const char* name : {"x86-64-v2", "x86-64-v3", "x86-64-v4", "neon"}) {
    if (std::find(levels.begin(), levels.end(), name) != levels.end()) continue;
    CHECK_THROWS_AS(taut::set_level(name), taut::InvalidArgument);
  }
  CHECK(taut::level() == before);
}

// What the checks below were asked, and by whom.
std::atomic<int> asked{0};
std::thread::id asking_thread;

bool stop() { return true; }
bool go_on() {
  ++asked;
  asking_thread = std::this_thread::get_id();
  return false;
}

// A matrix whose every phase takes longer than the check's interval of 20 ms.
class LongCall {
 public:
  double value() const { return taut::value(taut::OrthogonalRegularizer{}, view()); }
  double value_and_grad() {
    const taut::View gradient =
        taut::View::matrix(gradient_.data(), kRows, kColumns, std::ptrdiff_t{kColumns});
    return taut::value_and_grad(taut::OrthogonalRegularizer{}, view(), gradient);
  }

 private:
  static constexpr std::size_t kRows = 8192;
  static constexpr std::size_t kColumns = 1024;

  taut::ConstView view() const {
    return taut::ConstView::matrix(x_.data(), kRows, kColumns, std::ptrdiff_t{kColumns});
  }

  std::vector<float> x_ = std::vector<float>(kRows * kColumns, 1.0f);
  std::vector<float> gradient_ = std::vector<float>(kRows * kColumns);
};

TEST_CASE("a check that says so stops a long call, on one thread and on several") {
  LongCall call;
  for (const int threads : {1, 2}) {
    const UsedThreads used(threads);
    const taut::StopCheck check(stop);
    const auto begin = std::chrono::steady_clock::now();
    CHECK_THROWS_AS(call.value(), taut::Stopped);
    CHECK_THROWS_AS(call.value_and_grad(), taut::Stopped);
    // Generous: in a debug build one piece takes a second.
    CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(30));
  }
}

TEST_CASE("a call that goes on is asked on its own thread, and finishes") {
  const std::vector<float> x(50'000'000, 1.0f);
  const auto view = taut::ConstView(x.data(), x.size());
  for (const int threads : {1, 2}) {
    const UsedThreads used(threads);
    asked = 0;
    const taut::StopCheck check(go_on);
    // Quick machines may need some calls before 20 ms have passed within one.
    CHECK(taut::value(taut::L1{1}, view) == 50e6);
    if (asked > 0) CHECK(asking_thread == std::this_thread::get_id());
  }
}

TEST_CASE("a check ends with its scope, and the outer one is asked again") {
  LongCall call;
  const UsedThreads used(1);
  {
    const taut::StopCheck outer(stop);
    {
      const taut::StopCheck inner(go_on);
    }
    CHECK_THROWS_AS(call.value(), taut::Stopped);
  }
  const std::vector<float> x(1'000'000, 1.0f);
  CHECK(taut::value(taut::L1{1}, taut::ConstView(x.data(), x.size())) == 1e6);
}

TEST_CASE("a batch of very many terms is stopped") {
  const std::vector<float> x(300'000, 1.0f);
  std::vector<taut::Term> terms;
  terms.reserve(x.size());
  for (const float& number : x) terms.push_back({taut::L2{}, taut::ConstView(&number, 1)});
  const taut::StopCheck check(stop);
  CHECK_THROWS_AS(taut::value(terms), taut::Stopped);
}

// When the check was asked last, and the longest time in which it was not.
std::chrono::steady_clock::time_point last_asked;
std::chrono::steady_clock::duration longest_silence;

bool note_silence() {
  const auto now = std::chrono::steady_clock::now();
  longest_silence = std::max(longest_silence, now - last_asked);
  last_asked = now;
  return false;
}

// Their squares leave the range of float64, so that the calling thread adds them up once more,
// which takes most of the time.
TEST_CASE("a check is asked while numbers are added up that left the range") {
  const double tiny = 1e-300;
  constexpr std::ptrdiff_t kShape[] = {1 << 13, 1 << 14};
  constexpr std::ptrdiff_t kStrides[] = {0, 0};
  const taut::ConstView x(&tiny, taut::DType::kFloat64, kShape, kStrides);
  const UsedThreads used(1);
  for (const taut::Regularizer& regularizer :
       {taut::Regularizer(taut::L2{}), taut::Regularizer(taut::GroupLasso{})}) {
    const auto begin = std::chrono::steady_clock::now();
    last_asked = begin;
    longest_silence = {};
    {
      const taut::StopCheck check(note_silence);
      taut::value(regularizer, x);
    }
    note_silence();
    CHECK(longest_silence < (last_asked - begin) / 3);
  }
}

TEST_CASE("a share of more pairs than can be counted is stopped") {
  const float number = 1;
  constexpr std::ptrdiff_t kShape[] = {std::ptrdiff_t{1} << 40, 2};
  constexpr std::ptrdiff_t kStrides[] = {0, 0};
  const taut::ConstView x(&number, taut::DType::kFloat32, kShape, kStrides);
  const UsedThreads used(1);
  const taut::StopCheck check(stop);
  CHECK_THROWS_AS(taut::value(taut::OrthogonalRegularizer{}, x, taut::PairShare{0, 1}),
                  taut::Stopped);
}

TEST_CASE("a check concerns the thread that it was made on") {
  const taut::StopCheck check(stop);
  double value = 0;
  std::thread([&value] {
    const std::vector<float> x(20'000'000, 1.0f);
    value = taut::value(taut::L1{1}, taut::ConstView(x.data(), x.size()));
  }).join();
  CHECK(value == 20e6);
}

TEST_CASE("a call that was stopped leaves nothing behind") {
  LongCall call;
  {
    const taut::StopCheck check(stop);
    CHECK_THROWS_AS(call.value(), taut::Stopped);
  }
  const std::vector<double> x{1, -2, 3};
  CHECK(taut::value(taut::L1{1}, taut::ConstView(x.data(), x.size())) == 6);
}

}  // namespace
}  // namespace taut_test
