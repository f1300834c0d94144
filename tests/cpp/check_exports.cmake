# Fails if a shared library of taut's shows a symbol with a std::string in it: libstdc++ has two kinds
# of that, and a program with the other one (_GLIBCXX_USE_CXX11_ABI=0) would not find it.
#
# cmake -DNM=nm -DPREFIX=installed -P check_exports.cmake

file(GLOB_RECURSE library ${PREFIX}/*/libtaut.so)
execute_process(
  COMMAND ${NM} --dynamic --demangle --defined-only ${library} OUTPUT_VARIABLE table
          COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "[^\n]* taut::[^\n]+" symbols "${table}")
list(LENGTH symbols count)
if(count LESS 20)
  message(FATAL_ERROR "there are only ${count} symbols of taut's in ${library}:\n${table}")
endif()
list(FILTER symbols INCLUDE REGEX "cxx11|std::string[^_]|basic_string<")
if(symbols)
  list(JOIN symbols "\n  " symbols)
  message(FATAL_ERROR "${library} shows\n  ${symbols}")
endif()
