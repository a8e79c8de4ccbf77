// Histogram of scores on the log-odds scale: the sums behind calibration and streaming AUC.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace xent {

// Sums per bin; each pointer leads to `bins` zeros that the caller owns.
struct BinSums {
  double* weight;
  double* label_weight;
  double* probability_weight;
};

// Rows to be sorted into bins; a null weight counts each row once.
struct ScoredRows {
  const double* score;
  const std::uint8_t* label;
  const double* weight;
  const double* probability;
  std::size_t rows;
};

// Adds every row to its bin and returns false at the first NaN score. Scores outside
// [-limit, limit], infinities included, fall into the end bins. The operations and their order are
// those of the NumPy twin, so both give the same bits.
inline bool add_to_bins(const ScoredRows& rows, double limit, std::size_t bins,
                        const BinSums& sums) {
  const double bins_per_unit = static_cast<double>(bins) / (2.0 * limit);
  for (std::size_t row = 0; row < rows.rows; ++row) {
    const double score = rows.score[row];
    if (std::isnan(score)) return false;
    const double place = (std::clamp(score, -limit, limit) + limit) * bins_per_unit;
    const std::size_t bin = std::min(static_cast<std::size_t>(place), bins - 1);
    const double weight = rows.weight ? rows.weight[row] : 1.0;
    sums.weight[bin] += weight;
    sums.label_weight[bin] += weight * rows.label[row];
    sums.probability_weight[bin] += weight * rows.probability[row];
  }
  return true;
}

}  // namespace xent
