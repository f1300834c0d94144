// What one instruction-set level offers to the rest of the core: a table of functions per dtype.
//
// The functions are plain: contiguous memory in, numbers out, no allocation, no exception, no
// thread. They expect the default floating-point environment (see float_environment.hpp).

#ifndef TAUT_KERNELS_KERNELS_HPP_
#define TAUT_KERNELS_KERNELS_HPP_

#include <cstddef>
#include <cstdint>

#include "taut/dtype.hpp"

namespace taut {

// ---- elementwise ---------------------------------------------------------------------------

// Elements that are summed in kElementwiseLanes lanes before the lanes are added; also the unit in
// which arrays that are not contiguous are gathered.
constexpr std::size_t kElementwiseBlock = 2048;

constexpr std::size_t kElementwiseLanes = 32;

// Where the elements of a pass lie: in rows, each without gaps. A row has whole lanes, so that an
// element's lane does not depend on it; only where there is but one, its end may be anywhere.
struct ElementwiseRows {
  std::size_t first;            // elements that are left of the first row
  std::size_t length;           // elements of each other one
  std::ptrdiff_t x_gap;         // bytes from behind a row to the next one
  std::ptrdiff_t gradient_gap;  // likewise
};
constexpr ElementwiseRows kOneRow{~std::size_t{0}, ~std::size_t{0}, 0, 0};

// Which sums a call wants; a term that is not wanted costs nothing and hides no NaN.
enum Terms : unsigned { kAbsolute = 1, kSquare = 2, kBoth = 3 };
constexpr std::size_t kTermSets = 3;  // Terms - 1 is an index

struct ElementwiseSums {
  double absolute;  // sum of |x|
  double square;    // sum of x * x
};

// The gradient of the scaled penalty: sign(x) * `sign` + x * `linear`.
struct ElementwiseSlopes {
  double sign;
  double linear;
};

using SumFunction = ElementwiseSums (*)(const void* x, std::size_t count,
                                        const ElementwiseRows& rows);

// gradient += slopes (or = slopes), in float64 with one rounding; returns the sums of the same
// pass.
using SlopeFunction = ElementwiseSums (*)(const void* x, void* gradient, std::size_t count,
                                          ElementwiseSlopes slopes, const ElementwiseRows& rows);

// What the proximal step does to x: moved towards 0 by `threshold`, or to 0, then times `factor`.
struct ElementwiseShrinkage {
  double threshold;
  double factor;
};

using ShrinkFunction = void (*)(void* x, std::size_t count, ElementwiseShrinkage shrinkage);

// Towards a reference: d = x - reference in place of x, and each element times its importance. Such
// a pass reads all of its arrays as the dtype that is wide enough for each of them: float64 for
// float64, else float32.

// An array beside x. One that is not there is a constant, of kElementwiseLanes equal numbers, which
// stands still.
struct ElementwiseSide {
  const void* data;
  bool is_constant;
  std::ptrdiff_t gap;  // bytes from behind a row to the next one
};
struct ElementwiseSides {
  ElementwiseSide reference;
  ElementwiseSide importance;
};

// The sums of importance * |d| and importance * d * d.
using TowardsSumFunction = ElementwiseSums (*)(const void* x, const ElementwiseSides& sides,
                                               std::size_t count, const ElementwiseRows& rows);

// gradient += importance * slopes of d, or = those, in float64 with one rounding.
using TowardsSlopeFunction = ElementwiseSums (*)(const void* x, const ElementwiseSides& sides,
                                                 void* gradient, bool accumulates,
                                                 std::size_t count, ElementwiseSlopes slopes,
                                                 const ElementwiseRows& rows);

// What the proximal step does to x: moved towards its reference by importance * `threshold`, or to
// it; what is left is divided by 1 + importance * `growth`.
struct ElementwiseAttraction {
  double threshold;
  double growth;
};

// The same memory, or apart: `x` in the wide dtype, and what is written.
using AttractFunction = void (*)(const void* x, const ElementwiseSides& sides, void* to,
                                 std::size_t count, ElementwiseAttraction attraction,
                                 const ElementwiseRows& rows);

// `count` numbers, exactly, in the next wider dtype: float64 of float32, float32 of a half type.
using WidenFunction = void (*)(const void* from, void* to, std::size_t count);

// What is written has the dtype that the kernel is of.
struct TowardsKernel {
  TowardsSumFunction sum[kTermSets];  // writes nothing, and is there for the wide dtypes alone
  TowardsSlopeFunction write[kTermSets];
  AttractFunction attract;
  WidenFunction widen;  // null for float64
};

struct ElementwiseKernel {
  SumFunction sum[kTermSets];
  // The gradient has x's own dtype, or float32 where x is a half type.
  SlopeFunction accumulate[kTermSets];
  SlopeFunction assign[kTermSets];
  SlopeFunction accumulate_float32[kTermSets];
  SlopeFunction assign_float32[kTermSets];
  ShrinkFunction shrink;
  TowardsKernel towards;
};

// ---- gram ----------------------------------------------------------------------------------

// The Gram matrix is walked in square tiles of its upper triangle. All sizes below are the same at
// every level and divide one another, so that every level adds up in the same order.
constexpr std::size_t kGramTile = 192;        // vectors along each side of a tile, at most
constexpr std::size_t kGramSmallTile = 48;    // divides the sides of all tiles
constexpr std::size_t kGramDepthBlock = 128;  // coordinates per partial dot product
constexpr std::size_t kGramSignGroup = 6;     // vectors per look-up table
constexpr std::uint8_t kGramOwnGroup = 64;    // the code of no sign at all
constexpr std::size_t kGramSignBlock = 48;    // vectors per block of the sign product: 8 groups
constexpr std::size_t kGramCoordinates = 16;  // the copies have a whole number of these
constexpr std::size_t kGramSurplus = 2;       // see GramSigns::own; what is there is not read
constexpr std::size_t kGramWeights = 24;      // see GramMatrix::weights
constexpr std::size_t kGramWindow = 512;      // coordinates that are copied at once of a stream

// A matrix of `vectors` vectors with `length` coordinates, anywhere in memory.
struct GramSource {
  const void* data;
  std::ptrdiff_t vector_stride;      // bytes from one vector to the next
  std::ptrdiff_t coordinate_stride;  // bytes from one coordinate to the next
  std::size_t first = 0;             // the vector that stands at `data`
};

struct GramTarget {
  void* data;
  std::ptrdiff_t vector_stride;
  std::ptrdiff_t coordinate_stride;
  bool float32;           // the gradient of a half type is float32
  bool accumulate;        // add to what is there, or overwrite it
  std::size_t first = 0;  // the vector whose gradient stands at `data`
};

// The copies that the kernel works on. Compute is double for float64, else float. Arrays of vectors
// have zeros at their ends.
struct GramMatrix {
  std::size_t vectors;
  std::size_t length;
  std::size_t padded_vectors;  // a whole number of `vector_multiple`
  std::size_t panel_vectors;   // a whole number of kGramSignGroup
  GramSource source;           // what the copies are of; for a tile, that of its rows
  GramSource column_source;    // for a tile, that of its columns
  // Per vector x with x̂ = x / max(|x|, 1e-7), where `rows` holds x times a power of two:
  double* weights;      // x̂ = weight * rows; a whole number of kGramWeights of them
  void* unit_weights;   // the same in Compute; as many as panel_vectors
  double* reciprocals;  // 1 / max(|x|, 1e-7)
  bool* clamped;        // whether |x| < 1e-7
  double* factors;      // those powers of two
  double* smallest;     // the smallest nonzero magnitude in `rows`; 0 where a number is subnormal
  // Groups of register_columns vectors, of which the last may be narrower:
  void* rows;  // Compute[coordinate][vector] of each
  // For a gradient, else null; in panels of some coordinates, with zeros up to kGramCoordinates:
  void* panels;     // as `rows`: Compute[coordinate / panel][vector][coordinate % panel]
  void* gradients;  // Σⱼ sign(i, j) x̂ⱼ, as `panels`, of some vectors
  std::size_t first_gradient;
  std::size_t gradient_vectors;
  double* projections;  // of the above on x̂ᵢ, unless that is clamped: Σⱼ |<x̂ᵢ,x̂ⱼ>|
};

// The signs of some targets towards some others. For a target and a block of others there is a word
// of eight bytes, one per group of six: bit b of byte g is set where the sign towards the g-th
// group's b-th vector is positive. Where `has_zero` says so, a pair may have sign 0, and `negative`
// is written in the same way. In place of a target's signs towards its own group, which has itself
// (sign 0), stands kGramOwnGroup; those are numbers of their own. Few vectors have no words, but
// are one such group.
struct GramSigns {
  std::uint64_t*
      positive;  // [(other - other_base) / kGramSignBlock][target - target_base], or null
  std::uint64_t* negative;  // likewise
  std::uint8_t* has_zero;   // likewise
  void* own;                // Compute[target - target_base][own_group + kGramSurplus]: 1, 0 or -1
  std::size_t own_group;    // kGramSignGroup, or all panel_vectors
  // Σⱼ |<x̂ᵢ,x̂ⱼ>| of target i and the others j of a tile, without itself:
  double* cosines;  // [(other - other_base) / tile][target - target_base]
  std::size_t tile;
  std::size_t targets;
  std::size_t target_base;
  std::size_t other_base;
};

// Where a tile lies and how much of it there is: rows and columns are vectors, at most kGramTile.
struct GramTile {
  std::size_t row;
  std::size_t column;  // not before `row`
  std::size_t rows;
  std::size_t columns;
  bool diagonal() const { return row == column; }
};

struct GramKernel {
  std::size_t compute_size;      // bytes of Compute
  std::size_t register_columns;  // divides kGramTile
  std::size_t vector_multiple;   // divides register_columns
  std::size_t panel;             // coordinates per panel; divides kGramCoordinates

