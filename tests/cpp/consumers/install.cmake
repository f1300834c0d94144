# Installs a build, or a shared library of its own from SOURCE, and moves it to PREFIX.
#
# cmake -DBUILD=build -DPREFIX=prefix [-DSOURCE=taut -DCOMPILER=g++] -P install.cmake

if(SOURCE)
  file(REMOVE_RECURSE ${BUILD})
  execute_process(
    COMMAND ${CMAKE_COMMAND} -S ${SOURCE} -B ${BUILD} -DCMAKE_CXX_COMPILER=${COMPILER}
            -DBUILD_SHARED_LIBS=ON -DTAUT_BUILD_TESTS=OFF -DTAUT_WARNINGS_AS_ERRORS=ON
            COMMAND_ERROR_IS_FATAL ANY)
  execute_process(
    COMMAND ${CMAKE_COMMAND} --build ${BUILD} --parallel 2 COMMAND_ERROR_IS_FATAL ANY)
endif()
file(REMOVE_RECURSE ${PREFIX} ${PREFIX}_first)
execute_process(
  COMMAND ${CMAKE_COMMAND} --install ${BUILD} --prefix ${PREFIX}_first COMMAND_ERROR_IS_FATAL ANY)
file(RENAME ${PREFIX}_first ${PREFIX})
