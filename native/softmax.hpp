// The categorical losses: rows of logits, one class index each.
//
// With p = softmax(x), a row of weight s, class weights w, smoothing e and z-loss z the loss is
//   s * (w_y * ((1 - e) * nll + z * lse^2) + e / C * sum over c of w_c * (lse - x_c))
// and its gradient a * p_c - u * w_c, less b at the target, with coefficients a, b, u of the row.
#pragma once

#include <cstddef>
#include <cstdint>

namespace xent {

struct SoftmaxRows {
  const void* logits;
  const std::int64_t* target;
  const void* class_weight;  // float, or double for double logits; null: 1 everywhere
  const void* row_weight;    // likewise, one a row
  void* gradient;            // like the logits; null: none
  void* losses;              // one a row, like the logits; null: none
  std::size_t rows;
  std::size_t classes;
  std::size_t positions;  // logits are (rows / positions, classes, positions)
  std::int64_t ignore_index;
  double label_smoothing;
  double z_loss;
  double total_class_weight;
  double scale;    // of the gradient
  bool streaming;  // past the caches: the gradient is large and its pages have been used before
};

enum class Storage { float32, float64, bfloat16, float16 };

// The loops, compiled once for each instruction set. Each returns the sum of the losses of the rows
// from `first` to `last` - 1, and writes their gradients and losses.
#define XENT_SOFTMAX_LOOPS(name)                                                           \
  namespace name {                                                                         \
  double softmax_rows(const SoftmaxRows&, Storage, std::size_t first, std::size_t last);    \
  double softmax_positions(const SoftmaxRows&, Storage, std::size_t first, std::size_t last); \
  double softmax_pairs(const SoftmaxRows&, Storage, std::size_t first, std::size_t last);   \
  double nll_rows(const SoftmaxRows&, Storage, std::size_t first, std::size_t last);        \
  }
XENT_SOFTMAX_LOOPS(portable)
XENT_SOFTMAX_LOOPS(avx2)
XENT_SOFTMAX_LOOPS(avx512)
#undef XENT_SOFTMAX_LOOPS

}  // namespace xent
