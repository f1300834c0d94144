// Working memory that a caller owns.

#ifndef TAUT_WORKSPACE_HPP_
#define TAUT_WORKSPACE_HPP_

#include <array>
#include <cstddef>

#include "taut/api.hpp"

namespace taut {

// What the orthogonal penalty and the batches work in. It grows to what the largest call needs and
// is kept from call to call, so that a training step which is repeated allocates no memory. It
// changes no result. One call at a time may use it.
class TAUT_API Workspace {
 public:
  Workspace() = default;
  ~Workspace();
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  std::size_t size() const;  // bytes
  void clear();              // gives all of them back

 private:
  friend class WorkspaceScope;

  struct Block {
    void* memory = nullptr;
    std::size_t bytes = 0;
  };
  static constexpr std::size_t kMostBlocks = 32;

  std::array<Block, kMostBlocks> blocks_;
  std::size_t used_ = 0;
};

}  // namespace taut

#endif  // TAUT_WORKSPACE_HPP_
