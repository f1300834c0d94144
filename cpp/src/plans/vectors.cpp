#include "plans/vectors.hpp"

#include <algorithm>
#include <span>
#include <string>

#include "plans/first_slice.hpp"
#include "taut/error.hpp"
#include "views/check.hpp"

namespace taut {
namespace {

std::size_t vector_axis(const ConstView& x, Mode mode) {
  return mode == Mode::kRows ? 0 : x.rank() - 1;
}

// The first vector of x, and that of the gradient.
Layout first_vectors(const Problem& problem, std::size_t vector_axis, const Call& call) {
  const ConstView x = first_slice(*problem.x, vector_axis);
  if (!problem.has_gradient()) return layout_of(x, call.arena());
  return layout_of(x, first_slice(*problem.gradient, vector_axis), call.arena());
}

std::byte* writable(const std::byte* data) { return const_cast<std::byte*>(data); }

// Another plan, of copies: they are made before its first phase, and the gradient is copied back
// after its last one.
class CopyingPlan final : public Plan {
 public:
  // `first` is of the first vectors, and `strides` lead from each to the next. `copies` lie row by
  // row; `plan` is theirs.
  CopyingPlan(const Problem& problem, const Layout& first,
              const std::array<std::ptrdiff_t, 2>& strides, const Vectors& copies, Plan& plan)
      : task_(problem.task), first_(first), strides_(strides), copies_(copies), plan_(plan) {
    const std::size_t copied_back = problem.has_gradient() ? 1 : 0;
    set_needs(1 + plan_.needs().phases + copied_back, plan_.needs().scratch);
  }

  void place(Block& block) override { plan_.place(block); }
  Phase phase(std::size_t index) const override {
    if (is_of_plan(index)) return plan_.phase(index - 1);
    constexpr double kNanoseconds = 1;  // per element
    return {
        divide_up(copies_.count, vectors_per_piece()),
        static_cast<double>(copies_.count) * static_cast<double>(copies_.length) * kNanoseconds};
  }
  void run(std::size_t phase, std::size_t piece, std::byte* scratch) override {
    if (is_of_plan(phase)) return plan_.run(phase - 1, piece, scratch);
    const std::size_t begin = piece * vectors_per_piece();
    const std::size_t end = begin + vectors_per_piece();
    const std::size_t gradients = std::min(end, copies_.range.end - copies_.range.begin);
    if (phase > 0) {
      for (std::size_t vector = begin; vector < gradients; ++vector) {
        scatter(at(vector), 1, 0, copies_.length, copy_of(1, vector));
      }
      return;
    }
    for (std::size_t vector = begin; vector < std::min(end, copies_.count); ++vector) {
      gather(at(vector), 0, 0, copies_.length, copy_of(0, vector));
    }
    if (task_ != Task::kAccumulate) return;
    for (std::size_t vector = begin; vector < gradients; ++vector) {
      gather(at(vector), 1, 0, copies_.length, copy_of(1, vector));
    }
  }
  double combine() override { return plan_.combine(); }

 private:
  bool is_of_plan(std::size_t phase) const { return phase - 1 < plan_.needs().phases; }
  std::size_t vectors_per_piece() const {
    constexpr std::size_t kElements = 32 * 1024;
    return std::max<std::size_t>(1, kElements / copies_.length);
  }
  Layout at(std::size_t vector) const {
    Layout layout = first_;
    for (std::size_t array = 0; array < strides_.size(); ++array) {
      layout.arrays[array].origin += static_cast<std::ptrdiff_t>(vector) * strides_[array];
    }
    return layout;
  }
  std::byte* copy_of(std::size_t array, std::size_t vector) const {
    const Vectors::Array& copy = copies_.arrays[array];
    return copy.data + static_cast<std::ptrdiff_t>(vector) * copy.vector_stride;
  }

