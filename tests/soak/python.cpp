// Python's interpreter, in a program that the sanitizer is linked into: it has to be there before
// all else, and not every version of it can be preloaded into a program that was linked without.
#include <Python.h>

int main(int argc, char* argv[]) { return Py_BytesMain(argc, argv); }
