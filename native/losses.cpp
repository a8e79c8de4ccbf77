#include "losses.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>

#include "copy.hpp"
#include "parallel.hpp"
#include "targets.hpp"

namespace xent {
namespace {

// ---- instruction sets ----

struct Loops {
  const char* name;
  decltype(&portable::count_targets) count_targets;
  decltype(&portable::softmax_rows) softmax_rows;
  decltype(&portable::softmax_positions) softmax_positions;
  decltype(&portable::softmax_pairs) softmax_pairs;
  decltype(&portable::nll_rows) nll_rows;
  decltype(&portable::soft_target_rows) soft_target_rows;
  decltype(&portable::softmax_statistics) softmax_statistics;
  decltype(&portable::sigmoid_elements) sigmoid_elements;
  decltype(&portable::probability_elements) probability_elements;
  decltype(&portable::sigmoid_sum) sigmoid_sum;
  decltype(&portable::copy_past_caches) copy_past_caches;
  bool available;
};

#define XENT_LOOPS(name, available)                                                               \
  Loops {                                                                                         \
    #name, name::count_targets, name::softmax_rows, name::softmax_positions, name::softmax_pairs, name::nll_rows, name::soft_target_rows, name::softmax_statistics, name::sigmoid_elements, name::probability_elements,             \
        name::sigmoid_sum, name::copy_past_caches, available                                      \
  }

// Fastest first.
const Loops* known_loops(std::size_t& count) {
#if defined(XENT_X86_INSTRUCTION_SETS)
  __builtin_cpu_init();
  static const Loops known[] = {
      XENT_LOOPS(avx512, __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                             __builtin_cpu_supports("avx512vl") &&
                             __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("fma")),
      XENT_LOOPS(avx2, __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                           __builtin_cpu_supports("f16c")),
      XENT_LOOPS(portable, true)};
#else
  static const Loops known[] = {XENT_LOOPS(portable, true)};
#endif
  count = sizeof known / sizeof known[0];
  return known;
}

const Loops* fastest() {
  std::size_t count;
  const Loops* known = known_loops(count);
  while (!known->available) ++known;
  return known;
}

const Loops*& loops() {
  static const Loops* chosen = fastest();
  return chosen;
}

// ---- rows ----

// Elements of one task: enough to outweigh its dispatch, few enough to share the work evenly, and of
// large losses as many as keep the pipeline of rows full. The size alone says, so that sums are the
// same for every number of threads.
constexpr std::size_t elements_per_task = 65536, most_elements_per_task = 1 << 20;

std::size_t elements_of_task(std::size_t size) {
  return std::min(std::max(size / 64, elements_per_task), most_elements_per_task);
}
// Rows of few classes pass through side by side, so many at a time that blocks stay aligned.
constexpr std::size_t rows_together = 128;
// From here on a row has enough classes to fill vectors by itself.
constexpr std::size_t classes_of_long_rows = 96;
// Below this a gradient stays in the caches, where what comes next reads it.
constexpr std::size_t least_streamed_bytes = std::size_t{16} << 20;

std::size_t bytes_of(Storage storage) {
  return storage == Storage::float64 ? 8 : storage == Storage::float32 ? 4 : 2;
}

double weight_at(const void* weights, Storage storage, std::size_t i) {
  if (weights == nullptr) return 1.0;
  return storage == Storage::float64 ? static_cast<const double*>(weights)[i]
                                     : static_cast<const float*>(weights)[i];
}

// A sum that keeps what its additions round away: of many terms one after the other.
class LongSum {
 public:
  void add(double part) {
    const double sum = total_ + part, of_total = sum - part;
    lost_ += (total_ - of_total) + (part - (sum - of_total));
    total_ = sum;
  }
  // Of an infinite sum nothing is lost that could be told.
  double value() const { return lost_ == lost_ ? total_ + lost_ : total_; }

