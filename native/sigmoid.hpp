// Binary cross-entropy: each element is a yes or no by itself.
//
// With a = pos_weight * target * weight and b = (1 - target) * weight, smoothed targets included:
//   of a logit x        a * softplus(-x) + b * softplus(x)
//   of a probability p  -a * max(log p, -100) - b * max(log(1 - p), -100)
#pragma once

#include <cstddef>
#include <cstdint>

#include "softmax.hpp"

namespace xent {

struct Elements {
  const void* input;
  const void* target;
  const void* weight;      // null: 1 everywhere
  const void* pos_weight;  // null: 1 everywhere
  void* gradient;          // null: none
  void* losses;            // null: none
  std::size_t weight_period;  // entry i weighs element i % period
  std::size_t pos_weight_period;
  double label_smoothing;
  double ignored_target;
  bool ignores;
  bool streaming;  // past the caches: the gradient is large and its pages have been used before
  double scale;    // of the gradient
};

struct ElementSums {
  double loss;
  bool in_range;  // no probability or target outside [0, 1], as far as they are looked at
};

// Rows of `columns` logits; row r is output r % outputs of stack member r / outputs. The loss is
//   t * softplus(u) - c * u      and its slope t * sigmoid(u) - c
// for coefficients c (of the positive side) and t (of both sides together).
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

// The loops, compiled once for each instruction set: of elements `first` to `last` - 1, and of
// `columns` columns from `first` of one row.
#define XENT_SIGMOID_LOOPS(name)                                                               \
  namespace name {                                                                             \
  ElementSums sigmoid_elements(const Elements&, Storage, std::size_t first, std::size_t last);     \
  ElementSums probability_elements(const Elements&, Storage, std::size_t first, std::size_t last); \
  double sigmoid_sum(const SigmoidRows&, std::size_t row, std::size_t first, std::size_t columns);  \
  }
XENT_SIGMOID_LOOPS(portable)
XENT_SIGMOID_LOOPS(avx2)
XENT_SIGMOID_LOOPS(avx512)
#undef XENT_SIGMOID_LOOPS

}  // namespace xent
