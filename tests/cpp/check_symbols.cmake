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
set(instrumentation "^(a^)$")  # matches nothing
if(SANITIZE)
  set(instrumentation "^__(asan|ubsan|sanitizer|odr_asan)[_.]")
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

# A constructor is a pointer in one of these sections. The address sanitizer adds one of its own.
execute_process(
  COMMAND ${OBJDUMP} -h ${OBJECT} OUTPUT_VARIABLE sections COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "\\.(init_array|ctors|preinit_array)[.0-9]*" constructors "${sections}")
foreach(section IN LISTS constructors)
  execute_process(
    COMMAND ${OBJDUMP} -r -j ${section} ${OBJECT} OUTPUT_VARIABLE entries COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL "R_[^ ]+ +[^\n]+" entries "${entries}")
  foreach(entry IN LISTS entries)
    if(NOT (SANITIZE MATCHES "address" AND entry MATCHES " (_sub_I_[0-9_]+|asan\\.module_ctor)$"))
      list(APPEND failures "runs something at start: ${section}, ${entry}")
    endif()
  endforeach()
endforeach()

if(failures)
  list(JOIN failures "\n  " failures)
  message(FATAL_ERROR "${OBJECT}\n  ${failures}")
endif()
