#include <algorithm>
#include <cmath>
#include <limits>

#include "cases.hpp"
#include "setting.hpp"
#include "term.hpp"

namespace taut_test {
namespace {

using taut::Mode;
using taut::OrthogonalRegularizer;
using taut::VectorRange;

OrthogonalRegularizer read_orthogonal(Reader& reader) {
  const double factor = read_factor(reader);
  const Mode mode = reader.flag() ? Mode::kColumns : Mode::kRows;
  return {factor, mode, reader.rarely(3)};
}

bool is_allowed(const OrthogonalRegularizer& regularizer, const Array& x) {
  const std::size_t rank = x.shape.size();
  return std::isfinite(regularizer.factor) && regularizer.factor >= 0 &&
         (rank == 2 || (regularizer.flatten && rank > 2));
}

std::size_t vectors_of(const Array& x, Mode mode) {
  if (x.shape.empty()) return 0;
  return static_cast<std::size_t>(mode == Mode::kRows ? x.shape.front() : x.shape.back());
}

Shape shape_of_slice(const Array& x, Mode mode, std::size_t vectors) {
  Shape shape = x.shape;
  if (shape.empty()) return shape;
  (mode == Mode::kRows ? shape.front() : shape.back()) = static_cast<std::ptrdiff_t>(vectors);
  return shape;
}

VectorRange read_allowed_range(Reader& reader, std::size_t vectors) {
  const std::size_t begin = reader.below(vectors + 1);
  return {begin, vectors - reader.below(vectors - begin + 1)};
}

VectorRange read_range(Reader& reader, std::size_t vectors) {
  constexpr std::size_t kMost = std::numeric_limits<std::size_t>::max();
  if (reader.rarely(16)) return {reader.flag() ? kMost : vectors + 1, reader.flag() ? kMost : 0};
  return read_allowed_range(reader, vectors);
}

std::string range_text(VectorRange range) {
  return "taut::VectorRange{" + std::to_string(range.begin) + "U, " + std::to_string(range.end) +
         "U}";
}

// What cases of a part of a matrix's vectors have in common.
struct PartCase {
  std::vector<Block> blocks;
  OrthogonalRegularizer regularizer;
  Array x;
  Array gradient;  // of the range
  VectorRange range;
  Setting setting;
};

// Reads all but the gradient and the range, and returns the dtype.
taut::DType read_matrix(Reader& reader, PartCase& read) {
  read.setting = read_setting(reader);
  read.regularizer = read_orthogonal(reader);
  const taut::DType dtype = read_dtype(reader);
  read.x = read_array(reader, dtype, read_shape(reader, false), read.blocks);
  return dtype;
}

std::string statements_of_arrays(const PartCase& of) {
  std::string text;
  for (std::size_t i = 0; i < of.blocks.size(); ++i) text += text_of(of.blocks[i], i);
  return text + of.x.text("x") + of.gradient.text("gradient") + of.setting.text();
}

struct RangeCase : PartCase {
  bool accumulates;
  double scale;
};

struct Outcome {
  bool is_refused = false;
  double value = 0;
  double own_value = 0;  // of the function that writes nothing
  std::vector<Bytes> contents;
};

RangeCase read_range_case(Reader& reader) {
  RangeCase read{};
  const taut::DType dtype = read_matrix(reader, read);
  const std::size_t vectors = vectors_of(read.x, read.regularizer.mode);
  read.range = read_range(reader, vectors);
  const bool is_a_range = read.range.begin <= read.range.end && read.range.end <= vectors;
  const std::size_t count = is_a_range ? read.range.end - read.range.begin : 1;
  const Shape shape = reader.rarely(16) ? read_shape(reader, false)
                                        : shape_of_slice(read.x, read.regularizer.mode, count);
  const taut::DType wide = taut::DType::kFloat32;
  read.gradient = read_array(reader, reader.rarely(3) ? wide : dtype, shape, read.blocks);
  read.accumulates = reader.flag();
  read.scale = reader.flag() ? -read_factor(reader) : 1;
  return read;
}

std::string statements_of(const RangeCase& of) {
  return statements_of_arrays(of) +
         "  taut::" + (of.accumulates ? "accumulate_grad" : "value_and_grad") + "(" +
         text_of(taut::Regularizer(of.regularizer)) + ", x, " + range_text(of.range) +
         ", gradient, " + text_of(of.scale) + ");\n";
}

Outcome run(const RangeCase& of, const Setting& setting) {
  setting.apply();
  const Memory memory(of.blocks);
  const taut::View x = of.x.view(memory);
  const taut::View gradient = of.gradient.view(memory);
  Outcome outcome;
  try {
    outcome.own_value = taut::value(of.regularizer, x, of.range);
    outcome.value = of.accumulates
                        ? taut::accumulate_grad(of.regularizer, x, of.range, gradient, of.scale)
                        : taut::value_and_grad(of.regularizer, x, of.range, gradient, of.scale);
  } catch (const taut::InvalidArgument&) {
    outcome.is_refused = true;
  }
  outcome.contents = memory.contents();
  return outcome;
}

void check(const RangeCase& of) {
  const std::size_t vectors = vectors_of(of.x, of.regularizer.mode);
  const bool is_a_range = of.range.begin <= of.range.end && of.range.end <= vectors;
  const bool allowed =
      is_allowed(of.regularizer, of.x) && is_a_range &&
      fits(of.gradient, of.x.dtype,
           shape_of_slice(of.x, of.regularizer.mode, of.range.end - of.range.begin)) &&
      !overlaps_itself(of.gradient) && !overlap(of.gradient, of.x);
  const Outcome outcome = run(of, of.setting);
  require(outcome.is_refused != allowed, allowed ? "it is allowed" : "it is refused");
  std::vector<Bytes> before;
  for (const Block& block : of.blocks) before.push_back(block.bytes());
  std::vector<Bytes> contents = outcome.contents;
  if (allowed) {
    for (const auto& [block, place] : of.gradient.bytes()) {
      contents[block][static_cast<std::size_t>(place)] =
          before[block][static_cast<std::size_t>(place)];
    }
  }
  require(contents == before, "nothing else is written");
  if (!allowed) return;
  require(same_bits(outcome.value, outcome.own_value), "both values have the same bits");
  const std::vector<double> computed = of.gradient.numbers(outcome.contents);
  for (const Setting& setting : settings_beside(of.setting, false)) {
    const Outcome other = run(of, setting);
    require(same_bits(outcome.value, other.value) &&
                same_bits(computed, of.gradient.numbers(other.contents)),
            "the bits " + setting.name());
  }
  const auto start = of.gradient.numbers(before);
  const bool is_finite =
      std::all_of(start.begin(), start.end(), [](double number) { return std::isfinite(number); });
  const Term whole{of.regularizer, of.x, {}, {}, {}};
  if (!expected(whole, before) || !is_ordinary(of.scale)) return;
  if (of.x.size() == 0) return;
  const std::size_t length = of.x.size() / vectors;
  const bool by_rows = of.regularizer.mode == Mode::kRows;
  const Reference part = GramReference(of.x.numbers(before), by_rows ? vectors : length,
                                       by_rows ? length : vectors, of.regularizer.mode, of.x.dtype)
                             .part(of.range);
  const Real factor = of.regularizer.factor;
  require(is_close(outcome.value, factor * part.value,
                   factor * part.value_tolerance + 2 * kRoundoff64 * std::abs(factor * part.value) +
                       kSmallest64,
                   kFormat<double>),
          "the value is the part's");
  if (of.accumulates && !is_finite) return;
  const std::string error =
      error_of(part, of.scale * factor, of.accumulates ? start : std::vector<double>{}, computed,
               of.gradient.dtype);
  require(error.empty(), "of the gradient, " + error);
}

struct SharesCase : PartCase {
  std::size_t count;
  std::size_t stranger;  // a share that is none of them, or 0
  std::size_t gap;       // words between the shares' rows
  std::size_t flips;     // bits that are wrong in what was received
};

SharesCase read_shares_case(Reader& reader) {
  SharesCase read{};
  const taut::DType dtype = read_matrix(reader, read);
  read.range = read_allowed_range(reader, vectors_of(read.x, read.regularizer.mode));
  const Shape shape =
      shape_of_slice(read.x, read.regularizer.mode, read.range.end - read.range.begin);
  read.gradient = read_array(reader, dtype, shape, read.blocks);
  read.count = reader.below(6);
  read.stranger = reader.rarely(8) ? read.count + reader.below(3) : 0;
  read.gap = reader.below(4);
  read.flips = reader.rarely(4) ? reader.below(64) : 0;
  return read;
}

std::string statements_of(const SharesCase& of) {
  return statements_of_arrays(of) +
         "  const auto regularizer = " + text_of(taut::Regularizer(of.regularizer)) + ";\n  // " +
         std::to_string(of.count) + " shares, " + range_text(of.range) +
         ", as in check_shares of " + "test_pair_share.cpp; " + std::to_string(of.flips) +
         " bits flipped\n";
}

using Words = std::vector<std::uint64_t>;

// What all shares say of a range, by one allocation of its very size.
struct Received {
  Words words;
  std::size_t stride;
  std::vector<double> measures;
  double value = 0;
};

Received share_out(const SharesCase& of, const taut::View& x) {
  const std::size_t vectors = vectors_of(of.x, of.regularizer.mode);
  const std::size_t row = taut::pair_words(vectors, of.count, of.x.dtype);
  const std::size_t rows = of.range.end - of.range.begin;
  Received received{{}, rows * row + of.gap, std::vector<double>(vectors * taut::kPairMeasures), 0};
  for (std::size_t index = 0; index < of.count; ++index) {
    Words words(vectors * row, ~std::uint64_t{0});
    const taut::PairShare share{index, of.count};
    const double value = taut::value_and_signs(
        of.regularizer, x, share,
        {reinterpret_cast<std::byte*>(words.data()), received.measures.data()});
    require(same_bits(value, taut::value(of.regularizer, x, share)), "a share's two values");
    received.value += value;
    const auto begin = words.begin() + static_cast<std::ptrdiff_t>(of.range.begin * row);
    received.words.insert(received.words.end(), begin,
                          begin + static_cast<std::ptrdiff_t>(rows * row));
    if (index + 1 < of.count) received.words.resize(received.words.size() + of.gap);
  }
  return received;
}

void check(const SharesCase& of) {
  of.setting.apply();
  const Memory memory(of.blocks);
  const taut::View x = of.x.view(memory);
  const taut::View gradient = of.gradient.view(memory);
  const bool may_be_written = !overlaps_itself(of.gradient) && !overlap(of.gradient, of.x);
  const bool allowed = is_allowed(of.regularizer, of.x) && of.count > 0;
  if (!allowed || of.stranger > 0) {
    try {
      taut::value(of.regularizer, x, taut::PairShare{of.stranger, of.count});
      require(false, "a share that there is not is refused");
    } catch (const taut::InvalidArgument&) {
    }
    if (!allowed) return;
  }
  Received received = share_out(of, x);
  const std::size_t bits = received.words.size() * 64;
  for (std::size_t i = 0; i < of.flips && bits > 0; ++i) {
    const std::size_t bit = (i * 2654435761U) % bits;
    received.words[bit / 64] ^= std::uint64_t{1} << bit % 64;
  }
  const taut::ReceivedSigns signs{reinterpret_cast<const std::byte*>(received.words.data()),
                                  received.stride, of.count, received.measures.data()};
  try {
    taut::grad_from_signs(of.regularizer, x, of.range, signs, gradient);
    require(may_be_written, "a gradient that overlaps is refused");
  } catch (const taut::InvalidArgument&) {
    require(!may_be_written, "a gradient that overlaps nothing is taken");
    return;
  }
  if (of.flips > 0) return;  // what comes of wrong signs is no matter, but for what is read
  const std::vector<double> computed = of.gradient.numbers(memory.contents());
  const Memory other(of.blocks);
  const double whole = taut::value(of.regularizer, of.x.view(other));
  require(std::isfinite(whole) ? std::abs(received.value - whole) <= 1e-12 * whole + 1e-300
                               : !std::isfinite(received.value),
          "the shares' values add up");
  // Against a whole gradient in memory of its own.
  Array all{of.x.dtype, of.x.shape, Shape(of.x.shape.size()), 0, 0};
  auto stride = static_cast<std::ptrdiff_t>(taut::size_of(all.dtype));
  for (std::size_t axis = all.shape.size(); axis-- > 0; stride *= all.shape[axis]) {
    all.strides[axis] = stride;
  }
  const Memory room({Block{all.dtype, {}, all.size() * taut::size_of(all.dtype)}});
  taut::value_and_grad(of.regularizer, of.x.view(other), all.view(room));
  Array slice = all;
  const std::size_t axis = of.regularizer.mode == Mode::kRows ? 0 : all.shape.size() - 1;
  slice.shape[axis] = static_cast<std::ptrdiff_t>(of.range.end - of.range.begin);
  slice.offset = static_cast<std::ptrdiff_t>(of.range.begin) * all.strides[axis];
  require(same_bits(computed, slice.numbers(room.contents())),
          "the gradient from signs has the whole penalty's bits");
}

}  // namespace

void run_range(Reader& reader, const Tell& tell) {
  const RangeCase read = read_range_case(reader);
  tell(statements_of(read));
  check(read);
}

void run_shares(Reader& reader, const Tell& tell) {
  const SharesCase read = read_shares_case(reader);
  tell(statements_of(read));
  check(read);
}

}  // namespace taut_test
