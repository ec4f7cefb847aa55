/* The header stands alone, twice, before any other. */
#include <reqbus.h>
#include <reqbus.h>

#include <stdio.h>

int main(void) {
    if (reqbus_status_name(REQBUS_OK)[0] != 'o') return 1;
    puts("double_include: ok");
    return 0;
}
