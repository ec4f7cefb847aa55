/* The macros of the header, as values, against what the library says of itself. */
#include "check.h"

int main(void) {
    unsigned major, minor, patch;
    CHECK(sscanf(reqbus_version(), "%u.%u.%u", &major, &minor, &patch) == 3);
    CHECK(major == REQBUS_VERSION_MAJOR && minor == REQBUS_VERSION_MINOR && patch == REQBUS_VERSION_PATCH);
    CHECK(major * 1000000u + minor * 1000u + patch == REQBUS_VERSION);
    CHECK(strcmp(reqbus_version(), REQBUS_VERSION_STRING) == 0);
    CHECK(reqbus_abi_version() == REQBUS_ABI_VERSION);
#if REQBUS_VERSION < 1000 || REQBUS_ABI_VERSION != 0
#error "the preprocessor must be able to compare versions"
#endif
    CHECK(strcmp(reqbus_status_name(REQBUS_FORKED), "forked") == 0);
    CHECK(strcmp(reqbus_status_name(-1), "unknown") == 0);
    CHECK(strcmp(reqbus_status_name(12345), "unknown") == 0);
    puts("versions: ok");
    return 0;
}
