// The categorical losses against probabilities of the classes instead of one class index.
//
// With p = softmax(x), t the targets of a row, s its weight, class weights w, smoothing e, z-loss z
// and k_c = w_c * ((1 - e) * t_c + e / C) the loss is
//   s * (sum over c of k_c * (lse - x_c) + z * lse^2)
// and its gradient s * ((sum of k) * p_c - k_c + 2 * z * lse * p_c). A k_c of 0 drops its term.
#pragma once

#include "softmax.hpp"

namespace xent {

struct SoftTargetRows {
  const void* logits;
  const void* target;        // like the logits
  const void* class_weight;  // float, or double for double logits; null: 1 everywhere
  const void* row_weight;    // likewise, one a row
  void* gradient;            // like the logits; null: none
  void* losses;              // one a row, like the logits; null: none
  std::size_t rows;
  std::size_t classes;    // at least 1
  std::size_t positions;  // logits are (rows / positions, classes, positions)
  double label_smoothing;
  double z_loss;
  double scale;    // of the gradient
  bool streaming;  // past the caches: the gradient is large and its pages have been used before
};

// The loops, compiled once for each instruction set. Each returns the sum of the losses of the rows
// from `first` to `last` - 1, and writes their gradients and losses.
#define XENT_SOFT_TARGET_LOOPS(name)                                                           \
  namespace name {                                                                             \
  double soft_target_rows(const SoftTargetRows&, Storage, std::size_t first, std::size_t last); \
  }
XENT_SOFT_TARGET_LOOPS(portable)
XENT_SOFT_TARGET_LOOPS(avx2)
XENT_SOFT_TARGET_LOOPS(avx512)
#undef XENT_SOFT_TARGET_LOOPS

}  // namespace xent
