// Python bindings: the argument types state the contract, and no arithmetic lives here.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>

#include <memory>
#include <optional>
#include <stdexcept>

#include "histogram.hpp"

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

}  // namespace

NB_MODULE(_native, module) {
  module.doc() = "Native arithmetic of xent; NumPy takes its place where it is not installed.";
  // noconvert: a column of another type or layout is an error, never a silent copy.
  module.def("log_odds_histogram", &log_odds_histogram, nb::arg("score").noconvert(),
             nb::arg("label").noconvert(), nb::arg("weight").noconvert().none(),
             nb::arg("probability").noconvert(), nb::arg("limit"), nb::arg("bins"),
             "Sums of weight, weight * label and weight * probability per bin of the score.");
}
