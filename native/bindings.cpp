// Python bindings: the argument types state the contract, and no arithmetic lives here.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <vector>

#include "histogram.hpp"
#include "losses.hpp"
#include "pool.hpp"
#include "pooled_tensor.hpp"

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

// ---- losses ----
//
// Addresses instead of arrays: an array argument costs more than the arithmetic of a small call.
// The caller in Python has checked shapes, dtype and layout.

template <typename T>
T* at(std::uintptr_t address) {
  return reinterpret_cast<T*>(address);
}

// Below this many elements a call ends before another thread could take what it waits for.
constexpr std::size_t least_elements_without_lock = 4096;

template <typename Run>
auto without_lock(std::size_t elements, const Run& run) {
  if (elements < least_elements_without_lock) return run();
  nb::gil_scoped_release release;
  return run();
}

std::int64_t rows_loss(int kind, std::uintptr_t input, std::uintptr_t target,
                       std::uintptr_t class_weight, std::uintptr_t row_weight,
                       std::uintptr_t gradient, std::uintptr_t losses, std::uintptr_t loss,
                       std::size_t rows, std::size_t classes, std::size_t positions, int storage,
                       int reduction, bool zero_if_all_ignored, std::int64_t ignore_index,
                       double label_smoothing, double z_loss, double total_class_weight,
                       bool streaming, unsigned threads) {
  const xent::SoftmaxRows of_rows{at<const void>(input),
                                  at<const std::int64_t>(target),
                                  at<const void>(class_weight),
                                  at<const void>(row_weight),
                                  at<void>(gradient),
                                  at<void>(losses),
                                  rows,
                                  classes,
                                  positions,
                                  ignore_index,
                                  label_smoothing,
                                  z_loss,
                                  total_class_weight,
                                  1.0,
                                  streaming};
  const xent::Result result{at<void>(loss), static_cast<xent::Storage>(storage),
                            static_cast<xent::Reduction>(reduction), zero_if_all_ignored, threads};
  return without_lock(rows * classes, [&] {
    return xent::rows_loss(static_cast<xent::RowKind>(kind), of_rows, result);
  });
}

void soft_target_loss(std::uintptr_t input, std::uintptr_t target, std::uintptr_t class_weight,
                      std::uintptr_t row_weight, std::uintptr_t gradient, std::uintptr_t losses,
                      std::uintptr_t loss, std::size_t rows, std::size_t classes,
                      std::size_t positions, int storage, int reduction, bool zero_if_all_ignored,
                      double label_smoothing, double z_loss, bool streaming, unsigned threads) {
  const xent::SoftTargetRows of_rows{at<const void>(input),
                                     at<const void>(target),
                                     at<const void>(class_weight),
                                     at<const void>(row_weight),
                                     at<void>(gradient),
                                     at<void>(losses),
                                     rows,
                                     classes,
                                     positions,
                                     label_smoothing,
                                     z_loss,
                                     1.0,
                                     streaming};
  const xent::Result result{at<void>(loss), static_cast<xent::Storage>(storage),
                            static_cast<xent::Reduction>(reduction), zero_if_all_ignored, threads};
  without_lock(rows * classes, [&] { xent::soft_target_loss(of_rows, result); });
}

std::int64_t softmax_statistics(std::uintptr_t input, std::uintptr_t target, std::uintptr_t nll,
                                std::uintptr_t log_sum_exp, std::uintptr_t entropy,
                                std::uintptr_t prediction, std::size_t rows, std::size_t classes,
                                std::size_t positions, int storage, std::int64_t ignore_index,
                                unsigned threads) {
  const xent::StatisticsRows of_rows{at<const void>(input),
                                     at<const std::int64_t>(target),
                                     at<void>(nll),
                                     at<void>(log_sum_exp),
                                     at<void>(entropy),
                                     at<std::int64_t>(prediction),
                                     rows,
                                     classes,
                                     positions,
                                     ignore_index};
  return without_lock(rows * classes, [&] {
    return xent::statistics_of_rows(of_rows, static_cast<xent::Storage>(storage), threads);
  });
}

