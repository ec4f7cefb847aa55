/* conformance.c with the cases that move the clock. */
#include "conformance.c"