  // Fills `matrix`, but for its gradients, with the vectors [begin, begin + register_columns) of
  // its source; behind the last one, up to a whole group of kGramSignGroup, with zeros. False if
  // one has NaN or Inf.
  bool (*pack)(const GramMatrix& matrix, std::size_t begin);

  // Σ |<x̂ᵢ,x̂ⱼ>| over the pairs i < j of a tile. A pair has the sign of its dot product in Compute,
  // or that of the exact dot product where products may have left Compute's range. Writes the signs
  // of its rows towards its columns and the other way round; both may be null. A tile on the
  // diagonal writes both into `row_signs`.
  double (*tile)(const GramMatrix& matrix, const GramTile& tile, const GramSigns* row_signs,
                 const GramSigns* column_signs, void* scratch);
  std::size_t tile_scratch;  // bytes

  // gradients[target] += Σ sign(target, other) x̂_other, in some panels, for the targets
  // [target_begin, target_end), which begin with a group, and the others from signs.other_base to
  // other_end; with the first panel, their projections as well, unless these are null. Others from
  // 0 on begin the sums: what stood there is overwritten.
  void (*multiply_signs)(const GramMatrix& matrix, std::size_t panel_begin, std::size_t panel_end,
                         std::size_t target_begin, std::size_t target_end, std::size_t other_end,
                         const GramSigns& signs, void* scratch);
  std::size_t sign_scratch;  // bytes

