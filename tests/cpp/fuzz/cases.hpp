// The kinds of cases. Each reads one, tells its statements, and throws a Finding for what is not as
// the headers in taut/ promise.

#ifndef TAUT_TESTS_FUZZ_CASES_HPP_
#define TAUT_TESTS_FUZZ_CASES_HPP_

#include "finding.hpp"
#include "reader.hpp"

namespace taut_test {

// A penalty, or a batch of them, of arrays that may share memory.
void run_penalties(Reader& reader, const Tell& tell);
// A range of a matrix's vectors.
void run_range(Reader& reader, const Tell& tell);
// Shares of a matrix's pairs.
void run_shares(Reader& reader, const Tell& tell);
// Arrays at made-up addresses, which nothing reads, with any extents and strides.
void run_addresses(Reader& reader, const Tell& tell);

}  // namespace taut_test

#endif  // TAUT_TESTS_FUZZ_CASES_HPP_
