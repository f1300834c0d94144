// The memory that calls work in: kept from call to call, bounded, and given back.

#include <cstring>
#include <thread>
#include <vector>

#include "allocations.hpp"
#include "catch2.hpp"
#include "run/arena.hpp"

namespace taut_test {
namespace {

using taut::Arena;
using taut::ArenaLease;

constexpr std::size_t kMega = std::size_t{1} << 20;

TEST_CASE("what is taken is aligned, apart, and stays where it is") {
  Arena arena;
  std::vector<std::span<std::byte>> taken;
  for (const std::size_t size : {1u, 0u, 63u, 64u, 65u, 100'000u, 3'000'000u, 5u, 70'000u}) {
    taken.push_back(arena.take<std::byte>(size));
    CHECK(reinterpret_cast<std::uintptr_t>(taken.back().data()) % taut::kCacheLine == 0);
    std::memset(taken.back().data(), static_cast<int>(taken.size()), size);
  }
  for (std::size_t i = 0; i < taken.size(); ++i) {
    for (const std::byte byte : taken[i]) REQUIRE(byte == static_cast<std::byte>(i + 1));
  }
}

TEST_CASE("calls that take the same sizes allocate nothing from the second one on") {
  Arena arena;
  CHECK(allocations_when_repeated([&] {
          for (const std::size_t size : {10'000u, 100'000u, 20u, 3'000'000u, 500'000u}) {
            arena.take<std::byte>(size);
          }
          arena.rewind();
        }) == 0);
  const std::size_t size = arena.size();
  CHECK(size >= 3'630'020);
  CHECK(allocations_when_repeated([&] {  // also in turns with others that fit
          for (const std::size_t taken : {2'500'000u, 10'000u, 20u, 500'000u}) {
            arena.take<std::byte>(taken);
          }
          arena.rewind();
          for (const std::size_t taken : {10'000u, 100'000u, 20u, 3'000'000u, 500'000u}) {
            arena.take<std::byte>(taken);
          }
          arena.rewind();
        }) == 0);
  for (int i = 0; i < 100; ++i) {  // in any order, it stays within what the most asked for
    arena.take<std::byte>(i % 2 == 0 ? 500'000 : 3'000'000);
    arena.take<std::byte>(i % 3 == 0 ? 3'000'000 : 20);
    arena.rewind();
  }
  CHECK(arena.size() <= size + 2 * 3'100'000);
  arena.clear();
  CHECK(arena.size() == 0);
}

TEST_CASE("sizes that memory cannot have are out of memory, and leave the arena whole") {
  Arena arena;
  const std::size_t most = ~std::size_t{0};
  CHECK_THROWS_AS(arena.take<double>(most / 64), std::bad_alloc);
  for (const std::size_t count : {most, most / 2, most / 8, most / 16 + 1}) {
    CHECK_THROWS_AS(arena.take<double>(count), std::bad_alloc);
    CHECK_THROWS_AS(taut::Block().take<double>(count), std::bad_alloc);
  }
  CHECK_THROWS_AS(taut::checked_product(std::size_t{1} << 32, std::size_t{1} << 32),
                  std::bad_alloc);
  CHECK(taut::checked_product(0, most, most) == 0);
  CHECK_THROWS_AS(taut::checked_sum(most / 2, 1), std::bad_alloc);
  arena.take<double>(10)[9] = 1;
}

TEST_CASE("a block is counted, and then given out at the same places") {
  const auto take_all = [](taut::Block& block) {
    std::vector<void*> taken{block.take<char>(1), block.take<double>(9), block.take<char>(0),
                             block.take<float>(100)};
    return taken;
  };
  taut::Block counted;
  for (const void* nothing : take_all(counted)) CHECK(nothing == nullptr);
  std::vector<std::byte> memory(counted.used());
  taut::Block given(memory.data());
  const auto taken = take_all(given);
  CHECK(given.used() == counted.used());
  CHECK(taken.front() == memory.data());
  CHECK(static_cast<std::byte*>(taken.back()) + 100 * sizeof(float) <=
        memory.data() + memory.size());
}

std::byte* take_in_lease(std::size_t size) {
  const ArenaLease lease;
  return lease.arena().take<std::byte>(size).data();
}

TEST_CASE("a thread finds the memory of its last call, and another call at once has its own") {
  std::byte* memory = take_in_lease(kMega);
  CHECK(take_in_lease(kMega) == memory);
  const ArenaLease lease;
  CHECK(lease.arena().take<std::byte>(kMega).data() == memory);
  const ArenaLease nested;  // as in a signal's handler, during a call
  CHECK(&nested.arena() != &lease.arena());
}

TEST_CASE("a thread's memory is left to others when it ends") {
  taut::trim_arenas();
  std::byte* memory = nullptr;
  const ArenaLease own;
  std::thread([&] { memory = take_in_lease(kMega); }).join();
  std::byte* again = nullptr;
  std::thread([&] { again = take_in_lease(kMega); }).join();
  CHECK(again == memory);
}

std::size_t kept_by_latest() {
  const ArenaLease lease;
  return lease.arena().size();
}

TEST_CASE("what is kept is bounded for the whole process, and can be given back") {
  taut::trim_arenas();
  take_in_lease(taut::kMostKept / 2);
  CHECK(kept_by_latest() >= taut::kMostKept / 2);
  {
    const ArenaLease busy;  // so that the next ones are others
    take_in_lease(taut::kMostKept / 2);
    CHECK(kept_by_latest() == 0);  // both together would be more
    take_in_lease(taut::kMostKept / 4);
    CHECK(kept_by_latest() >= taut::kMostKept / 4);
  }
  take_in_lease(2 * taut::kMostKept);
  CHECK(kept_by_latest() == 0);
  take_in_lease(kMega);
  taut::trim_arenas();
  CHECK(kept_by_latest() == 0);
}

TEST_CASE("what has not been needed for some thousand calls is given back") {
  constexpr int kCalls = 3000;
  taut::trim_arenas();
  take_in_lease(4 * kMega);
  for (int i = 0; i < kCalls; ++i) take_in_lease(100);  // of the same thread
  CHECK(kept_by_latest() < kMega);
  take_in_lease(4 * kMega);
  for (int i = 0; i < kCalls; ++i) take_in_lease(i % 100 == 0 ? 4 * kMega : 100);
  CHECK(kept_by_latest() >= 4 * kMega);
  {
    const ArenaLease busy;
    take_in_lease(4 * kMega);  // in another arena, which is idle from here on
  }
  CHECK(taut::kept_memory() >= 8 * kMega);
  const ArenaLease busy;
  std::thread([] {
    for (int i = 0; i < kCalls; ++i) take_in_lease(100);
  }).join();
  CHECK(taut::kept_memory() < 5 * kMega);  // what the busy one has is not to be had
}

}  // namespace
}  // namespace taut_test
