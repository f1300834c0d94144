// Prints how long each piece of an orthogonal penalty with its gradient takes, one after the other:
//
//     pieces ROWS COLUMNS
//
// A line is a phase and its pieces' nanoseconds. They are the pieces that the executor hands out.

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "api/problems.hpp"
#include "run/call.hpp"
#include "taut/taut.hpp"

namespace {

constexpr int kRounds = 7;

// Numbers of both signs, without a library's generator.
std::vector<float> random_numbers(std::size_t count) {
  std::vector<float> numbers(count);
  std::uint32_t state = 1;
  for (float& number : numbers) {
    state = state * 1664525u + 1013904223u;
    number = static_cast<float>(state >> 8) / (1 << 23) - 1;
  }
  return numbers;
}

void print_pieces(std::size_t rows, std::size_t columns) {
  const std::vector<float> numbers = random_numbers(rows * columns);
  std::vector<float> slopes(numbers.size());
  const auto x = taut::ConstView::matrix(numbers, rows, columns);
  const auto gradient = taut::View::matrix(slopes, rows, columns);
  const taut::Regularizer regularizer = taut::OrthogonalRegularizer{};

  std::vector<std::vector<double>> phases;  // the least of each piece's times
  for (int round = 0; round < kRounds; ++round) {
    const taut::Call call(nullptr);
    const taut::Problem problem =
        taut::make_problem(taut::Task::kAccumulate, 1, x, &gradient, {}, call);
    taut::Plan& plan = taut::plan_of(regularizer, problem, call);
    taut::Block block(call.arena().take<std::byte>(plan.needs().memory).data());
    plan.place(block);
    std::byte* scratch = call.arena().take<std::byte>(plan.needs().scratch).data();
    phases.resize(plan.needs().phases);
    for (std::size_t phase = 0; phase < phases.size(); ++phase) {
      phases[phase].resize(plan.phase(phase).pieces, 1e300);
      for (std::size_t piece = 0; piece < phases[phase].size(); ++piece) {
        const auto begin = std::chrono::steady_clock::now();
        plan.run(phase, piece, scratch);
        const std::chrono::duration<double, std::nano> taken =
            std::chrono::steady_clock::now() - begin;
        phases[phase][piece] = std::min(phases[phase][piece], taken.count());
      }
    }
  }
  for (std::size_t phase = 0; phase < phases.size(); ++phase) {
    std::printf("%zu", phase);
    for (const double nanoseconds : phases[phase]) std::printf(" %.0f", nanoseconds);
    std::printf("\n");
  }
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) {
    std::fprintf(stderr, "usage: pieces ROWS COLUMNS\n");
    return 1;
  }
  print_pieces(std::strtoul(arguments[1], nullptr, 10), std::strtoul(arguments[2], nullptr, 10));
  return 0;
}
