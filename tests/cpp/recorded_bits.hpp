// A table of results by their bits, which stays in the repository: a change that alters one has to
// say so, by a changed row. It also compares levels and processors that never meet in one process.

#ifndef TAUT_TESTS_RECORDED_BITS_HPP_
#define TAUT_TESTS_RECORDED_BITS_HPP_

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "catch2.hpp"
#include "numbers.hpp"

namespace taut_test {

// A digest of bits (FNV-1a; Fowler, Noll and Vo). All NaNs count as one.
class Digest {
 public:
  template <typename T>
  void add(T number) {
    if (is_nan(number)) number = from_double<T>(kNan);
    for (const std::byte byte : bytes_of(number)) {
      hash_ = (hash_ ^ static_cast<std::uint64_t>(byte)) * 0x100000001b3;
    }
  }
  template <typename T>
  void add(const std::vector<T>& numbers) {
    for (const T number : numbers) add(number);
  }
  std::string text() const {
    std::ostringstream text;
    text << std::hex << hash_;
    return text.str();
  }

 private:
  template <typename T>
  static bool is_nan(T number) {
    if constexpr (sizeof(T) == 2) {
      return (number.bits & 0x7fff) > from_double<T>(std::numeric_limits<double>::infinity()).bits;
    } else {
      return std::isnan(number);
    }
  }

  static constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  std::uint64_t hash_ = 0xcbf29ce484222325;
};

// The table in recorded_bits.txt: a row is a case's name, which has no space, and its digest. Where
// the environment variable TAUT_RECORD_BITS is set, rows are written to that file and not compared.
class RecordedBits {
 public:
  RecordedBits() {
    std::ifstream file(TAUT_RECORDED_BITS);
    for (std::string name, digest; file >> name >> digest;) recorded_[name] = digest;
    REQUIRE(!recorded_.empty());
    if (const char* path = std::getenv("TAUT_RECORD_BITS")) to_record_.open(path, std::ios::app);
  }

  void check(const std::string& name, const Digest& digest) {
    if (to_record_.is_open()) {
      to_record_ << name << ' ' << digest.text() << '\n';
      return;
    }
    INFO(name << ": if it is meant to have other bits from now on, change its row");
    CHECK(recorded_[name] == digest.text());
  }

 private:
  std::map<std::string, std::string> recorded_;
  std::ofstream to_record_;
};

}  // namespace taut_test

#endif  // TAUT_TESTS_RECORDED_BITS_HPP_
