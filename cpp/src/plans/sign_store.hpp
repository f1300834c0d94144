// The memory of the signs of a strip of the Gram matrix.

#ifndef TAUT_PLANS_SIGN_STORE_HPP_
#define TAUT_PLANS_SIGN_STORE_HPP_

#include <cstddef>
#include <cstdint>

#include "kernels/kernels.hpp"
#include "plans/strip.hpp"
#include "run/arena.hpp"

namespace taut {

// In one direction: of some targets towards some others. See GramSigns.
struct SignStore {
  std::uint64_t* positive = nullptr;
  std::uint64_t* negative = nullptr;  // touched only where there are zeros
  std::uint8_t* has_zero = nullptr;
  void* own = nullptr;
  std::size_t own_group = 0;  // 0: no target is among the others
  double* cosines = nullptr;
  std::size_t tile = 0;

  void place(Block& block, std::size_t targets, std::size_t others) {
    if (own_group < others) {
      const std::size_t words = checked_product(targets, divide_up(others, kGramSignBlock));
      positive = block.take<std::uint64_t>(words);
      negative = block.take<std::uint64_t>(words);
      has_zero = block.take<std::uint8_t>(words);
    }
    cosines = block.take<double>(checked_product(targets, divide_up(others, tile)));
  }
  void place_own(Block& block, std::size_t targets, std::size_t compute_size) {
    const std::size_t numbers =
        checked_product(round_up(targets, kGramSignGroup), own_group + kGramSurplus);
    own = block.take<std::byte>(checked_product(numbers, compute_size));
  }
  GramSigns signs(std::size_t targets, std::size_t target_base, std::size_t other_base) const {
    return {positive, negative, has_zero, own,         own_group,
            cosines,  tile,     targets,  target_base, other_base};
  }
};

}  // namespace taut

#endif  // TAUT_PLANS_SIGN_STORE_HPP_
