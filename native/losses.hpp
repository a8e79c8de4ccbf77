// Whole losses: targets are looked at, work is split over threads, sums become the result.
#pragma once

#include <cstddef>
#include <cstdint>

#include "sigmoid.hpp"
#include "soft_targets.hpp"
#include "softmax.hpp"
#include "statistics.hpp"

namespace xent {

enum class Reduction { none, mean, sum };

// How the sum of a loss becomes its result, and where that goes.
struct Result {
  void* loss;  // one double for doubles, one float for all others; null: none
  Storage storage;
  Reduction reduction;
  bool zero_if_all_ignored;
  unsigned threads;
};

constexpr std::int64_t all_in_range = -1;

enum class RowKind { softmax, nll };

// Returns where the first target stands that is no class, or `all_in_range`.
std::int64_t rows_loss(RowKind kind, SoftmaxRows rows, const Result& result);

// Against probabilities of the classes. The mean divides by the rows' weights.
void soft_target_loss(SoftTargetRows rows, const Result& result);

std::int64_t statistics_of_rows(const StatisticsRows& rows, Storage storage, unsigned threads);

// Returns whether probabilities and targets lie in [0, 1]; of logits always true.
bool elements_loss(bool of_probabilities, Elements elements, std::size_t size,
                   std::size_t counted, const Result& result);

// Sums of a stack of binary losses, one a member.
void stack_sums(const SigmoidRows& rows, std::size_t members, unsigned threads, double* values);

void copy_past_caches(const float* source, const float* other, float* destination,
                      std::size_t size, unsigned threads);

// The name of the instruction set in use; `choose_instruction_set` takes another, for tests.
const char* instruction_set();
bool choose_instruction_set(const char* name);

}  // namespace xent
