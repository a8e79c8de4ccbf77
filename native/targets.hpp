#pragma once

#include <cstddef>
#include <cstdint>

namespace xent {

struct TargetCounts {
  std::size_t counted;  // not ignored
  std::size_t outside;  // of those, no class
};

#define XENT_TARGET_LOOPS(name)                                                          \
  namespace name {                                                                       \
  TargetCounts count_targets(const std::int64_t* target, std::size_t size,               \
                             std::int64_t ignore_index, std::size_t classes);            \
  }
XENT_TARGET_LOOPS(portable)
XENT_TARGET_LOOPS(avx2)
XENT_TARGET_LOOPS(avx512)
#undef XENT_TARGET_LOOPS

}  // namespace xent
