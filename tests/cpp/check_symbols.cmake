# Fails unless a kernel object can be linked with objects for older processors: it defines no symbol
# that the linker could merge with another's (weak or unique), runs nothing at start, keeps its
# symbols in its level's namespace, and needs no more than a few functions of the C library.
#
# cmake -DNM=nm -DOBJDUMP=objdump -DOBJECT=kernels.o -DNAMESPACE=x86_64_v3 -DSANITIZE=address,undefined
#       -P check_symbols.cmake

set(failures "")

string(LENGTH ${NAMESPACE} namespace_length)
set(own "^_ZN[KV]*4taut${namespace_length}${NAMESPACE}[0-9]")
set(needed "^(memcpy|memset|sqrt|ilogb|ldexp|_GLOBAL_OFFSET_TABLE_|__stack_chk_fail)$")
set(instrumentation "^$")
if(SANITIZE)
  # Clang's checks of function pointers come with the type information of functions: data, no code.
  set(instrumentation "^(__(asan|ubsan|odr_asan)[_.]|_ZT[IS]F|_ZTVN10__cxxabiv1)")
endif()

execute_process(
  COMMAND ${NM} --format=posix ${OBJECT} OUTPUT_VARIABLE table COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "[^\n]+" lines "${table}")
set(definitions 0)
foreach(line IN LISTS lines)
  if(NOT line MATCHES "^([^ ]+) ([A-Za-z?-])")
    list(APPEND failures "not understood: ${line}")
    continue()
  endif()
  set(symbol ${CMAKE_MATCH_1})
  set(type ${CMAKE_MATCH_2})
  if(symbol MATCHES "${instrumentation}")
    continue()
  elseif(type MATCHES "^[Uwv]$")
    if(NOT symbol MATCHES "${needed}")
      list(APPEND failures "needs ${symbol}")
    endif()
  elseif(type MATCHES "^[WVuiI?]$")
    list(APPEND failures "defines a symbol that another object may replace: ${symbol} (${type})")
  elseif(type MATCHES "^[A-Z]$")
    math(EXPR definitions "${definitions} + 1")
    if(NOT symbol MATCHES "${own}")
      list(APPEND failures "defines a symbol outside its namespace: ${symbol} (${type})")
    endif()
  endif()
endforeach()
if(definitions EQUAL 0)
  list(APPEND failures "defines nothing of its own")
endif()

# Pointers to what runs at start stand in these sections. The address sanitizer has one of its own,
# by its priority: 99 is GCC's, 1 is Clang's.
execute_process(
  COMMAND ${OBJDUMP} -h ${OBJECT} OUTPUT_VARIABLE sections COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "\\.(preinit_array|init_array|ctors)[.0-9]*" constructors "${sections}")
foreach(section IN LISTS constructors)
  if(NOT (SANITIZE MATCHES "address" AND section MATCHES "^\\.init_array\\.(00099|1)$"))
    list(APPEND failures "runs something at start: ${section}")
  endif()
endforeach()

if(failures)
  list(JOIN failures "\n  " failures)
  message(FATAL_ERROR "${OBJECT}\n  ${failures}")
endif()
