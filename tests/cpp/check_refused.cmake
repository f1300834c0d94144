# Fails unless code that taut cannot take is refused with one error, in words that say what to do.
#
# cmake -DCOMPILER=g++ -DINCLUDE=cpp/include -DEIGEN=eigen's -DARMADILLO=armadillo's -DCEREAL=cereal's
#       -DBUILD=scratch -P check_refused.cmake

cmake_minimum_required(VERSION 3.21)
include(${CMAKE_CURRENT_LIST_DIR}/compile_command.cmake)
if(NOT command)
  return()
endif()

# refused(<name> <mode of the language> <the error> <code>)
function(refused name mode expected code)
  file(WRITE ${BUILD}/${name}.cpp "${code}")
  execute_process(
    COMMAND ${command} -fsyntax-only -std=${mode} ${BUILD}/${name}.cpp
    ERROR_VARIABLE errors OUTPUT_VARIABLE errors RESULT_VARIABLE failed)
  string(REGEX MATCHALL "[^\n]*error: [^\n]*" lines "${errors}")
  list(LENGTH lines count)
  if(NOT failed OR NOT count EQUAL 1 OR NOT lines MATCHES "${expected}")
    message(FATAL_ERROR "${name}: expected one error, '${expected}', but:\n${errors}")
  endif()
endfunction()

set(words "taut needs C\\+\\+20, so compile with -std=c\\+\\+20")
foreach(mode c++11 c++14 c++17 gnu++17)
  refused(everything ${mode} "${words}"
          "#include <taut/taut.hpp>\nint main() { return taut::value(taut::L1{1}, taut::ConstView{}); }\n")
endforeach()
foreach(header armadillo batch dtype eigen error mlpack penalty runtime vector_range view workspace)
  refused(${header} c++17 "${words}" "#include <taut/${header}.hpp>\ntaut::Anything x;\n")
endforeach()
refused(integers c++20 "taut takes Armadillo's objects of float and double alone"
        "#include <taut/armadillo.hpp>\nvoid f(arma::imat& x) { taut::view(x); }\n")
