// One function out of several, to visit a variant with.

#ifndef TAUT_OVERLOADED_HPP_
#define TAUT_OVERLOADED_HPP_

namespace taut {

template <typename... Functions>
struct Overloaded : Functions... {
  using Functions::operator()...;
};
template <typename... Functions>
Overloaded(Functions...) -> Overloaded<Functions...>;

}  // namespace taut

#endif  // TAUT_OVERLOADED_HPP_
