# Fails unless find_package(taut COMPONENTS ...) finds what is there, and says what is not.
#
# cmake -DPREFIX=installed -DCOMPILER=g++ -DBUILD=scratch -DEIGEN=yes|no -DARMADILLO=yes|no -P run.cmake
#
# EIGEN and ARMADILLO say whether this machine has them; -DEigen3_DIR=... where, unless it is the
# system's.

cmake_minimum_required(VERSION 3.21)
include(${CMAKE_CURRENT_LIST_DIR}/../../not_run.cmake)

if(NOT COMPILER)
  not_run("there is no such compiler on this machine")
  return()
endif()
if(NOT EIGEN OR NOT ARMADILLO)
  not_run("Eigen or Armadillo is not on this machine")
  return()
endif()

# configure(<name> found|not_found <regex that is printed> <arguments of cmake>...)
function(configure name outcome expected)
  file(REMOVE_RECURSE ${BUILD}/${name})
  execute_process(
    COMMAND
      ${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR} -B ${BUILD}/${name} -DCMAKE_CXX_COMPILER=${COMPILER}
      -DCMAKE_PREFIX_PATH=${PREFIX} -DEigen3_DIR=${Eigen3_DIR} --no-warn-unused-cli ${ARGN}
    OUTPUT_VARIABLE output ERROR_VARIABLE output RESULT_VARIABLE failed)
  string(REGEX REPLACE "[ \n]+" " " words "${output}")  # CMake breaks lines where it likes
  if((outcome STREQUAL found AND failed) OR (outcome STREQUAL not_found AND NOT failed)
     OR NOT words MATCHES "${expected}")
    message(FATAL_ERROR "${name}: expected '${outcome}' and '${expected}', but:\n${output}")
  endif()
endfunction()

# run(<name> <regex that the program prints>)
function(run name expected)
  execute_process(COMMAND ${CMAKE_COMMAND} --build ${BUILD}/${name} COMMAND_ERROR_IS_FATAL ANY)
  execute_process(
    COMMAND ${BUILD}/${name}/components OUTPUT_VARIABLE output COMMAND_ERROR_IS_FATAL ANY)
  if(NOT output MATCHES "${expected}")
    message(FATAL_ERROR "${name}: expected '${expected}', but: ${output}")
  endif()
endfunction()

set(no_eigen -DCMAKE_DISABLE_FIND_PACKAGE_Eigen3=ON)
set(no_armadillo -DCMAKE_DISABLE_FIND_PACKAGE_Armadillo=ON)
set(no_torch -DCMAKE_DISABLE_FIND_PACKAGE_Torch=ON)
set(some_torch -DTorch_DIR=${CMAKE_CURRENT_LIST_DIR}/torch)

configure(none found "eigen: '' torch: ''" ${no_eigen} ${no_armadillo} ${no_torch})
run(none "sum=7\n")
configure(two found "armadillo: 'TRUE' eigen: 'TRUE' torch: ''"
          "-DREQUESTED=COMPONENTS\\;eigen\\;armadillo")
run(two "sum=121207\n")
configure(torch found "torch: 'TRUE'" "-DREQUESTED=COMPONENTS\\;torch" ${some_torch})
run(torch "sum=7\n")
configure(optional found "armadillo: 'FALSE' eigen: 'TRUE' torch: 'FALSE'"
          "-DREQUESTED=COMPONENTS\\;eigen\\;OPTIONAL_COMPONENTS\\;armadillo\\;torch" ${no_armadillo} ${no_torch})
run(optional "sum=1207\n")

configure(without_eigen not_found "eigen: Eigen 3.4 or newer is not found: .*cmeel-eigen"
          "-DREQUESTED=COMPONENTS\\;eigen" ${no_eigen})
configure(without_armadillo not_found "armadillo: Armadillo is not found: .*libarmadillo-dev"
          "-DREQUESTED=COMPONENTS\\;eigen\\;armadillo" ${no_armadillo})
configure(without_torch not_found "torch: LibTorch is not found: pip install torch"
          "-DREQUESTED=COMPONENTS\\;torch" ${no_torch})
configure(without_any not_found "armadillo: Armadillo is not found.*torch: LibTorch is not found"
          "-DREQUESTED=COMPONENTS\\;armadillo\\;torch" ${no_armadillo} ${no_torch})
configure(unknown not_found "egen: there is no component of this name: they are armadillo, eigen and torch"
          "-DREQUESTED=COMPONENTS\\;egen")
