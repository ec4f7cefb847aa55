/* slots_conformance.c with the cases that move the clock, and the store of tests. */
#include "slots_conformance.c"
