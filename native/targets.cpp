// Class indices, looked at before anything is computed of them.
#include "targets.hpp"

#include "vector.hpp"

namespace xent::XENT_INSTRUCTION_SET {

TargetCounts count_targets(const std::int64_t* target, std::size_t size, std::int64_t ignore_index,
                           std::size_t classes) {
  constexpr std::size_t n = width<double>;
  const int64s ignored = int64s{} + ignore_index;
  const int64s last = int64s{} + (static_cast<std::int64_t>(classes) - 1);
  int64s not_ignored{}, outside{};
  std::size_t i = 0;
  for (; i + n <= size; i += n) {
    int64s index;
    std::memcpy(&index, target + i, sizeof index);
    // All bits where a comparison holds: minus one.
    const int64s counts = index != ignored;
    not_ignored -= counts;
    outside -= counts & ((index < int64s{}) | (index > last));
  }
  TargetCounts counts{0, 0};
  for (std::size_t lane = 0; lane < n; ++lane) {
    counts.counted += static_cast<std::size_t>(not_ignored[lane]);
    counts.outside += static_cast<std::size_t>(outside[lane]);
  }
  for (; i < size; ++i) {
    const bool is_counted = target[i] != ignore_index;
    counts.counted += is_counted;
    counts.outside += is_counted && static_cast<std::uint64_t>(target[i]) >= classes;
  }
  return counts;
}

}  // namespace xent::XENT_INSTRUCTION_SET
