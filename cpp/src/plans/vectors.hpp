// Tensors as vectors: what penalties of rows and columns are computed of.

#ifndef TAUT_PLANS_VECTORS_HPP_
#define TAUT_PLANS_VECTORS_HPP_

#include <array>
#include <atomic>
#include <cstddef>

#include "plans/plan.hpp"
#include "run/call.hpp"
#include "taut/regularizers.hpp"
#include "taut/vector_range.hpp"
#include "views/problem.hpp"

namespace taut {

// A matrix and the gradient of a range of its vectors, which are those along one axis. Strides are
// in bytes.
struct Vectors {
  struct Array {
    std::byte* data = nullptr;  // of x, only to be read
    std::ptrdiff_t vector_stride = 0;
    std::ptrdiff_t coordinate_stride = 0;
  };

  std::size_t count;
  std::size_t length;  // coordinates of each
  VectorRange range;
  std::array<Array, 2> arrays;
  std::size_t copied = 0;  // bytes that these arrays take, where they are copies
};

// Throws InvalidArgument, as Keras words it, unless x is a matrix; or may be read as one, where
// `flatten` says so: its rows are the first axis by the rest, its columns the rest by the last.
void check_matrix(const char* title, bool flatten, const ConstView& x);

// Throws InvalidArgument, which names the penalties that have a proximal step, as this one has not.
[[noreturn]] void refuse_prox(const char* title);

// Makes the plan of a penalty of vectors.
class VectorPlanMaker {
 public:
  // `vectors` is what the plan reads and writes, by the layout of `problem` where all of it is.
  virtual Plan& make(const Problem& problem, const Vectors& vectors, const Call& call) const = 0;

 protected:
  ~VectorPlanMaker() = default;
};

// The plan for the rows or the columns of a problem whose x has passed `check_matrix`.
//
// Coordinates of several axes are taken in the order in which they lie in memory, and of x and the
// gradient in one. Where these are no steps of one size, as in a slice of a convolution's kernel,
// copies of both are what is read and written.
Plan& make_vector_plan(const Problem& problem, Mode mode, const Call& call,
                       const VectorPlanMaker& maker);
// The same for a range of them: the gradient, and the problem's layout, are those of its slice.
Plan& make_vector_plan(const Problem& problem, Mode mode, VectorRange range, const Call& call,
                       const VectorPlanMaker& maker);

// In bytes, what a plan may work in, beside what each thread has for itself, so that with the
// copies it is no more than three times what x takes, and 48 MB for a smaller x. A plan that would
// take more by its quickest way has another one, with the same bits, or takes the least that it
// can.
std::size_t most_memory(const ConstView& x, const Vectors& vectors);
// For tests, which so send small matrices the other ways.
enum class MemorySaving {
  kAsNeeded,
  kAll,         // that is 0, and so is what the copies of a few vectors may take
  kParts,       // that is 0, and larger matrices go this way: see GramWay
  kStripSigns,  // likewise
};
extern std::atomic<MemorySaving> memory_saving;

// How many vectors there are, and coordinates of each.
std::size_t count_of_vectors(const ConstView& x, Mode mode);
std::size_t length_of_vectors(const ConstView& x, Mode mode);

// Throws InvalidArgument unless the range is one of so many vectors.
void check_range(VectorRange range, std::size_t vectors);
// A view of these vectors alone.
ConstView slice_of(const ConstView& x, Mode mode, VectorRange range);

}  // namespace taut

#endif  // TAUT_PLANS_VECTORS_HPP_
