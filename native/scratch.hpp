// Memory of one thread, kept from call to call: small losses would spend their time allocating it.
#pragma once

#include <cstddef>
#include <cstdlib>

namespace xent::XENT_INSTRUCTION_SET {
namespace {

class Scratch {
 public:
  Scratch() = default;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() { std::free(memory_); }

  // At least `bytes`, a multiple of 64; what was in it stays while it need not grow.
  void* take(std::size_t bytes) {
    if (bytes > bytes_) {
      std::free(memory_);
      bytes_ = (bytes + 63) / 64 * 64;
      memory_ = std::aligned_alloc(64, bytes_);
    }
    return memory_;
  }

  // Whether the memory still holds what was made for this key; remembers the key.
  bool holds(std::size_t key) {
    const bool same = key == key_;
    key_ = key;
    return same;
  }

 private:
  void* memory_ = nullptr;
  std::size_t bytes_ = 0;
  std::size_t key_ = 0;
};

}  // namespace
}  // namespace xent::XENT_INSTRUCTION_SET
