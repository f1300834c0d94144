# Configures, builds and runs the consumer from scratch.
#
# cmake -DWAY=find_package|pkg_config|subdirectory|fetch_content -DCOMPILER=g++ -DBUILD=scratch
#       -DPREFIX=installed (or -DTAUT_DIR=cmake-package) -DARGUMENTS="for cmake" -DDEFINITIONS="flags"
#       -DEXPECTED="regex" -P run_consumer.cmake

cmake_minimum_required(VERSION 3.21)
include(${CMAKE_CURRENT_LIST_DIR}/../not_run.cmake)

if(NOT COMPILER)
  not_run("there is no such compiler on this machine")
  return()
endif()

# As strict as a project can be, and for the oldest processors.
set(flags "-Wall -Wextra -Wconversion -Wshadow -Wpedantic -Werror ${DEFINITIONS}")
file(REMOVE_RECURSE ${BUILD})
file(MAKE_DIRECTORY ${BUILD})

if(WAY STREQUAL pkg_config)
  find_program(PKG_CONFIG NAMES pkg-config pkgconf)
  if(NOT PKG_CONFIG)
    not_run("there is no pkg-config on this machine")
    return()
  endif()
  file(GLOB_RECURSE packages ${PREFIX}/*/taut.pc)
  cmake_path(GET packages PARENT_PATH directory)
  set(ENV{PKG_CONFIG_PATH} ${directory})
  execute_process(
    COMMAND ${PKG_CONFIG} --cflags --libs taut OUTPUT_VARIABLE found COMMAND_ERROR_IS_FATAL ANY)
  separate_arguments(found UNIX_COMMAND "${found}")
  separate_arguments(flags UNIX_COMMAND "${flags}")
  execute_process(
    COMMAND ${COMPILER} -std=c++20 ${flags} ${CMAKE_CURRENT_LIST_DIR}/consumer.cpp ${found} -o
            ${BUILD}/consumer COMMAND_ERROR_IS_FATAL ANY)
  set(ENV{LD_LIBRARY_PATH} ${directory}/..)  # where a shared library lies
else()
  set(directory find_package)
  if(NOT WAY STREQUAL find_package)
    set(directory subdirectory)
    cmake_path(SET source NORMALIZE ${CMAKE_CURRENT_LIST_DIR}/../../..)
    list(APPEND ARGUMENTS -DTAUT_SOURCE=${source})
    if(WAY STREQUAL fetch_content)
      list(APPEND ARGUMENTS -DFETCH_CONTENT=ON)
    endif()
  endif()
  execute_process(
    COMMAND
      ${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR}/${directory} -B ${BUILD}
      -DCMAKE_CXX_COMPILER=${COMPILER} -DCMAKE_CXX_FLAGS=${flags} -DCMAKE_PREFIX_PATH=${PREFIX}
      -Dtaut_DIR=${TAUT_DIR} ${ARGUMENTS} COMMAND_ERROR_IS_FATAL ANY)
  execute_process(
    COMMAND ${CMAKE_COMMAND} --build ${BUILD} --parallel 2 COMMAND_ERROR_IS_FATAL ANY)
endif()

execute_process(COMMAND ${BUILD}/consumer OUTPUT_VARIABLE output COMMAND_ERROR_IS_FATAL ANY)
message("${output}")
if(NOT output MATCHES "${EXPECTED}")
  message(FATAL_ERROR "expected: ${EXPECTED}")
endif()
