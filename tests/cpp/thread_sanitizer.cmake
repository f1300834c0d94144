# TAUT_THREAD_SANITIZER: the environment that a test under the thread sanitizer runs in.

find_package(OpenMP REQUIRED COMPONENTS CXX)
cmake_path(GET OpenMP_omp_LIBRARY PARENT_PATH beside)
find_library(TAUT_ARCHER archer HINTS ${beside} DOC "Archer, as LLVM's OpenMP runtime has it")
if(NOT TAUT_ARCHER)
  message(FATAL_ERROR "The thread sanitizer needs Archer, which Debian has in libomp-14-dev")
endif()
# The first report ends the process, be it a forked child.
set(TAUT_THREAD_SANITIZER
    OMP_TOOL_LIBRARIES=${TAUT_ARCHER}
    TSAN_OPTIONS=ignore_noninstrumented_modules=1:halt_on_error=1)