bool elements_loss(bool of_probabilities, std::uintptr_t input, std::uintptr_t target,
                   std::uintptr_t weight, std::size_t weight_period, std::uintptr_t pos_weight,
                   std::size_t pos_weight_period, std::uintptr_t gradient, std::uintptr_t losses,
                   std::uintptr_t loss, std::size_t size, std::size_t counted, int storage,
                   int reduction, bool zero_if_all_ignored, double label_smoothing, bool ignores,
                   double ignored_target, bool streaming, unsigned threads) {
  const xent::Elements elements{at<const void>(input),
                                at<const void>(target),
                                at<const void>(weight),
                                at<const void>(pos_weight),
                                at<void>(gradient),
                                at<void>(losses),
                                weight_period,
                                pos_weight_period,
                                label_smoothing,
                                ignored_target,
                                ignores,
                                streaming,
                                1.0};
  const xent::Result result{at<void>(loss), static_cast<xent::Storage>(storage),
                            static_cast<xent::Reduction>(reduction), zero_if_all_ignored, threads};
  return without_lock(
      size, [&] { return xent::elements_loss(of_probabilities, elements, size, counted, result); });
}

void sigmoid_sums(std::uintptr_t logits, std::uintptr_t coefficients, std::uintptr_t total,
                  std::uintptr_t slope, std::uintptr_t values, std::size_t members,
                  std::size_t outputs, std::size_t columns, std::size_t coefficient_stride,
                  std::size_t coefficient_member, std::size_t total_member, unsigned threads) {
  const xent::SigmoidRows rows{at<const float>(logits),
                               at<const float>(coefficients),
                               at<const float>(total),
                               at<float>(slope),
                               columns,
                               outputs,
                               coefficient_stride,
                               coefficient_member,
                               total_member};
  nb::gil_scoped_release release;
  xent::stack_sums(rows, members, threads, at<double>(values));
}

void copy_past_caches(std::uintptr_t source, std::uintptr_t other, std::uintptr_t destination,
                      std::size_t bytes, unsigned threads) {
  nb::gil_scoped_release release;
  xent::copy_past_caches(at<const float>(source), at<const float>(other), at<float>(destination),
                         bytes / sizeof(float), threads);
}

// ---- gradients that reuse memory ----

void give_back(xent::dlpack::ManagedTensor* tensor) {
  std::unique_ptr<xent::PooledTensor> owner(static_cast<xent::PooledTensor*>(tensor->manager));
  xent::give_block_back(owner->block);
}

// A capsule that a framework takes over; unless it did, the capsule gives the block back.
nb::object pooled_tensor(std::vector<std::int64_t> shape, int storage) {
  std::unique_ptr<xent::PooledTensor> tensor =
      xent::make_pooled_tensor(std::move(shape), static_cast<xent::Storage>(storage), give_back);
  if (tensor == nullptr) return nb::none();
  const bool used = tensor->block.used;
  PyObject* capsule = PyCapsule_New(&tensor->managed, "dltensor", [](PyObject* self) {
    if (!PyCapsule_IsValid(self, "dltensor")) return;
    auto* managed = static_cast<xent::dlpack::ManagedTensor*>(PyCapsule_GetPointer(self, "dltensor"));
    managed->deleter(managed);
  });
  if (capsule == nullptr) throw nb::python_error();
  tensor.release();
  return nb::make_tuple(nb::steal(capsule), used);
}

}  // namespace

NB_MODULE(_native, module) {
  module.doc() = "Native arithmetic of xent; NumPy takes its place where it is not installed.";
  // noconvert: a column of another type or layout is an error, never a silent copy.
  module.def("log_odds_histogram", &log_odds_histogram, nb::arg("score").noconvert(),
             nb::arg("label").noconvert(), nb::arg("weight").noconvert().none(),
             nb::arg("probability").noconvert(), nb::arg("limit"), nb::arg("bins"),
             "Sums of weight, weight * label and weight * probability per bin of the score.");
  module.def("rows_loss", &rows_loss, "Loss of rows with a class index each, and its gradient.");
  module.def("soft_target_loss", &soft_target_loss,
             "Loss of rows with probabilities of the classes, and its gradient.");
  module.def("softmax_statistics", &softmax_statistics,
             "Negative log-likelihood, log-sum-exp, entropy and prediction of each row.");
  module.def("elements_loss", &elements_loss, "Binary cross-entropy, and its gradient.");
  module.def("sigmoid_sums", &sigmoid_sums,
             "Losses of independent sigmoids summed per stack member, and their slopes.");
  module.def("copy_past_caches", &copy_past_caches, "The bytes of a loss without its arithmetic.");
  module.def("pooled_tensor", &pooled_tensor,
             "Memory as a DLPack capsule that comes back to the pool, and whether it was used.");
  module.def("empty_pool", &xent::empty_pool, "Return idle gradient memory; how many bytes.");
  module.def("instruction_set", &xent::instruction_set, "Name of the loops in use.");
  module.def("choose_instruction_set", &xent::choose_instruction_set,
             "Use other loops; False where this processor can't run them.");
}
