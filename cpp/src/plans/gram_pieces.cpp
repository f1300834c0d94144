// How the phases of the orthogonal penalty are cut into pieces, and how long they take.

#include <algorithm>

#include "plans/gram_plan.hpp"

namespace taut {

Plan::Phase GramPlan::phase(std::size_t index) const {
  const auto [step, strip_index, part] = cut_.place_of(index);
  const Strip rows = cut_.strip(strip_index);
  const auto length = static_cast<double>(length_);
  const auto height = static_cast<double>(rows.end - rows.begin);
  const auto right = static_cast<double>(own_ - rows.begin);
  const auto others = static_cast<double>(vectors_ - own_);
  const bool has_strip_signs = cut_.way == GramWay::kStripSigns;
  const double above = has_strip_signs ? static_cast<double>(rows.begin) : 0;
  const double copies = static_cast<double>(vectors_) * length / kCopiesPerNanosecond;
  switch (step) {
    case GramStep::kPack: {
      std::size_t pieces = 0;
      for (const VectorBlock& block : blocks_.all()) pieces += groups(block);
      return {pieces, copies};
    }
    case GramStep::kTiles:
      return {tiles(rows) + (has_strip_signs ? rows.tiles_above() : 0),
              height * (right - height / 2 + others + above) * length / kMultiplyAddsPerNanosecond};
    case GramStep::kCopyPart:
      return {groups(blocks_.first()) - rows.begin / kernel_.register_columns,
              right * static_cast<double>(cut_.length_of_part(part)) / kCopiesPerNanosecond};
    case GramStep::kSigns:
      return {target_pieces(rows) * panel_pieces(part),
              height * (2 * right - height + others) *
                  static_cast<double>(cut_.length_of_part(part)) / kSignsPerNanosecond};
    case GramStep::kFinish:
      return {finish_pieces(), static_cast<double>(own_) *
                                   static_cast<double>(cut_.length_of_part(part)) /
                                   kCopiesPerNanosecond};
    case GramStep::kWindows:
      return {windows_.count() * window_pieces(),
              2 * copies + (has_strip_signs ? height : static_cast<double>(own_)) *
                               static_cast<double>(vectors_) * length / kSignsPerNanosecond};
    case GramStep::kStreamTile:
    case GramStep::kStreamFinish:
      return {1, copies + height * right / 2 * length / kMultiplyAddsPerNanosecond};
  }
  __builtin_unreachable();
}

// A piece is no smaller than the time that its taking costs.
std::size_t GramPlan::panels_per_piece() const {
  constexpr std::size_t kSigns = 32 * 1024;
  const std::size_t targets = std::min(own_, targets_per_piece());
  return std::max<std::size_t>(1, kSigns / (targets * std::min(vectors_, kSigns)));
}

// Of a window: no piece takes long. A window is copied for each.
std::size_t GramPlan::targets_of_window() const {
  constexpr std::size_t kSigns = std::size_t{1} << 28;
  return round_up(std::max(kGramStrip, kSigns / own_), kGramStrip);
}

std::size_t GramPlan::window_pieces() const {
  return divide_up(keeps_signs() ? own_ : cut_.height, targets_of_window());
}

}  // namespace taut
