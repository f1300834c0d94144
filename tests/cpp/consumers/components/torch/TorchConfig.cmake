# Stands in for LibTorch's package, which sets these, since LibTorch itself is large.
set(TORCH_FOUND TRUE)
set(TORCH_INCLUDE_DIRS "${CMAKE_CURRENT_LIST_DIR}")
set(TORCH_CXX_FLAGS "-DTHE_FLAG_OF_TORCH=1")
if(NOT TARGET torch)
  add_library(torch INTERFACE IMPORTED)
endif()
set(TORCH_LIBRARIES torch)
