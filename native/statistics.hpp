// What there is to know of rows of logits: negative log-likelihood of the target, log of the sum of
// the exponentials, entropy of the softmax, and the class of the largest logit.
#pragma once

#include "softmax.hpp"

namespace xent {

struct StatisticsRows {
  const void* logits;
  const std::int64_t* target;
  void* nll;          // one a row, like the logits; 0 where the row is ignored,
  void* log_sum_exp;  // and so are these
  void* entropy;
  // First class of the largest logit, or of NaN; for an ignored row -1, or -2 if that is its target.
  std::int64_t* prediction;
  std::size_t rows;
  std::size_t classes;    // at least 1
  std::size_t positions;  // logits are (rows / positions, classes, positions)
  std::int64_t ignore_index;
};

// The loops, compiled once for each instruction set, for the rows from `first` to `last` - 1.
#define XENT_STATISTICS_LOOPS(name)                                                               \
  namespace name {                                                                                \
  void softmax_statistics(const StatisticsRows&, Storage, std::size_t first, std::size_t last);    \
  }
XENT_STATISTICS_LOOPS(portable)
XENT_STATISTICS_LOOPS(avx2)
XENT_STATISTICS_LOOPS(avx512)
#undef XENT_STATISTICS_LOOPS

}  // namespace xent
