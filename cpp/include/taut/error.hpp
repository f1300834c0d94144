// What taut throws.

#ifndef TAUT_ERROR_HPP_
#define TAUT_ERROR_HPP_

#include <cstddef>
#include <stdexcept>
#include <string>

#include "taut/api.hpp"

namespace taut {

// A caller's mistake. Nothing has been written when it is thrown.
class TAUT_API InvalidArgument : public std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};

// A mistake in one of many terms, whose message does not say which.
class TAUT_API InvalidTerm : public InvalidArgument {
 public:
  InvalidTerm(std::size_t term, const std::string& message)
      : InvalidArgument(message), term_(term) {}
  std::size_t term() const { return term_; }

 private:
  std::size_t term_;
};

// A StopCheck asked a long call to stop. A gradient that was being written holds a part of it.
class TAUT_API Stopped : public std::runtime_error {
 public:
  Stopped() : std::runtime_error("taut was asked to stop") {}
};

}  // namespace taut

#endif  // TAUT_ERROR_HPP_