  // From the gradients with respect to x̂ to those with respect to x, times `coefficient`, into the
  // target, for the vectors [begin, end).
  void (*finish)(const GramMatrix& matrix, std::size_t begin, std::size_t end, double coefficient,
                 const GramTarget& target);

  // Copies a group to the panels again, as `pack` has scaled it: of a matrix with some of its
  // coordinates, and without `rows`.
  void (*copy_panels)(const GramMatrix& matrix, std::size_t begin);

  // The same work for a matrix of one tile, which may be so long that its copies
  // would be many times as large: `rows`, `panels` and `gradients` have room for kGramWindow
  // coordinates of it.

  // pack, but for the copies.
  bool (*stream_pack)(const GramMatrix& matrix, std::size_t begin);

  // tile, with its scratch; `signs` may be null.
  double (*stream_tile)(const GramMatrix& matrix, const GramSigns* signs, void* scratch);

  // multiply_signs and finish, after stream_tile has written `signs`, for the vectors
  // [target_begin, target_end); with the scratch of the former. `rows` are not used.
  void (*stream_finish)(const GramMatrix& matrix, std::size_t target_begin, std::size_t target_end,
                        const GramSigns& signs, double coefficient, const GramTarget& target,
                        void* scratch);
};

// ---- soft orthogonality --------------------------------------------------------------------

// The penalty of m vectors V with coordinates is Σ H², and its gradient 4 H V, where H is their
// Gram matrix but for its diagonal. Of a GramMatrix, vectors, length, padded_vectors, source and
// rows count. `turned` is one whose vectors are the coordinates of the other.

enum class SoftDiagonal {
  kLessOne,  // the squares of the norms, less a number that is 1 unless the vectors are scaled
  kNone,     // zeros
  kWhole,    // the squares of the norms
};

// Rows [begin, end) of H as the products of H and V read it. Both are stored by the others that are
// summed over, and may be null where there is no gradient.
struct SoftStrip {
  std::size_t begin;
  std::size_t end;
  void* own;  // Compute[other - begin][vector - begin] of the strip's vectors and all from it on
  std::size_t own_stride;
  void* below;  // Compute[other - begin][vector - end] of the vectors below and the strip's
  std::size_t below_stride;
};

// A gradient is acc * coefficient, and if there is a power of two, times this three times, and then
// times the last coefficient: rounded once.
struct SoftFinish {
  double coefficient;
  double power;
  double last;
  const double* norms;  // a number per coordinate, times which V is subtracted before; or null
  GramTarget target;
};

// A block of H V: up to kGramTile vectors and coordinates of it.
struct SoftProduct {
  const GramMatrix& turned;
  const void* weights;  // Compute[other - others_begin][target - `target`]
  std::size_t weight_stride;
  std::size_t others_begin;
  std::size_t others_end;
  std::size_t target;
  std::size_t targets;
  std::size_t coordinate;
  std::size_t coordinates;
  void* sums;  // Compute[target - `target`][coordinate], which are kept between strips; or null
  std::size_t sum_stride;
  const SoftFinish* finish;  // with the last strip; else null
};

struct SoftOrthogonalKernel {
  // Copies the group of vectors that begins at `begin` from the matrix's source to its rows.
  // Returns the largest magnitude, Inf where one is NaN.
  double (*pack)(const GramMatrix& matrix, std::size_t begin);

