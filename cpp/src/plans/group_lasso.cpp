#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>
#include <span>

#include "kernels/kernels.hpp"
#include "plans/group_cut.hpp"
#include "plans/group_factors.hpp"
#include "plans/groups.hpp"
#include "plans/registry.hpp"
#include "views/check.hpp"

namespace taut {
namespace {

// Elements of lines along that are measured before they are written, where that is one piece: they
// are in the nearest cache.
constexpr std::size_t kNear = 2 * kElementwiseBlock;

constexpr std::size_t kFinishedAtOnce = 256;  // groups of a piece that adds up the others' sums

// Of all arrays.
std::size_t bytes_of(const Layout& layout) {
  return layout.size * (layout.arrays[0].element_size + layout.arrays[1].element_size);
}

// Arrays of more bytes, together, are fetched before they are reached: what measures and writes in
// turns reads here and there, and no hardware prefetcher follows.
constexpr std::size_t kFetched = std::size_t{16} << 20;

// What is behind some lines; not to be read.
const void* skip_lines(const GroupLines& lines, std::size_t count) {
  const std::ptrdiff_t bytes = static_cast<std::ptrdiff_t>(count) * lines.x_stride;
  return reinterpret_cast<const void*>(reinterpret_cast<std::uintptr_t>(lines.x) +
                                       static_cast<std::uintptr_t>(bytes));
}

// Groups whose elements are all in one piece are measured and then written by it. Others are
// measured by all pieces; then their sums are added, in the order of the pieces, and then all
// pieces write.
class GroupLassoPlan final : public Plan {
 public:
  GroupLassoPlan(const GroupLasso& regularizer, std::size_t axis, const Problem& problem,
                 const Call& call)
      : task_(problem.task),
        is_float64_(problem.dtype == DType::kFloat64),
        groups_(problem, axis, call),
        kernel_(kernel_of(groups_, problem, call)),
        write_(write_of(kernel_, problem)),
        cut_(groups_),
        fetches_((is_local() || are_across()) && groups_.scratch() == 0 &&
                 bytes_of(problem.layout) > kFetched),
        factors_of_(regularizer, problem, groups_, call),
        values_(call.arena().take<double>(is_local() ? cut_.pieces() : finishing_pieces())) {
    set_needs(count_phases(), scratch_bytes());
  }

  Phase phase(std::size_t index) const override;
  void place(Block& block) override;
  void run(std::size_t phase, std::size_t piece, std::byte* scratch) override;
  double combine() override;

 private:
  enum class Step { kAll, kMeasure, kAddUp, kWrite, kWriteInRange };

  static const GroupKernel& kernel_of(const Groups& groups, const Problem& problem,
                                      const Call& call);
  static GroupWriteFunction write_of(const GroupKernel& kernel, const Problem& problem);

  bool writes() const { return task_ != Task::kValue; }
  bool has_gradient() const { return writes() && task_ != Task::kProx; }
  bool are_across() const { return groups_.are_across(); }
  bool is_local() const { return (are_across() ? cut_.line_strips() : cut_.element_strips()) == 1; }
  std::size_t count_phases() const {
    if (is_local()) return 1;
    return 2 + (writes() ? 1 : 0) + (has_gradient() && is_float64_ ? 1 : 0);
  }
  Step step_of(std::size_t phase) const {
    if (is_local()) return Step::kAll;
    constexpr std::array kSteps{Step::kMeasure, Step::kAddUp, Step::kWrite, Step::kWriteInRange};
    return kSteps[phase];
  }

  // How often a group comes in a line across.
  std::size_t repeats() const { return are_across() ? groups_.length() / groups_.groups() : 1; }

  // Where the groups are not local, of whose sums each piece knows a part.
  std::size_t finishing_pieces() const { return divide_up(groups_.groups(), kFinishedAtOnce); }
  std::size_t partial_count() const {
    return are_across() ? checked_product(cut_.line_strips(), groups_.length())
                        : checked_product(groups_.lines(), cut_.element_strips());
  }
  double* partials_of(std::size_t piece) const {
    if (!are_across()) return partials_ + piece;
    const GroupPart part = cut_.part(piece);
    return partials_ + part.line / cut_.lines() * groups_.length() + part.begin;
  }

