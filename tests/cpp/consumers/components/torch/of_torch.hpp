// A header of the package that stands in for LibTorch.
#define OF_TORCH 1
