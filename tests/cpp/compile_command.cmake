# Included by scripts that are given COMPILER, INCLUDE, EIGEN, ARMADILLO, CEREAL and BUILD: sets
# `command`, which compiles what includes taut's headers, and makes BUILD; or says that the
# script is not run, and leaves `command` empty.

include(${CMAKE_CURRENT_LIST_DIR}/not_run.cmake)

set(command "")
if(NOT COMPILER)
  not_run("there is no such compiler on this machine")
  return()
endif()
if(NOT EIGEN OR NOT ARMADILLO OR NOT CEREAL)
  not_run("taut's headers for Eigen, Armadillo and mlpack need these, and cereal, on this machine")
  return()
endif()
file(MAKE_DIRECTORY ${BUILD})
set(command ${COMPILER} -x c++ -I ${INCLUDE})
foreach(directory IN LISTS EIGEN ARMADILLO CEREAL)
  if(NOT directory STREQUAL "/usr/include")  # which must not come before the compiler's own
    list(APPEND command -isystem ${directory})
  endif()
endforeach()
