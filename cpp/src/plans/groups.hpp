// The elements of an array as groups: its slices along one axis.

#ifndef TAUT_PLANS_GROUPS_HPP_
#define TAUT_PLANS_GROUPS_HPP_

#include <algorithm>
#include <array>
#include <cstddef>

#include "kernels/kernels.hpp"
#include "run/call.hpp"
#include "views/layout.hpp"
#include "views/problem.hpp"

namespace taut {

// The lines [line, line + lines), and of each the elements [begin, begin + count).
struct GroupPart {
  std::size_t line;
  std::size_t lines;
  std::size_t begin;
  std::size_t count;
};

// One array or two of one shape, walked in lines. Where the groups' own axis is not the innermost
// one a line is a group ("along"); where it is, there is a line for each member, and element i of
// it belongs to group i ("across"). A few short lines across are one long line, in which the groups
// come again and again: element i belongs to group i % groups, and the last line may be shorter.
class Groups {
 public:
  // Of x with elements, and of the gradient if there is one.
  Groups(const Problem& problem, std::size_t axis, const Call& call);

  std::size_t groups() const { return groups_; }
  std::size_t members() const { return members_; }  // of each group
  bool are_across() const { return are_across_; }

  std::size_t length() const { return length_; }  // elements of a line
  std::size_t lines() const { return divide_up(layout_.size, length_); }

  // Bytes that for_each_block works in.
  std::size_t scratch() const;

  // Calls work(lines, target, line, begin) for blocks of a part's elements, where line and begin
  // say which of them are the block's first, counted from the part's own. They stand where the
  // arrays have them if the kernels can walk there, else in the scratch memory, to and from which
  // they are copied: x, and the target's as well if it is read and if it is written. The target is
  // the last array.
  template <typename Work>
  void for_each_block(const GroupPart& part, bool reads_target, bool writes_target,
                      std::byte* scratch, Work work) const;

  // The members of a group alone.
  Layout members_of(std::size_t group) const;

 private:
  // Lines in which no element's place is a constant number of bytes from the one before are copied,
  // some at a time.
  static constexpr std::size_t kCopied = kElementwiseBlock;

  bool is_direct() const;
  std::size_t arrays() const { return members_layout_.arrays[1].strides == nullptr ? 1 : 2; }
  std::byte* element(std::size_t array, std::size_t line, std::size_t begin) const {
    const Layout::Array& of = layout_.arrays[array];
    return const_cast<std::byte*>(of.origin) +
           static_cast<std::ptrdiff_t>(line) * line_strides_[array] +
           static_cast<std::ptrdiff_t>(begin * of.element_size);
  }
  // Whole lines are copied at once.
  template <typename Copy>
  void for_each_run(const GroupPart& part, Copy copy) const;

  std::size_t groups_;
  std::size_t members_;
  bool are_across_;
  Layout members_layout_;                        // of the first group
  std::array<std::ptrdiff_t, 2> group_strides_;  // bytes from one group to the next
  Layout layout_;                                // all elements, line by line
  std::size_t length_;
  bool is_direct_;
  std::array<std::ptrdiff_t, 2> line_strides_{};  // bytes, where it is direct
};

template <typename Work>
void Groups::for_each_block(const GroupPart& part, bool reads_target, bool writes_target,
                            std::byte* scratch, Work work) const {
  const std::size_t target_array = arrays() - 1;
  // All but a shorter last line, and that line.
  const std::size_t whole = std::min(part.line + part.lines, layout_.size / length_) - part.line;
  const auto each_rectangle = [&](auto rectangle) {
    if (whole > 0) rectangle(GroupPart{part.line, whole, part.begin, part.count}, std::size_t{0});
    const std::size_t rest = layout_.size % length_;
    if (whole == part.lines || rest <= part.begin) return;
    rectangle(GroupPart{part.line + whole, 1, part.begin, std::min(part.count, rest - part.begin)},
              whole);
  };
  each_rectangle([&](const GroupPart& all, std::size_t first_line) {
    if (is_direct_) {
      work(GroupLines{element(0, all.line, all.begin), line_strides_[0], all.lines, all.count},
           GroupTarget{element(target_array, all.line, all.begin), line_strides_[target_array]},
           first_line, std::size_t{0});
      return;
    }
    const std::size_t lines_at_once = std::max<std::size_t>(1, kCopied / all.count);
    for (std::size_t line = 0; line < all.lines; line += lines_at_once) {
      for (std::size_t begin = 0; begin < all.count; begin += kCopied) {
        const GroupPart block{all.line + line, std::min(lines_at_once, all.lines - line),
                              all.begin + begin, std::min(kCopied, all.count - begin)};
        std::byte* x = scratch;
        std::byte* target = target_array == 0 ? x : scratch + kCopied * sizeof(double);
        const std::size_t x_size = layout_.arrays[0].element_size;
        const std::size_t target_size = layout_.arrays[target_array].element_size;
        for_each_run(block, [&](std::size_t index, std::size_t count, std::size_t at) {
          gather(layout_, 0, index, count, x + at * x_size);
          if (reads_target && target_array > 0) {
            gather(layout_, target_array, index, count, target + at * target_size);
          }
        });
        const auto stride = static_cast<std::ptrdiff_t>(block.count);
        work(GroupLines{x, stride * static_cast<std::ptrdiff_t>(x_size), block.lines, block.count},
             GroupTarget{target, stride * static_cast<std::ptrdiff_t>(target_size)},
             first_line + line, begin);
        if (!writes_target) continue;
        for_each_run(block, [&](std::size_t index, std::size_t count, std::size_t at) {
          scatter(layout_, target_array, index, count, target + at * target_size);
        });
      }
    }
  });
}

// Calls copy(index in the layout, count, index in the block).
template <typename Copy>
void Groups::for_each_run(const GroupPart& part, Copy copy) const {
  const std::size_t first = part.line * length_ + part.begin;
  if (part.count == length_) return copy(first, part.lines * part.count, 0);
  for (std::size_t line = 0; line < part.lines; ++line) {
    copy(first + line * length_, part.count, line * part.count);
  }
}

}  // namespace taut

#endif  // TAUT_PLANS_GROUPS_HPP_
