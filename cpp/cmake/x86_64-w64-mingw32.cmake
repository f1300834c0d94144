# For CMAKE_TOOLCHAIN_FILE: GCC for 64-bit Windows, as Debian's g++-mingw-w64-x86-64-posix has it,
# whose programs run under Wine. They bring all libraries along.
set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_SYSTEM_PROCESSOR AMD64)
set(CMAKE_CXX_COMPILER x86_64-w64-mingw32-g++-posix)
set(CMAKE_EXE_LINKER_FLAGS_INIT -static)
execute_process(
  COMMAND ${CMAKE_CXX_COMPILER} -print-file-name=libgomp.a
  OUTPUT_VARIABLE OpenMP_gomp_LIBRARY OUTPUT_STRIP_TRAILING_WHITESPACE)
find_program(TAUT_WINE NAMES wine64 wine PATHS /usr/lib/wine DOC "Runs Windows programs")
set(CMAKE_CROSSCOMPILING_EMULATOR ${TAUT_WINE})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
