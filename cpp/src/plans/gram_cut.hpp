// How the work of the orthogonal penalty is cut: the ways that there are to do it, and the phases,
// strips of rows, and parts of the coordinates of each.

#ifndef TAUT_PLANS_GRAM_CUT_HPP_
#define TAUT_PLANS_GRAM_CUT_HPP_

#include <algorithm>
#include <cstddef>

#include "kernels/kernels.hpp"
#include "plans/strip.hpp"
#include "run/arena.hpp"

namespace taut {

constexpr std::size_t kGramStrip = 12 * kGramTile;
static_assert(kGramTile % kGramSignBlock == 0);

// Where memory is short, what signs are multiplied with is copied in so many parts.
constexpr std::size_t kPanelParts = 8;

// The bits are the same. A value without a gradient has strips, or is a stream.
enum class GramWay {
  kStrips,      // the signs of a strip are multiplied, and forgotten
  kParts,       // likewise, but what they are multiplied with has a part of the coordinates
  kAllSigns,    // are kept, and then multiplied window by window
  kStripSigns,  // likewise those of a strip's rows towards all; most are computed twice
  kStream,      // of a few long vectors: they are copied window by window, more than once
};

enum class GramStep {
  kPack,
  kTiles,
  kCopyPart,
  kSigns,
  kFinish,
  kWindows,
  kStreamTile,
  kStreamFinish
};

struct GramCut {
  struct Place {
    GramStep step;
    std::size_t strip;
    std::size_t part;  // of the panels
  };

  std::size_t vectors;  // of the square
  std::size_t length;
  std::size_t tile;  // vectors along each side of one
  bool has_gradient;
  GramWay way = GramWay::kStrips;
  std::size_t height = kGramStrip;  // of a strip

  std::size_t strips() const { return divide_up(vectors, height); }
  Strip strip(std::size_t index) const {
    const std::size_t begin = index * height;
    return {begin, std::min(vectors, begin + height), vectors, tile};
  }

  std::size_t coordinates_of_part() const {
    const std::size_t parts = way == GramWay::kParts ? kPanelParts : 1;
    return round_up(divide_up(length, parts), kGramCoordinates);
  }
  std::size_t parts() const { return divide_up(length, coordinates_of_part()); }
  std::size_t length_of_part(std::size_t part) const {
    return std::min(coordinates_of_part(), length - part * coordinates_of_part());
  }

  // Packing, then tiles and signs of each strip, then finishing; without a gradient, packing and
  // the tiles of each strip; and then the windows, where all signs are kept, or after each strip
  // its windows. Where panels are in parts, each is copied before its signs are multiplied, and
  // before it is finished. A stream has one piece for all before the signs, and one for the rest.
  std::size_t count_phases() const {
    if (way == GramWay::kStream) return has_gradient ? 2 : 1;
    if (way == GramWay::kAllSigns) return 2 + strips();
    if (way == GramWay::kStripSigns) return 1 + 2 * strips();
    if (!has_gradient) return 1 + strips();
    return 1 + strips() * (1 + steps_of_parts()) + steps_of_parts();
  }
  Place place_of(std::size_t phase) const {
    if (way == GramWay::kStream) {
      return {phase == 0 ? GramStep::kStreamTile : GramStep::kStreamFinish, 0, 0};
    }
    if (phase == 0) return {GramStep::kPack, 0, 0};
    if (way == GramWay::kStripSigns) {
      return {phase % 2 == 1 ? GramStep::kTiles : GramStep::kWindows, (phase - 1) / 2, 0};
    }
    if (way == GramWay::kAllSigns && phase > strips()) return {GramStep::kWindows, 0, 0};
    if (way == GramWay::kAllSigns || !has_gradient) return {GramStep::kTiles, phase - 1, 0};
    const std::size_t strip = (phase - 1) / (1 + steps_of_parts());
    if (strip == strips()) {
      return place_of_part(GramStep::kFinish, 0, phase - 1 - strips() * (1 + steps_of_parts()));
    }
    const std::size_t step = (phase - 1) % (1 + steps_of_parts());
    if (step == 0) return {GramStep::kTiles, strip, 0};
    return place_of_part(GramStep::kSigns, strip, step - 1);
  }

 private:
  std::size_t steps_of_parts() const { return parts() > 1 ? 2 * parts() : 1; }
  Place place_of_part(GramStep step, std::size_t strip, std::size_t index) const {
    if (parts() == 1) return {step, strip, 0};
    return {index % 2 == 0 ? GramStep::kCopyPart : step, strip, index / 2};
  }
};

}  // namespace taut

#endif  // TAUT_PLANS_GRAM_CUT_HPP_
