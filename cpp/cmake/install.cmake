# What `cmake --install` puts into a prefix, and pip into site-packages/taut: the library, its
# headers, and the packages by which CMake and pkg-config find them. All paths in them are relative,
# so that the whole can be moved.

include(CMakePackageConfigHelpers)
include(GNUInstallDirs)
set(TAUT_INSTALL_CMAKEDIR ${CMAKE_INSTALL_LIBDIR}/cmake/taut)
set(TAUT_INSTALL_PKGCONFIGDIR ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(DIRECTORY include/taut DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS taut EXPORT taut-targets INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT taut-targets NAMESPACE taut:: DESTINATION ${TAUT_INSTALL_CMAKEDIR})

set(TAUT_OPENMP_LIBRARIES "")  # that a static library needs
if(TAUT_TEAM STREQUAL openmp AND TAUT_LIBRARY_TYPE STREQUAL STATIC)
  set(TAUT_OPENMP_LIBRARIES ${OpenMP_CXX_LIB_NAMES})
endif()
configure_package_config_file(
  cmake/taut-config.cmake.in ${CMAKE_CURRENT_BINARY_DIR}/taut-config.cmake
  INSTALL_DESTINATION ${TAUT_INSTALL_CMAKEDIR} NO_SET_AND_CHECK_MACRO
  NO_CHECK_REQUIRED_COMPONENTS_MACRO)
# Until 1.0, a minor version may change what compiles.
write_basic_package_version_file(
  ${CMAKE_CURRENT_BINARY_DIR}/taut-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/taut-config.cmake
              ${CMAKE_CURRENT_BINARY_DIR}/taut-config-version.cmake cmake/taut-components.cmake
        DESTINATION ${TAUT_INSTALL_CMAKEDIR})

# pkg-config knows where the file is, and everything else from there.
set(TAUT_INSTALL_PREFIX ${CMAKE_INSTALL_PREFIX})
cmake_path(ABSOLUTE_PATH TAUT_INSTALL_PKGCONFIGDIR BASE_DIRECTORY ${TAUT_INSTALL_PREFIX}
           OUTPUT_VARIABLE TAUT_PKGCONFIG_PATH)
foreach(directory INCLUDEDIR LIBDIR)
  cmake_path(ABSOLUTE_PATH CMAKE_INSTALL_${directory} BASE_DIRECTORY ${TAUT_INSTALL_PREFIX} NORMALIZE
             OUTPUT_VARIABLE TAUT_PC_${directory})
  cmake_path(RELATIVE_PATH TAUT_PC_${directory} BASE_DIRECTORY ${TAUT_PKGCONFIG_PATH})
endforeach()
set(TAUT_PC_LIBRARIES "-ltaut")
foreach(library IN LISTS TAUT_OPENMP_LIBRARIES)
  string(APPEND TAUT_PC_LIBRARIES " -l${library}")
endforeach()
if(TAUT_LIBRARY_TYPE STREQUAL SHARED)
  set(TAUT_PC_DEFINITIONS " -DTAUT_SHARED")
endif()
configure_file(cmake/taut.pc.in ${CMAKE_CURRENT_BINARY_DIR}/taut.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/taut.pc DESTINATION ${TAUT_INSTALL_PKGCONFIGDIR})