  // Multiplies the copies of a group by a power of two.
  void (*scale)(const GramMatrix& matrix, std::size_t begin, double factor);

  // Likewise for a matrix that is turned: copies and scales a group, and sets Σ x² over each of its
  // vectors, of which there is a whole number of `vector_multiple`, unless `squares` is null.
  void (*pack_turned)(const GramMatrix& turned, std::size_t begin, double factor, double* squares);

  // The dot products of a tile, as far as one of the matrix's windows has them, to Compute[row]
  // [column], with rows of kGramTile numbers.
  void (*multiply_window)(const GramMatrix& window, const GramTile& tile, void* products);

  // Adds up the products of so many windows, `stride` bytes apart. Returns Σ h² over a tile of H
  // and over the one that mirrors it. Writes both to the strip unless that is null.
  double (*finish_tile)(const void* products, std::size_t windows, std::size_t stride,
                        const GramTile& tile, SoftDiagonal diagonal, double one,
                        const SoftStrip* strip, void* scratch);

  // The others from 0 on begin the sums; later ones go on where they were left.
  void (*multiply)(const SoftProduct& product, void* scratch);

  std::size_t scratch;  // bytes, of each of the last two
};

// ---- group lasso ---------------------------------------------------------------------------

// Lines of elements, each without gaps. Either each line is a group, or a part of one ("along");
// or element i of every line belongs to group i ("across").
struct GroupLines {
  const void* x;
  std::ptrdiff_t x_stride;  // bytes from one line to the next
  std::size_t count;
  std::size_t length;  // elements of a line
  // Unless null, what comes next is fetched: along lines what stands here, line by line as x;
  // across them what is behind the elements that are being read and written.
  const void* ahead = nullptr;
  std::ptrdiff_t ahead_stride = 0;
};

// Where what is computed of the lines goes; x itself for `shrink`.
struct GroupTarget {
  void* data;
  std::ptrdiff_t stride;
};

// One number per group: per line along lines, and per element of a line across them.
using GroupSumFunction = void (*)(const GroupLines& lines, double* sums);
using GroupWriteFunction = void (*)(const GroupLines& lines, const GroupTarget& target,
                                    const double* factors);

// Sums of squares are added to what is there. Products of x and a group's factor are formed in
// float64, and rounded once. Along lines, blocks of kElementwiseBlock elements are added one
// after the other; so a line may come in parts that are such blocks.
struct GroupKernel {
  GroupSumFunction sum;
  // The gradient has x's own dtype, or float32 where x is a half type.
  GroupWriteFunction accumulate;
  GroupWriteFunction assign;
  GroupWriteFunction accumulate_float32;
  GroupWriteFunction assign_float32;
  GroupWriteFunction shrink;  // a factor of 0 makes +0
};

// What a group's norm becomes in the penalty: factor * (root * norm); and in its factor.
struct GroupWeights {
  double factor;
  double root;         // √g
  double coefficient;  // of a gradient scale * factor * √g, of a proximal step its threshold
};

// From sums of squares to the groups' factors, in place; returns their penalty, in the lanes and
// the tree of elementwise sums. Of groups whose norm and factor are in range.
using GroupFinishFunction = double (*)(double* sums, std::size_t count,
                                       const GroupWeights& weights);

struct GroupLassoKernel {
  GroupKernel along;
  GroupKernel across;
  GroupFinishFunction finish_value;       // leaves no factors
  GroupFinishFunction finish_slopes;      // coefficient / norm, and 0 for a norm of 0
  GroupFinishFunction finish_shrinkages;  // max(0, 1 - coefficient / norm), likewise
};

// ---- levels --------------------------------------------------------------------------------

struct Kernels {
  ElementwiseKernel elementwise[kDTypes];
  GramKernel gram[kDTypes];
  SoftOrthogonalKernel soft_orthogonal[kDTypes];
  GroupLassoKernel group_lasso[kDTypes];
};

// One definition per level that the target architecture has; each in an object of its own.
namespace x86_64_v2 {
extern const Kernels kernels;
}
namespace x86_64_v3 {
extern const Kernels kernels;
}
namespace x86_64_v4 {
extern const Kernels kernels;
}
namespace neon {
extern const Kernels kernels;
}

}  // namespace taut

#endif  // TAUT_KERNELS_KERNELS_HPP_
