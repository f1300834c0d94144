// Catch2 2.x has its main function in the header, 3.x in a library.
#define CATCH_CONFIG_MAIN
#include "catch2.hpp"
