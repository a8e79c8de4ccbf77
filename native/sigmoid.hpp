// The loss of independent sigmoids and its gradient, one pass over the logits.
//
// For a logit u with coefficients c (of the positive side) and t (of both sides together):
//   loss  = t * softplus(u) - c * u      slope = t * sigmoid(u) - c
#pragma once

#include <cstddef>

namespace xent {

// Rows of `columns` logits; row r is output r % outputs of stack member r / outputs.
struct SigmoidRows {
  const float* logits;
  const float* coefficients;
  const float* total;  // null: 1 everywhere
  float* slope;        // null: no gradient
  std::size_t columns;
  std::size_t outputs;
  std::size_t coefficient_stride;  // from one output's coefficients to the next's
  std::size_t coefficient_member;  // from one member's to the next's, 0 if they share them
  std::size_t total_member;
};

// Sum of the losses of `columns` columns from `first` of one row; writes their slopes.
using SigmoidSum = double (*)(const SigmoidRows&, std::size_t row, std::size_t first,
                              std::size_t columns);

// The same loops, compiled once for each instruction set that the build knows.
namespace portable {
double sigmoid_sum(const SigmoidRows&, std::size_t, std::size_t, std::size_t);
}
namespace avx2 {
double sigmoid_sum(const SigmoidRows&, std::size_t, std::size_t, std::size_t);
}
namespace avx512 {
double sigmoid_sum(const SigmoidRows&, std::size_t, std::size_t, std::size_t);
}

}  // namespace xent
