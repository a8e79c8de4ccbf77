// Memory for gradients that outlives them.
//
// A fresh gradient of many megabytes costs more in page faults than in arithmetic: the system
// zeroes every page before the kernel writes it. So a block comes back here when the last tensor
// that views it dies, and the next gradient of about its size takes it, pages and all.
#pragma once

#include <cstddef>

namespace xent {

struct Block {
  void* address;  // a multiple of 2 MiB; null where there is none
  std::size_t capacity;
  bool used;  // its pages have been written before
};

Block take_block(std::size_t bytes);
void give_block_back(const Block& block);

// Returns blocks that nobody uses to the system, and how many bytes they were.
std::size_t empty_pool();

}  // namespace xent
