// Python bindings: the argument types state the contract, and no arithmetic lives here.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <stdexcept>
#include <vector>

#include "histogram.hpp"
#include "parallel.hpp"
#include "sigmoid.hpp"

namespace nb = nanobind;

namespace {

template <typename Scalar>
using Column = nb::ndarray<const Scalar, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Sums = nb::ndarray<nb::numpy, double, nb::ndim<1>>;

Sums give_to_numpy(std::unique_ptr<double[]> values, std::size_t size) {
  double* data = values.get();
  nb::capsule owner(data, [](void* pointer) noexcept { delete[] static_cast<double*>(pointer); });
  values.release();
  return Sums(data, {size}, owner);
}

nb::tuple log_odds_histogram(Column<double> score, Column<std::uint8_t> label,
                             std::optional<Column<double>> weight, Column<double> probability,
                             double limit, std::size_t bins) {
  const std::size_t rows = score.shape(0);
  if (label.shape(0) != rows || probability.shape(0) != rows ||
      (weight && weight->shape(0) != rows)) {
    throw std::invalid_argument("[log_odds_histogram] columns must have the same length");
  }
  if (bins == 0 || !(limit > 0.0)) {
    throw std::invalid_argument("[log_odds_histogram] bins and limit must be positive");
  }
  auto weight_sums = std::make_unique<double[]>(bins);
  auto label_sums = std::make_unique<double[]>(bins);
  auto probability_sums = std::make_unique<double[]>(bins);
  const xent::ScoredRows scored{score.data(), label.data(), weight ? weight->data() : nullptr,
                                probability.data(), rows};
  const xent::BinSums sums{weight_sums.get(), label_sums.get(), probability_sums.get()};
  bool all_numbers = false;
  {
    nb::gil_scoped_release release;
    all_numbers = xent::add_to_bins(scored, limit, bins, sums);
  }
  if (!all_numbers) throw nb::value_error("NaN");
  return nb::make_tuple(give_to_numpy(std::move(weight_sums), bins),
                        give_to_numpy(std::move(label_sums), bins),
                        give_to_numpy(std::move(probability_sums), bins));
}

// The fastest of them that this processor can run.
xent::SigmoidSum find_sigmoid_sum() {
#if defined(XENT_X86_INSTRUCTION_SETS)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw")) {
    return xent::avx512::sigmoid_sum;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return xent::avx2::sigmoid_sum;
#endif
  return xent::portable::sigmoid_sum;
}

// Columns of one task: 64 KiB of logits and slopes, and enough of them to outweigh its dispatch.
constexpr std::size_t columns_per_task = 8192;

// Addresses instead of arrays: an array argument costs more than the arithmetic of a small call.
// The caller in Python has checked shapes, dtype and layout.
void sigmoid_sums(std::uintptr_t logits, std::uintptr_t coefficients, std::uintptr_t total,
                  std::uintptr_t slope, std::uintptr_t values, std::size_t members,
                  std::size_t outputs, std::size_t columns, std::size_t coefficient_stride,
                  std::size_t coefficient_member, std::size_t total_member, unsigned threads) {
  static const xent::SigmoidSum sum = find_sigmoid_sum();
  const xent::SigmoidRows rows{reinterpret_cast<const float*>(logits),
                               reinterpret_cast<const float*>(coefficients),
                               reinterpret_cast<const float*>(total),
                               reinterpret_cast<float*>(slope),
                               columns,
                               outputs,
                               coefficient_stride,
                               coefficient_member,
                               total_member};
  const std::size_t pieces = (columns + columns_per_task - 1) / columns_per_task;
  std::vector<double> sums(members * outputs * pieces);
  nb::gil_scoped_release release;
  xent::run_tasks(sums.size(), threads, [&](std::size_t task) {
    const std::size_t first = task % pieces * columns_per_task;
    sums[task] = sum(rows, task / pieces, first, std::min(columns_per_task, columns - first));
  });
  auto* value = reinterpret_cast<double*>(values);
  for (std::size_t member = 0; member < members; ++member) {
    value[member] = 0.0;
    for (std::size_t i = 0; i < outputs * pieces; ++i) {
      value[member] += sums[member * outputs * pieces + i];
    }
  }
}

}  // namespace

NB_MODULE(_native, module) {
  module.doc() = "Native arithmetic of xent; NumPy takes its place where it is not installed.";
  // noconvert: a column of another type or layout is an error, never a silent copy.
  module.def("log_odds_histogram", &log_odds_histogram, nb::arg("score").noconvert(),
             nb::arg("label").noconvert(), nb::arg("weight").noconvert().none(),
             nb::arg("probability").noconvert(), nb::arg("limit"), nb::arg("bins"),
             "Sums of weight, weight * label and weight * probability per bin of the score.");
  module.def("sigmoid_sums", &sigmoid_sums,
             "Losses of independent sigmoids summed per stack member, and their slopes.");
}
