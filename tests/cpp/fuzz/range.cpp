#include <algorithm>
#include <cmath>
#include <limits>

#include "cases.hpp"
#include "expected.hpp"
#include "part_case.hpp"

namespace taut_test {
namespace {

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

taut::VectorRange read_range(Reader& reader, std::size_t vectors) {
  constexpr std::size_t kMost = std::numeric_limits<std::size_t>::max();
  if (reader.rarely(16)) return {reader.flag() ? kMost : vectors + 1, reader.flag() ? kMost : 0};
  return read_allowed_range(reader, vectors);
}

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
         text_of(taut::Regularizer(of.regularizer)) + ", x, " + text_of(of.range) + ", gradient, " +
         text_of(of.scale) + ");\n";
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
  const bool by_rows = of.regularizer.mode == taut::Mode::kRows;
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

}  // namespace

void run_range(Reader& reader, const Tell& tell) {
  const RangeCase read = read_range_case(reader);
  tell(statements_of(read));
  check(read);
}

}  // namespace taut_test
