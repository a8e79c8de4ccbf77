// What a loss can reach at best: its bytes read and written, and nothing computed. For benchmarks.
#include "copy.hpp"

#include "vector.hpp"

namespace xent::XENT_INSTRUCTION_SET {

void copy_past_caches(const float* source, const float* other, float* destination,
                      std::size_t size) {
  constexpr std::size_t n = width<float>;
  for (std::size_t i = 0; i < size; i += n) {
    prefetch(source + i + 192);
    prefetch_far(source + i + 1024);
    floats value = load(source + i);
    if (other != nullptr) {
      prefetch(other + i + 192);
      prefetch_far(other + i + 1024);
      value += load(other + i);
    }
    store<true>(destination + i, value);
  }
  finish_streaming();
}

}  // namespace xent::XENT_INSTRUCTION_SET
