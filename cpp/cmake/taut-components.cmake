# find_package(taut COMPONENTS eigen armadillo torch): for each a target, taut::eigen and so on, which
# brings the library along that taut/eigen.hpp and so on are for. taut itself needs none of them. Sets
# taut_eigen_FOUND and so on; a component that is required and not there makes taut not found, and
# the reason says how to get it.

set(_taut_missing "")
foreach(_taut_component IN LISTS taut_FIND_COMPONENTS)
  set(_taut_libraries "")
  set(_taut_include_directories "")
  set(_taut_options "")
  if(_taut_component STREQUAL "eigen")
    set(_taut_hint "Eigen 3.4 or newer is not found: have Debian's libeigen3-dev, or pip install cmeel-eigen \
and set Eigen3_ROOT to the folder cmeel.prefix in its site-packages")
    find_package(Eigen3 QUIET CONFIG)
    if(TARGET Eigen3::Eigen AND NOT Eigen3_VERSION VERSION_LESS 3.4)
      set(_taut_libraries Eigen3::Eigen)
    endif()
  elseif(_taut_component STREQUAL "armadillo")
    set(_taut_hint "Armadillo is not found: have Debian's libarmadillo-dev, or set CMAKE_PREFIX_PATH to \
where it is installed")
    find_package(Armadillo QUIET)
    if(ARMADILLO_FOUND OR Armadillo_FOUND)
      set(_taut_libraries ${ARMADILLO_LIBRARIES})
      set(_taut_include_directories ${ARMADILLO_INCLUDE_DIRS})
    endif()
  elseif(_taut_component STREQUAL "torch")
    set(_taut_hint "LibTorch is not found: pip install torch, and set CMAKE_PREFIX_PATH to what \
torch.utils.cmake_prefix_path says in its Python")
    find_package(Torch QUIET CONFIG)
    if(Torch_FOUND OR TORCH_FOUND)
      set(_taut_libraries ${TORCH_LIBRARIES})
      set(_taut_include_directories ${TORCH_INCLUDE_DIRS})
      # Which of libstdc++'s two kinds of strings this LibTorch was built with.
      separate_arguments(_taut_options UNIX_COMMAND "${TORCH_CXX_FLAGS}")
    endif()
  else()
    set(_taut_hint "there is no component of this name: they are armadillo, eigen and torch")
  endif()

  if(_taut_libraries)
    set(taut_${_taut_component}_FOUND TRUE)
    if(NOT TARGET taut::${_taut_component})
      add_library(taut::${_taut_component} INTERFACE IMPORTED)
      target_link_libraries(taut::${_taut_component} INTERFACE taut::taut ${_taut_libraries})
      target_include_directories(
        taut::${_taut_component} SYSTEM INTERFACE ${_taut_include_directories})
      target_compile_options(taut::${_taut_component} INTERFACE ${_taut_options})
    endif()
  else()
    set(taut_${_taut_component}_FOUND FALSE)
    if(taut_FIND_REQUIRED_${_taut_component})
      string(APPEND _taut_missing "\n  ${_taut_component}: ${_taut_hint}")
    endif()
  endif()
endforeach()

if(_taut_missing)
  set(taut_FOUND FALSE)
  set(taut_NOT_FOUND_MESSAGE "taut itself is there, but not what it was asked for as COMPONENTS:${_taut_missing}")
endif()
foreach(_taut_name component hint include_directories libraries missing options)
  unset(_taut_${_taut_name})
endforeach()
unset(_taut_name)
