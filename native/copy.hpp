#pragma once

#include <cstddef>

namespace xent {

// Writes the floats of `source`, plus those of `other` unless it is null. `size` is a multiple of
// 16 and the addresses are multiples of 64.
#define XENT_COPY_LOOP(name)                                                                \
  namespace name {                                                                          \
  void copy_past_caches(const float* source, const float* other, float* destination,         \
                        std::size_t size);                                                   \
  }
XENT_COPY_LOOP(portable)
XENT_COPY_LOOP(avx2)
XENT_COPY_LOOP(avx512)
#undef XENT_COPY_LOOP

}  // namespace xent
