# Builds taut as a part of a project with hostile flags, and compares the bits of its results with
# those of another build.
#
# cmake -DCOMPILER=g++ -DBUILD=scratch -DEXPECTED=program-of-the-other-build -P run.cmake

cmake_minimum_required(VERSION 3.21)
include(${CMAKE_CURRENT_LIST_DIR}/../../not_run.cmake)

if(NOT COMPILER)
  not_run("there is no such compiler on this machine")
  return()
endif()

# The whole, and then its parts by name, which what undoes the whole need not undo.
set(flags "-Ofast -march=native -ffast-math -funsafe-math-optimizations -fassociative-math "
          "-freciprocal-math -ffinite-math-only -fno-signed-zeros -fno-trapping-math "
          "-ffp-contract=fast -Wno-deprecated")
string(CONCAT flags ${flags})
cmake_path(SET source NORMALIZE ${CMAKE_CURRENT_LIST_DIR}/../../../..)
file(REMOVE_RECURSE ${BUILD})
execute_process(
  COMMAND ${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR} -B ${BUILD} -DTAUT_SOURCE=${source}
          -DCMAKE_CXX_COMPILER=${COMPILER} -DCMAKE_CXX_FLAGS=${flags} COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_COMMAND} --build ${BUILD} --parallel 2 COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${BUILD}/result_bits OUTPUT_VARIABLE found COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${EXPECTED} OUTPUT_VARIABLE expected COMMAND_ERROR_IS_FATAL ANY)
if(NOT found STREQUAL expected)
  message(FATAL_ERROR "with ${flags}:\n${found}\nand not:\n${expected}")
endif()