  // Lines along that are measured before they are written, if that is in one piece.
  std::size_t lines_at_once() const {
    return std::clamp<std::size_t>(kNear / groups_.length(), 1, cut_.lines());
  }
  // What is done at once has a sum for each line or element; and one for each group, where those
  // come again in a line.
  std::size_t own_sums() const { return are_across() ? cut_.elements() : lines_at_once(); }
  std::size_t scratch_sums() const {
    if (!is_local()) return kFinishedAtOnce;
    return own_sums() + (repeats() > 1 ? groups_.groups() : 0);
  }
  std::size_t sum_bytes() const { return round_up_to_cache_line(scratch_sums() * sizeof(double)); }
  std::size_t scratch_bytes() const { return sum_bytes() + groups_.scratch(); }

  void measure(const GroupPart& part, double* sums, std::byte* copies) const;
  void write(const GroupPart& part, const double* factors, std::byte* copies) const;
  double run_along(const GroupPart& part, double* sums, std::byte* copies);
  double run_across(const GroupPart& part, double* sums, std::byte* copies);
  void add_up(std::size_t piece, double* sums);

  Task task_;
  bool is_float64_;
  Groups groups_;
  const GroupKernel& kernel_;
  GroupWriteFunction write_;
  GroupCut cut_;
  bool fetches_;  // what is read next, while this is computed
  GroupFactors factors_of_;
  std::span<double> values_;    // of each piece that knows norms
  double* partials_ = nullptr;  // sums of squares of each piece, strip after strip
  double* factors_ = nullptr;   // what the elements of a group are multiplied with
};

const GroupKernel& GroupLassoPlan::kernel_of(const Groups& groups, const Problem& problem,
                                             const Call& call) {
  const GroupLassoKernel& kernel =
      call.kernels().group_lasso[static_cast<std::size_t>(problem.dtype)];
  return groups.are_across() ? kernel.across : kernel.along;
}

GroupWriteFunction GroupLassoPlan::write_of(const GroupKernel& kernel, const Problem& problem) {
  if (problem.task == Task::kValue) return nullptr;
  if (problem.task == Task::kProx) return kernel.shrink;
  const bool is_own = problem.dtype == problem.gradient->dtype();
  if (problem.task == Task::kAccumulate) {
    return is_own ? kernel.accumulate : kernel.accumulate_float32;
  }
  return is_own ? kernel.assign : kernel.assign_float32;
}

Plan::Phase GroupLassoPlan::phase(std::size_t index) const {
  constexpr double kPlanNanoseconds = 150;  // beside the elements
  const double elements =
      static_cast<double>(groups_.groups()) * static_cast<double>(groups_.members());
  switch (step_of(index)) {
    case Step::kAll:
      return {cut_.pieces(), elements * (writes() ? 0.7 : 0.3) + kPlanNanoseconds};
    case Step::kMeasure:
      return {cut_.pieces(), elements * 0.3};
    case Step::kAddUp:
      return {finishing_pieces(), static_cast<double>(partial_count()) + kPlanNanoseconds};
    case Step::kWrite:
      return {cut_.pieces(), elements * 0.6};
    case Step::kWriteInRange:
      return {finishing_pieces(), kPlanNanoseconds};
  }
  __builtin_unreachable();
}

void GroupLassoPlan::place(Block& block) {
  if (is_local()) return;
  partials_ = block.take<double>(partial_count());
  factors_ = block.take<double>(are_across() ? groups_.length() : groups_.groups());
}

void GroupLassoPlan::run(std::size_t phase, std::size_t piece, std::byte* scratch) {
  auto* sums = reinterpret_cast<double*>(scratch);
  std::byte* copies = scratch + sum_bytes();
  switch (step_of(phase)) {
    case Step::kAll:
      values_[piece] = (are_across() ? run_across(cut_.part(piece), sums, copies)
                                     : run_along(cut_.part(piece), sums, copies));
      return;
    case Step::kMeasure:
      return measure(cut_.part(piece), partials_of(piece), copies);
    case Step::kAddUp:
      return add_up(piece, sums);
    case Step::kWrite: {
      const GroupPart part = cut_.part(piece);
      return write(part, factors_ + (are_across() ? part.begin : part.line), copies);
    }
    case Step::kWriteInRange: {
      const std::size_t begin = piece * kFinishedAtOnce;
      return factors_of_.write_in_range(begin, std::min(kFinishedAtOnce, groups_.groups() - begin),
                                        factors_ + begin);
    }
  }
}

double GroupLassoPlan::combine() { return std::accumulate(values_.begin(), values_.end(), 0.0); }

// Sums of squares of each line, or of each element over the lines.
void GroupLassoPlan::measure(const GroupPart& part, double* sums, std::byte* copies) const {
  std::fill_n(sums, are_across() ? part.count : part.lines, 0.0);
  groups_.for_each_block(
      part, false, false, copies,
      [&](GroupLines lines, const GroupTarget& target, std::size_t line, std::size_t begin) {
        if (fetches_ && are_across()) {
          lines.ahead = lines.x;
        } else if (fetches_ && has_gradient()) {
          lines.ahead = target.data;
          lines.ahead_stride = target.stride;
        }
        kernel_.sum(lines, sums + (are_across() ? begin : line));
      });
}

void GroupLassoPlan::write(const GroupPart& part, const double* factors, std::byte* copies) const {
  groups_.for_each_block(
      part, task_ == Task::kAccumulate, true, copies,
      [&](GroupLines lines, const GroupTarget& target, std::size_t line, std::size_t begin) {
        if (fetches_) {  // at the end what is behind it, where fetching does nothing
          lines.ahead = skip_lines(lines, lines.count);
          lines.ahead_stride = lines.x_stride;
        }
        write_(lines, target, factors + (are_across() ? begin : line));
      });
}

double GroupLassoPlan::run_along(const GroupPart& part, double* sums, std::byte* copies) {
  double value = 0;
  for (std::size_t line = 0; line < part.lines; line += lines_at_once()) {
    const GroupPart some{part.line + line, std::min(lines_at_once(), part.lines - line), part.begin,
                         part.count};
    measure(some, sums, copies);
    value += factors_of_.finish(some.line, some.lines, sums);
    if (!writes()) continue;
    write(some, sums, copies);
    factors_of_.write_in_range(some.line, some.lines, sums);
  }
  return value;
}

double GroupLassoPlan::run_across(const GroupPart& part, double* sums, std::byte* copies) {
  measure(part, sums, copies);
  double* of_groups = sums;
  std::size_t count = part.count;
  if (repeats() > 1) {
    count = groups_.groups();
    of_groups = std::copy_n(sums, count, sums + own_sums()) - count;
    for (std::size_t i = count; i < part.count; ++i) of_groups[i % count] += sums[i];
  }
  const double value = factors_of_.finish(part.begin, count, of_groups);
  if (!writes()) return value;
  if (repeats() > 1) {
    for (std::size_t i = 0; i < part.count; ++i) sums[i] = of_groups[i % count];
  }
  write(part, sums, copies);
  factors_of_.write_in_range(part.begin, count, of_groups);
  return value;
}

// Of some groups, whose factors are then known.
void GroupLassoPlan::add_up(std::size_t piece, double* sums) {
  const std::size_t begin = piece * kFinishedAtOnce;
  const std::size_t count = std::min(kFinishedAtOnce, groups_.groups() - begin);
  std::fill_n(sums, count, 0.0);
  if (are_across()) {
    for (std::size_t i = 0; i < cut_.line_strips() * repeats(); ++i) {
      const double* partials = partials_ + i * groups_.groups() + begin;
      for (std::size_t group = 0; group < count; ++group) sums[group] += partials[group];
    }
  } else {
    const double* partials = partials_ + begin * cut_.element_strips();
    for (std::size_t i = 0; i < count * cut_.element_strips(); ++i) {
      sums[i / cut_.element_strips()] += partials[i];
    }
  }
  values_[piece] = factors_of_.finish(begin, count, sums);
  for (std::size_t repeat = 0; repeat < repeats(); ++repeat) {
    std::copy_n(sums, count, factors_ + repeat * groups_.groups() + begin);
  }
}

}  // namespace

void check(const GroupLasso& regularizer, Task task, const ConstView& x, double scale) {
  check_factor("factor", regularizer.factor);
  if (x.rank() == 0) {
    throw InvalidArgument("Inputs to GroupLasso must have rank 1 or more. Received: inputs.shape=" +
                          shape_of(x));
  }
  if (task == Task::kProx) check_product(scale, regularizer.factor);
}

Plan& make_plan(const GroupLasso& regularizer, const Problem& problem, const Call& call) {
  const bool has_no_effect = regularizer.factor == 0 || problem.layout.size == 0;
  if (has_no_effect || (problem.task == Task::kProx && problem.scale == 0)) {
    return make_zero_plan(problem, call);
  }
  const ConstView x = problem.stepped == nullptr ? *problem.x : ConstView(*problem.stepped);
  const std::size_t axis = regularizer.mode == Mode::kRows ? 0 : x.rank() - 1;
  if (x.extent(axis) == problem.layout.size)
    return make_plan(L1{regularizer.factor}, problem, call);
  return call.arena().make<GroupLassoPlan>(regularizer, axis, problem, call);
}

}  // namespace taut
