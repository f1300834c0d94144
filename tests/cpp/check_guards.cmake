# Fails if something in the library is made when it is first used: a static variable within a
# function, whose lock a forked child inherits as held if another thread was making it.
#
# cmake -DNM=nm -DLIBRARY=libtaut.a -P check_guards.cmake

execute_process(
  COMMAND ${NM} --format=posix --demangle ${LIBRARY} OUTPUT_VARIABLE table
  COMMAND_ERROR_IS_FATAL ANY)
if(NOT table MATCHES "set_num_threads")
  message(FATAL_ERROR "${LIBRARY} is not understood")
endif()
string(REGEX MATCHALL "guard variable for [^\n]*|[^\n]*__cxa_guard_acquire[^\n]*" guards "${table}")
if(guards)
  list(JOIN guards "\n  " guards)
  message(FATAL_ERROR "${LIBRARY}\n  ${guards}")
endif()
