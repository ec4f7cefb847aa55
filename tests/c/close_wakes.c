/* Close, interrupt and publish wake a thread that waits; a second waiter is told BUSY. */
#include "check.h"

#include <pthread.h>

typedef struct {
    reqbus_subscription *sub;
    reqbus_status status;
    size_t items;
} waiter;

static void *wait_for_ever(void *arg) {
    waiter *w = (waiter *)arg;
    reqbus_batch *batch = new_batch();
    w->status = reqbus_subscription_recv(w->sub, batch, 16, BYTES, -1);
    w->items = reqbus_batch_len(batch);
    reqbus_batch_free(&batch);
    return NULL;
}

static pthread_t start(waiter *w, reqbus_subscription *sub) {
    pthread_t thread;
    w->sub = sub;
    w->status = REQBUS_PANICKED;
    CHECK(pthread_create(&thread, NULL, wait_for_ever, w) == 0);
    while (!stats_of(sub).sleeping) sleep_ms(1);
    return thread;
}

enum { PUBLISH, INTERRUPT, CLOSE_SUB, CLOSE_BUS, WAYS };

static void one(uint32_t overflow, int way) {
    reqbus_bus *bus = new_bus();
    reqbus_subscribe_options how;
    INIT(how);
    how.overflow = overflow;
    reqbus_subscription *sub = subscribe(bus, &how);
    waiter w;
    pthread_t thread = start(&w, sub);
    reqbus_batch *batch = new_batch();
    IS(REQBUS_BUSY, reqbus_subscription_recv(sub, batch, 1, 1, 1000));
    IS(REQBUS_TIMEOUT, try_recv(sub, batch)); /* a try is no wait */
    switch (way) {
        case PUBLISH: OK(say(bus, "k", "", "x")); break;
        case INTERRUPT: OK(reqbus_subscription_interrupt(sub)); break;
        case CLOSE_SUB: OK(reqbus_subscription_close(sub, NULL)); break;
        default: OK(reqbus_bus_close(bus)); break;
    }
    pthread_join(thread, NULL);
    reqbus_status wanted[WAYS] = {REQBUS_OK, REQBUS_INTERRUPTED, REQBUS_CLOSED, REQBUS_CLOSED};
    IS(wanted[way], w.status);
    CHECK(w.items == (way == PUBLISH));
    if (way == INTERRUPT) {
        /* One interrupt ends one wait; one that comes early ends the next. */
        IS(REQBUS_TIMEOUT, reqbus_subscription_recv(sub, batch, 1, 1, 5));
        OK(reqbus_subscription_interrupt(sub));
        IS(REQBUS_INTERRUPTED, reqbus_subscription_recv(sub, batch, 1, 1, -1));
    }
    reqbus_batch_free(&batch);
    OK(reqbus_subscription_free(&sub));
    OK(reqbus_bus_free(&bus));
}

/* Many threads asleep on one bus: one close wakes them all. */
static void many(void) {
    enum { THREADS = 16 };
    reqbus_bus *bus = new_bus();
    reqbus_subscription *subs[THREADS];
    waiter w[THREADS];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        reqbus_subscribe_options how;
        INIT(how);
        how.overflow = (uint32_t)i % 3;
        subs[i] = subscribe(bus, &how);
        threads[i] = start(&w[i], subs[i]);
    }
    OK(reqbus_bus_close(bus));
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        IS(REQBUS_CLOSED, w[i].status);
        OK(reqbus_subscription_free(&subs[i]));
    }
    OK(reqbus_bus_free(&bus));
}

int main(void) {
    for (uint32_t overflow = 0; overflow < 3; overflow++)
        for (int way = 0; way < WAYS; way++) one(overflow, way);
    many();
    threads_end();
    puts("close_wakes: ok");
    return 0;
}