 private:
  double total_ = 0.0, lost_ = 0.0;
};

struct TargetSums {
  double weight = 0.0;
  std::size_t first_outside = std::numeric_limits<std::size_t>::max();
};

// The denominator of the mean, before anything is written: a target outside costs nothing then.
TargetSums look_at_targets(const SoftmaxRows& rows, Storage storage, std::size_t first,
                           std::size_t last) {
  TargetSums sums;
  if (rows.class_weight == nullptr && rows.row_weight == nullptr) {
    const TargetCounts counts =
        loops()->count_targets(rows.target + first, last - first, rows.ignore_index, rows.classes);
    sums.weight = static_cast<double>(counts.counted);
    if (counts.outside == 0) return sums;
  }
  LongSum weight;
  for (std::size_t i = first; i < last; ++i) {
    const std::int64_t target = rows.target[i];
    if (target == rows.ignore_index) continue;
    if (static_cast<std::uint64_t>(target) >= rows.classes) {
      sums.first_outside = i;
      return sums;
    }
    weight.add(weight_at(rows.class_weight, storage, static_cast<std::size_t>(target)) *
               weight_at(rows.row_weight, storage, i));
  }
  sums.weight = weight.value();
  return sums;
}

TargetSums look_at_all_targets(const SoftmaxRows& rows, Storage storage, unsigned threads) {
  const std::size_t tasks = (rows.rows + elements_per_task - 1) / elements_per_task;
  if (tasks <= 1) return look_at_targets(rows, storage, 0, rows.rows);
  const std::unique_ptr<TargetSums[]> parts(new TargetSums[tasks]);
  run_tasks(tasks, threads, [&](std::size_t task) {
    const std::size_t first = task * elements_per_task;
    parts[task] =
        look_at_targets(rows, storage, first, std::min(rows.rows, first + elements_per_task));
  });
  TargetSums sums;
  LongSum weight;
  for (std::size_t task = 0; task < tasks; ++task) {
    weight.add(parts[task].weight);
    sums.first_outside = std::min(sums.first_outside, parts[task].first_outside);
  }
  sums.weight = weight.value();
  return sums;
}

// Sums of tasks, added in their order: the same for every number of threads.
template <typename Run>
double sum_of_tasks(std::size_t size, std::size_t per_task, unsigned threads, const Run& run) {
  const std::size_t tasks = (size + per_task - 1) / per_task;
  if (tasks <= 1) return size == 0 ? 0.0 : run(0, size);
  const std::unique_ptr<double[]> sums(new double[tasks]);
  run_tasks(tasks, threads, [&](std::size_t task) {
    const std::size_t first = task * per_task;
    sums[task] = run(first, std::min(size, first + per_task));
  });
  LongSum total;
  for (std::size_t task = 0; task < tasks; ++task) total.add(sums[task]);
  return total.value();
}

// Rows of a task, a multiple of what passes through side by side.
std::size_t rows_of_task(std::size_t classes) {
  const std::size_t rows =
      std::max<std::size_t>(1, elements_per_task / std::max<std::size_t>(1, classes));
  return (rows + rows_together - 1) / rows_together * rows_together;
}

void write_number(double value, const Result& result) {
  if (result.loss == nullptr) return;
  if (result.storage == Storage::float64) {
    std::memcpy(result.loss, &value, sizeof value);
    return;
  }
  // Of half types too: the caller rounds it to them.
  const float rounded = static_cast<float>(value);
  std::memcpy(result.loss, &rounded, sizeof rounded);
}

double mean_of(double total, double weight, const Result& result) {
  if (weight != 0.0) return total / weight;
  return result.zero_if_all_ignored ? 0.0 : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

std::int64_t rows_loss(RowKind kind, SoftmaxRows rows, const Result& result) {
  const TargetSums targets = look_at_all_targets(rows, result.storage, result.threads);
  if (targets.first_outside < rows.rows) return static_cast<std::int64_t>(targets.first_outside);
  const bool is_mean = result.reduction == Reduction::mean;
  if (is_mean) rows.scale = targets.weight == 0.0 ? 0.0 : 1.0 / targets.weight;
  const std::size_t elements = rows.rows * rows.classes;
  rows.streaming &= elements * bytes_of(result.storage) >= least_streamed_bytes;
  const bool is_long = rows.positions == 1 && rows.classes >= classes_of_long_rows;
  // Pairs tell targets apart by 32 bits.
  const bool is_pair = rows.positions == 1 && rows.classes == 2 && rows.z_loss == 0.0 &&
                       rows.ignore_index == static_cast<std::int32_t>(rows.ignore_index);
  const auto run = kind == RowKind::nll ? loops()->nll_rows
                   : is_long            ? loops()->softmax_rows
                   : is_pair            ? loops()->softmax_pairs
                                        : loops()->softmax_positions;
  const std::size_t per_task = is_long ? std::max<std::size_t>(1, elements_of_task(elements) / rows.classes)
                                       : rows_of_task(rows.classes);
  const double total = sum_of_tasks(
      rows.rows, per_task, result.threads,
      [&](std::size_t first, std::size_t last) { return run(rows, result.storage, first, last); });
  if (result.reduction != Reduction::none) {
    write_number(is_mean ? mean_of(total, targets.weight, result) : total, result);
  }
  return all_in_range;
}

void soft_target_loss(SoftTargetRows rows, const Result& result) {
  double weight = static_cast<double>(rows.rows);
  if (rows.row_weight != nullptr) {
    weight = sum_of_tasks(rows.rows, elements_per_task, result.threads,
                          [&](std::size_t first, std::size_t last) {
                            LongSum sum;
                            for (std::size_t i = first; i < last; ++i) {
                              sum.add(weight_at(rows.row_weight, result.storage, i));
                            }
                            return sum.value();
                          });
  }
  const bool is_mean = result.reduction == Reduction::mean;
  if (is_mean) rows.scale = weight == 0.0 ? 0.0 : 1.0 / weight;
  rows.streaming &= rows.rows * rows.classes * bytes_of(result.storage) >= least_streamed_bytes;
  const std::size_t per_task = rows.classes < classes_of_long_rows || rows.positions > 1
                                   ? rows_of_task(rows.classes)
                                   : std::max<std::size_t>(1, elements_of_task(rows.rows * rows.classes) / rows.classes);
  const double total = sum_of_tasks(
      rows.rows, per_task, result.threads, [&](std::size_t first, std::size_t last) {
        return loops()->soft_target_rows(rows, result.storage, first, last);
      });
  if (result.reduction != Reduction::none) {
    write_number(is_mean ? mean_of(total, weight, result) : total, result);
  }
}

std::int64_t statistics_of_rows(const StatisticsRows& rows, Storage storage, unsigned threads) {
  SoftmaxRows looked_at{};
  looked_at.target = rows.target;
  looked_at.rows = rows.rows;
  looked_at.classes = rows.classes;
  looked_at.ignore_index = rows.ignore_index;
  const TargetSums targets = look_at_all_targets(looked_at, storage, threads);
  if (targets.first_outside < rows.rows) return static_cast<std::int64_t>(targets.first_outside);
  sum_of_tasks(rows.rows, rows_of_task(rows.classes), threads,
               [&](std::size_t first, std::size_t last) {
                 loops()->softmax_statistics(rows, storage, first, last);
                 return 0.0;
               });
  return all_in_range;
}

// ---- elements ----

bool elements_loss(bool of_probabilities, Elements elements, std::size_t size,
                   std::size_t counted, const Result& result) {
  const bool is_mean = result.reduction == Reduction::mean;
  if (is_mean) elements.scale = counted == 0 ? 0.0 : 1.0 / static_cast<double>(counted);
  elements.streaming &= size * bytes_of(result.storage) >= least_streamed_bytes;
  const auto run = of_probabilities ? loops()->probability_elements : loops()->sigmoid_elements;
  std::atomic<bool> all_inside{true};
  const double total = sum_of_tasks(
      size, elements_per_task, result.threads, [&](std::size_t first, std::size_t last) {
        const ElementSums sums = run(elements, result.storage, first, last);
        if (!sums.in_range) all_inside.store(false, std::memory_order_relaxed);
        return sums.loss;
      });
  if (of_probabilities && !all_inside) return false;
  if (result.reduction != Reduction::none) {
    write_number(is_mean ? mean_of(total, static_cast<double>(counted), result) : total, result);
  }
  return true;
}

void stack_sums(const SigmoidRows& rows, std::size_t members, unsigned threads, double* values) {
  // 64 KiB of logits and slopes a task.
  constexpr std::size_t columns_per_task = 8192;
  const auto run = loops()->sigmoid_sum;
  const std::size_t pieces = (rows.columns + columns_per_task - 1) / columns_per_task;
  const std::size_t tasks = members * rows.outputs * pieces;
  const std::unique_ptr<double[]> sums(new double[tasks]);
  run_tasks(tasks, threads, [&](std::size_t task) {
    const std::size_t first = task % pieces * columns_per_task;
    sums[task] =
        run(rows, task / pieces, first, std::min(columns_per_task, rows.columns - first));
  });
  for (std::size_t member = 0; member < members; ++member) {
    values[member] = 0.0;
    for (std::size_t i = 0; i < rows.outputs * pieces; ++i) {
      values[member] += sums[member * rows.outputs * pieces + i];
    }
  }
}

void copy_past_caches(const float* source, const float* other, float* destination,
                      std::size_t size, unsigned threads) {
  const std::size_t tasks = (size + elements_per_task - 1) / elements_per_task;
  run_tasks(tasks, threads, [&](std::size_t task) {
    const std::size_t first = task * elements_per_task;
    loops()->copy_past_caches(source + first, other == nullptr ? nullptr : other + first,
                              destination + first, std::min(elements_per_task, size - first));
  });
}

const char* instruction_set() { return loops()->name; }

bool choose_instruction_set(const char* name) {
  std::size_t count;
  const Loops* known = known_loops(count);
  for (std::size_t i = 0; i < count; ++i) {
    if (known[i].available && std::strcmp(known[i].name, name) == 0) {
      loops() = known + i;
      return true;
    }
  }
  return false;
}

}  // namespace xent
