# The same tests on a processor that is older than this one, by qemu-user: one from before AVX, of
# 2008, on which an instruction that does not belong to x86-64-v2 is an illegal one. They take a
# minute or two, carry the label "emulated", and `make test-emulated` runs them.

if(CMAKE_CROSSCOMPILING OR TAUT_SANITIZE OR NOT CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
  return()
endif()

find_program(TAUT_QEMU qemu-x86_64 DOC "qemu-user for x86-64, for tests on an older processor")

function(add_emulated_test name test environment)
  if(TAUT_QEMU)
    add_test(NAME nehalem_${name} COMMAND ${TAUT_QEMU} -cpu Nehalem $<TARGET_FILE:test_${test}>
                                          ${arguments})
  else()
    add_test(NAME nehalem_${name}
             COMMAND ${CMAKE_COMMAND} "-DREASON=there is no qemu-x86_64 on this machine" -P
                     ${CMAKE_CURRENT_SOURCE_DIR}/not_run.cmake)
  endif()
  set_tests_properties(
    nehalem_${name}
    PROPERTIES LABELS emulated TIMEOUT 600 SKIP_RETURN_CODE 77 SKIP_REGULAR_EXPRESSION "not run: "
               ENVIRONMENT "${environment}")
endfunction()

add_emulated_test(
  level level_cap "TAUT_SIMD=x86-64-v4;TAUT_TEST_PROCESSOR_LEVELS=x86-64-v2")
add_emulated_test(errors errors "")
foreach(name elementwise gram gram_range gram_zeros prox rounding same_bits)
  foreach(level IN LISTS levels)
    add_emulated_test(${name}_${level} ${name} TAUT_TEST_LEVEL=${level})
  endforeach()
endforeach()
