// Log-probabilities of rows with a class index each: one is read, and one slope is not zero.
#include "softmax_row.hpp"

namespace xent::XENT_INSTRUCTION_SET {
namespace {

template <typename Stored>
double run_nll(const SoftmaxRows& rows, std::size_t first, std::size_t last) {
  using S = Scalar<Stored>;
  const auto* input = static_cast<const Stored*>(rows.logits);
  auto* gradient = static_cast<Stored*>(rows.gradient);
  auto* losses = static_cast<Stored*>(rows.losses);
  CompensatedSum<double> total;
  for (std::size_t row = first; row < last; ++row) {
    const std::size_t image = row / rows.positions, position = row % rows.positions;
    const std::size_t start = image * rows.classes * rows.positions + position;
    const std::int64_t target = rows.target[row];
    double loss = 0.0;
    if (target != rows.ignore_index) {
      const std::size_t c = static_cast<std::size_t>(target);
      const std::size_t place = start + c * rows.positions;
      const double weight = static_cast<double>(weight_at<S>(rows.class_weight, c)) *
                            weight_at<S>(rows.row_weight, row);
      // A weight of 0 drops its term, even an infinite one.
      loss = weight == 0.0 ? 0.0 : -weight * static_cast<double>(widen(input[place]));
      // The gradient comes zeroed.
      if (gradient != nullptr) narrow(static_cast<S>(-weight * rows.scale), gradient + place);
    }
    if (losses != nullptr) narrow(static_cast<S>(loss), losses + row);
    total.add(loss);
  }
  return total.value();
}

}  // namespace

double nll_rows(const SoftmaxRows& rows, Storage storage, std::size_t first, std::size_t last) {
  switch (storage) {
    case Storage::float64: return run_nll<double>(rows, first, last);
    case Storage::bfloat16: return run_nll<bfloat16>(rows, first, last);
    case Storage::float16: return run_nll<float16>(rows, first, last);
    default: return run_nll<float>(rows, first, last);
  }
}

}  // namespace xent::XENT_INSTRUCTION_SET
