/* A thousand rounds of opening and closing leave no descriptor and no thread behind. */
#include "check.h"

#include <pthread.h>

static void *wait_once(void *sub) {
    reqbus_batch *batch = new_batch();
    reqbus_subscription_recv((reqbus_subscription *)sub, batch, 1, 1, 1);
    reqbus_batch_free(&batch);
    return NULL;
}

static void one_round(int round) {
    reqbus_bus *bus = new_bus();
    reqbus_batch *batch = new_batch();
    reqbus_bell *bell = NULL;
    OK(reqbus_bell_new(&bell, NULL));
    int fd = -1;
    OK(reqbus_bell_fd(bell, &fd, NULL));
    reqbus_subscribe_options how;
    INIT(how);
    how.audience = "a";
    how.audience_len = 1;
    how.overflow = (uint32_t)round % 3;
    reqbus_subscription *sub = subscribe(bus, &how), *second = NULL;
    OK(reqbus_subscription_attach(sub, bell, 1));
    OK(say(bus, "k", "", "x"));
    if (round % 2) OK(try_recv(sub, batch));
    reqbus_guard *guard = NULL;
    OK(reqbus_subscription_cleanup_guard(sub, &guard));
    reqbus_join *join = NULL;
    OK(reqbus_bus_join(bus, &how, bell, 2, &join, NULL));
    IS(REQBUS_TIMEOUT, reqbus_join_finish(join, &second, NULL));
    if (round % 50 == 0) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, wait_once, sub) == 0);
        pthread_join(thread, NULL);
    }
    reqbus_error *error = NULL;
    IS(REQBUS_NULL_ARGUMENT, reqbus_bus_publish(bus, NULL, NULL, &error));
    reqbus_consumers *consumers = NULL;
    OK(reqbus_bus_consumers(bus, &consumers, NULL));
    /* In an order that turns with the rounds. */
    for (int i = 0; i < 8; i++) {
        switch ((i + round) % 8) {
            case 0: OK(reqbus_bus_free(&bus)); break;
            case 1: OK(reqbus_bell_free(&bell)); break;
            case 2: OK(reqbus_subscription_free(&sub)); break;
            case 3: OK(reqbus_batch_free(&batch)); break;
            case 4: OK(reqbus_guard_free(&guard)); break;
            case 5: OK(reqbus_join_free(&join)); break;
            case 6: OK(reqbus_error_free(&error)); break;
            default: OK(reqbus_consumers_free(&consumers)); break;
        }
    }
}

int main(void) {
    one_round(0);
    int fds = entries("/proc/self/fd");
    for (int round = 0; round < 1000; round++) one_round(round);
    CHECK(entries("/proc/self/fd") == fds);
    threads_end();
    puts("leaks: ok");
    return 0;
}
