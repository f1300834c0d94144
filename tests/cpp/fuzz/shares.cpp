#include <cmath>

#include "cases.hpp"
#include "part_case.hpp"
#include "term.hpp"

namespace taut_test {
namespace {

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
         std::to_string(of.count) + " shares, " + text_of(of.range) + ", as in check_shares of " +
         "test_pair_share.cpp; " + std::to_string(of.flips) + " bits flipped\n";
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
  const std::size_t axis = of.regularizer.mode == taut::Mode::kRows ? 0 : all.shape.size() - 1;
  slice.shape[axis] = static_cast<std::ptrdiff_t>(of.range.end - of.range.begin);
  slice.offset = static_cast<std::ptrdiff_t>(of.range.begin) * all.strides[axis];
  require(same_bits(computed, slice.numbers(room.contents())),
          "the gradient from signs has the whole penalty's bits");
}

}  // namespace

void run_shares(Reader& reader, const Tell& tell) {
  const SharesCase read = read_shares_case(reader);
  tell(statements_of(read));
  check(read);
}

}  // namespace taut_test