  Task task_;
  Layout first_;
  std::array<std::ptrdiff_t, 2> strides_;
  Vectors copies_;
  Plan& plan_;
};

Plan& make_copying_plan(const Problem& problem, const Layout& first,
                        const std::array<std::ptrdiff_t, 2>& strides, Vectors copies,
                        const Call& call, const VectorPlanMaker& maker) {
  auto& of_copies = call.arena().make<Problem>(problem);
  const auto kept = call.arena().take<std::ptrdiff_t>(3);
  kept[0] = static_cast<std::ptrdiff_t>(problem.layout.size);
  of_copies.layout.rank = 1;
  of_copies.layout.extents = reinterpret_cast<const std::size_t*>(kept.data());
  for (std::size_t array = 0; array < (problem.has_gradient() ? 2 : 1); ++array) {
    const std::size_t size = first.arrays[array].element_size;
    const std::size_t count = array == 0 ? copies.count : copies.range.end - copies.range.begin;
    const auto copy = call.arena().take<std::byte>(checked_product(count, copies.length, size));
    copies.copied += copy.size();
    std::byte* data = copy.data();
    const auto step = static_cast<std::ptrdiff_t>(size);
    copies.arrays[array] = {data, static_cast<std::ptrdiff_t>(copies.length) * step, step};
    kept[1 + array] = step;
    of_copies.layout.arrays[array] = {data, size, &kept[1 + array]};
  }
  Plan& plan = maker.make(of_copies, copies, call);
  return call.arena().make<CopyingPlan>(problem, first, strides, copies, plan);
}

}  // namespace

void check_matrix(const char* title, bool flatten, const ConstView& x) {
  if (x.rank() == 2 || (flatten && x.rank() > 2)) return;
  throw InvalidArgument(std::string("Inputs to ") + title + " must have rank 2" +
                        (flatten ? " or more" : "") + ". Received: inputs.shape=" + shape_of(x));
}

void refuse_prox(const char* title) {
  throw InvalidArgument(std::string(title) +
                        " has no proximal step in closed form; L1, L2, L1L2, GroupLasso have one");
}

std::atomic<MemorySaving> memory_saving{MemorySaving::kAsNeeded};

std::size_t most_memory(const ConstView& x, const Vectors& vectors) {
  if (memory_saving.load(std::memory_order_relaxed) != MemorySaving::kAsNeeded) return 0;
  constexpr std::size_t kSmall = std::size_t{16} << 20;
  // A stride of 0 makes more elements than memory has.
  const std::size_t elements = std::min(x.size(), kMostMemory);
  const std::size_t most = 3 * std::max(kSmall, elements * size_of(x.dtype()));
  return most - std::min(most, vectors.copied);
}

std::size_t count_of_vectors(const ConstView& x, Mode mode) {
  return x.extent(vector_axis(x, mode));
}

std::size_t length_of_vectors(const ConstView& x, Mode mode) {
  const std::size_t count = count_of_vectors(x, mode);
  return count == 0 ? 0 : x.size() / count;
}

void check_range(VectorRange range, std::size_t vectors) {
  if (range.begin <= range.end && range.end <= vectors) return;
  throw InvalidArgument("Expected a range of the vectors [0, " + std::to_string(vectors) +
                        "). Received: [" + std::to_string(range.begin) + ", " +
                        std::to_string(range.end) + ")");
}

ConstView slice_of(const ConstView& x, Mode mode, VectorRange range) {
  const std::size_t sliced = vector_axis(x, mode);
  std::array<std::ptrdiff_t, kMaxRank> shape;
  std::array<std::ptrdiff_t, kMaxRank> strides;
  for (std::size_t axis = 0; axis < x.rank(); ++axis) {
    shape[axis] = static_cast<std::ptrdiff_t>(x.extent(axis));
    strides[axis] = x.stride(axis);
  }
  shape[sliced] = static_cast<std::ptrdiff_t>(range.end - range.begin);
  const auto* data = static_cast<const std::byte*>(x.data());
  return {data + static_cast<std::ptrdiff_t>(range.begin) * x.stride(sliced), x.dtype(),
          std::span(shape).first(x.rank()), std::span(strides).first(x.rank())};
}

Plan& make_vector_plan(const Problem& problem, Mode mode, const Call& call,
                       const VectorPlanMaker& maker) {
  return make_vector_plan(problem, mode, {0, count_of_vectors(*problem.x, mode)}, call, maker);
}

Plan& make_vector_plan(const Problem& problem, Mode mode, VectorRange range, const Call& call,
                       const VectorPlanMaker& maker) {
  const ConstView& x = *problem.x;
  const std::size_t axis = vector_axis(x, mode);
  const std::array<std::ptrdiff_t, 2> strides{
      x.stride(axis), problem.has_gradient() ? problem.gradient->stride(axis) : 0};
  Vectors vectors{count_of_vectors(x, mode), length_of_vectors(x, mode), range, {}, 0};
  if (x.rank() == 2) {  // as it is, backwards too
    vectors.arrays[0] = {writable(static_cast<const std::byte*>(x.data())), strides[0],
                         x.stride(1 - axis)};
    if (problem.has_gradient()) {
      vectors.arrays[1] = {static_cast<std::byte*>(problem.gradient->data()), strides[1],
                           problem.gradient->stride(1 - axis)};
    }
    return maker.make(problem, vectors, call);
  }
  const Layout first = first_vectors(problem, axis, call);
  if (first.rank > 1 && x.size() > 0) {
    return make_copying_plan(problem, first, strides, vectors, call, maker);
  }
  for (std::size_t array = 0; array < (problem.has_gradient() ? 2 : 1); ++array) {
    vectors.arrays[array] = {writable(first.arrays[array].origin), strides[array],
                             first.rank == 0 ? 0 : first.arrays[array].strides[0]};
  }
  return maker.make(problem, vectors, call);
}

}  // namespace taut
