// The memory that the orthogonal penalty is computed in, and which way it goes, so that this is
// bounded.

#include <algorithm>
#include <limits>

#include "plans/gram_plan.hpp"

namespace taut {
namespace {

// Of a strip, where memory is short: the first that is low enough.
constexpr std::size_t kStripHeights[] = {kGramStrip,     kGramStrip / 2, kGramStrip / 3,
                                         kGramStrip / 4, kGramStrip / 6, kGramTile};

}  // namespace

void GramPlan::place(Block& block) {
  const bool streams = cut_.way == GramWay::kStream;
  const std::size_t rows_of_first_strip = cut_.strip(0).end;
  place_vectors(matrix_, kernel_.compute_size, block);
  const std::size_t copied = streams ? kGramWindow : length_;
  matrix_.rows = block.take<std::byte>(checked_product(padded_, copied, kernel_.compute_size));
  matrix_.panels = nullptr;
  matrix_.gradients = nullptr;
  matrix_.projections = nullptr;
  if (wants_signs()) {
    const std::size_t rows = keeps_signs() ? own_ : rows_of_first_strip;
    row_store_.place(block, rows, own_);
    row_store_.place_own(block, rows, kernel_.compute_size);
  }
  if (!problem_.has_gradient() || has_windows()) return;
  const std::size_t coordinates = round_up(copied, kGramCoordinates);
  const std::size_t in_panels = cut_.parts() > 1 ? cut_.coordinates_of_part() : coordinates;
  matrix_.panels =
      block.take<std::byte>(checked_product(panel_vectors_, in_panels, kernel_.compute_size));
  matrix_.gradients = block.take<std::byte>(
      checked_product(matrix_.gradient_vectors, coordinates, kernel_.compute_size));
  matrix_.projections = block.take<double>(own_);
  column_store_.place(block, own_ - rows_of_first_strip, rows_of_first_strip);
  for (std::size_t i = 0; i < blocks_.others().size(); ++i) {
    other_stores_[i].place(block, rows_of_first_strip, blocks_.others()[i].size());
  }
}

std::size_t GramPlan::memory_of(GramWay way, std::size_t height) {
  cut_.way = way;
  cut_.height = height;
  Block counted;
  place(counted);
  return counted.used();
}

// Whether the copies of a few long vectors would be larger than kSmallCopies. A stream is work for
// one thread, as their tile is in either case. Longer than memory are vectors that a stride of 0
// repeats.
bool GramPlan::is_streamed() const {
  constexpr std::size_t kSmallCopies = std::size_t{16} << 20;
  const bool saves_all = memory_saving.load(std::memory_order_relaxed) == MemorySaving::kAll;
  const std::size_t most = saves_all ? 0 : kSmallCopies;
  const std::size_t bytes_of_coordinate = (padded_ + 2 * panel_vectors_) * kernel_.compute_size;
  return vectors_ <= kGramSmallTile && length_ > most / bytes_of_coordinate &&
         length_ < kMostMemory / bytes_of_coordinate;
}

// Of the ways to compute a gradient, chooses the quickest one that takes no more memory; if there
// is none, the one that takes the least. The ranges of larger matrices have one way alone.
void GramPlan::choose_way(std::size_t most) {
  constexpr std::size_t kMostVectors = std::size_t{1} << 24;  // whose pairs can be counted
  if (is_streamed()) {
    cut_.way = GramWay::kStream;
    return;
  }
  if (!problem_.has_gradient()) return;
  if (!blocks_.others().empty() || blocks_.is_part_of_first()) return;
  // Without counting, which a small matrix would notice: copies in float64, and signs.
  const auto vectors = static_cast<double>(own_ + kGramSmallTile);
  const auto length = static_cast<double>(length_ + kGramCoordinates);
  if (vectors * (3 * sizeof(double) * length + vectors) <= static_cast<double>(most)) return;
  if (memory_of(GramWay::kStrips, kGramStrip) <= most) return;
  const auto in_low_strips = [&](GramWay way) {
    std::size_t memory = memory_of(way, kGramStrip);
    for (const std::size_t height : kStripHeights) {
      if (memory > most && height <= own_) memory = memory_of(way, height);
    }
    return memory;
  };
  const MemorySaving saving = memory_saving.load(std::memory_order_relaxed);
  if (saving == MemorySaving::kParts || saving == MemorySaving::kStripSigns) {
    in_low_strips(saving == MemorySaving::kParts ? GramWay::kParts : GramWay::kStripSigns);
    return;
  }
  std::size_t of_all_signs = std::numeric_limits<std::size_t>::max();
  if (own_ <= kMostVectors) {
    of_all_signs = memory_of(GramWay::kAllSigns, kGramStrip);
    if (of_all_signs <= most) return;
  }
  const std::size_t of_parts = in_low_strips(GramWay::kParts);
  if (of_parts <= most) return;
  // Of shorter vectors, windows would take much of what is saved.
  const std::size_t least = std::min(of_parts, of_all_signs);
  if (length_ >= kGramWindow && in_low_strips(GramWay::kStripSigns) < least) return;
  if (of_parts <= of_all_signs) {
    in_low_strips(GramWay::kParts);
  } else {
    memory_of(GramWay::kAllSigns, kGramStrip);
  }
}

}  // namespace taut
