# A test that cannot be run on this machine says so. In CI, where that would go unseen, it fails.
# Included by scripts; or cmake -DREASON="what is missing" -P not_run.cmake

function(not_run reason)
  if(NOT "$ENV{CI}" STREQUAL "")
    message(FATAL_ERROR "${reason}")
  endif()
  message("not run: ${reason}")
endfunction()

if(REASON)
  not_run("${REASON}")
endif()
