# Fails unless every public header compiles alone, twice, and with all others before it or after it,
# without a warning; and includes no header of OpenMP, of Python or of an instruction set.
#
# cmake -DCOMPILER=g++ -DINCLUDE=cpp/include -DEIGEN=eigen's -DARMADILLO=armadillo's -DCEREAL=cereal's
#       -DBUILD=scratch -P check_headers.cmake

cmake_minimum_required(VERSION 3.21)
include(${CMAKE_CURRENT_LIST_DIR}/compile_command.cmake)
if(NOT command)
  return()
endif()

list(APPEND command -std=c++20)
set(strict -fsyntax-only -Wall -Wextra -Wconversion -Wshadow -Wpedantic -Werror)

# Compiles a file that includes the headers and nothing else.
function(compile name)
  list(TRANSFORM ARGN PREPEND "#include <taut/")
  list(TRANSFORM ARGN APPEND ">\n")
  list(JOIN ARGN "" text)
  file(WRITE ${BUILD}/${name}.cpp "${text}")
  execute_process(COMMAND ${command} ${strict} ${BUILD}/${name}.cpp COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(GLOB headers RELATIVE ${INCLUDE}/taut ${INCLUDE}/taut/*.hpp)
list(REMOVE_ITEM headers torch.hpp)  # tests/python/test_libtorch.py builds it, where LibTorch is
list(SORT headers)
list(LENGTH headers count)
if(count LESS 10)
  message(FATAL_ERROR "there are only ${count} headers in ${INCLUDE}/taut")
endif()
foreach(header IN LISTS headers)
  compile(${header} ${header} ${header})
endforeach()
compile(forwards ${headers})
list(REVERSE headers)
compile(backwards ${headers})

list(REMOVE_ITEM headers armadillo.hpp eigen.hpp mlpack.hpp)  # these libraries include what they like
compile(core ${headers})
execute_process(
  COMMAND ${command} -M ${BUILD}/core.cpp OUTPUT_VARIABLE included COMMAND_ERROR_IS_FATAL ANY)
if(included MATCHES "/(omp|Python|[a-z0-9]*intrin|cpuid|arm_neon)\\.h")
  message(FATAL_ERROR "a header of taut's includes ${CMAKE_MATCH_0}")
endif()
