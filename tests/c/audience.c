/* Promise B6: one first, one last, and a guarded cleanup between them. */
#include "check.h"

#include <pthread.h>

static reqbus_bus *bus;

static reqbus_subscribe_options member(void) {
    reqbus_subscribe_options how;
    INIT(how);
    how.audience = "room";
    how.audience_len = 4;
    return how;
}

static size_t count(void) {
    size_t n = 99;
    OK(reqbus_bus_audience_count(bus, LIT("room"), &n));
    return n;
}

static int32_t first(const reqbus_subscription *sub) {
    int32_t is_first = 7;
    OK(reqbus_subscription_is_first(sub, &is_first));
    return is_first;
}

static int32_t close_it(reqbus_subscription *sub) {
    int32_t was_last = 7;
    OK(reqbus_subscription_close(sub, &was_last));
    return was_last;
}

static void guards(void) {
    reqbus_subscribe_options how = member();
    reqbus_subscription *a = subscribe(bus, &how), *b = subscribe(bus, &how);
    reqbus_guard *guard = NULL, *none = NULL;
    CHECK(first(a) == 1 && first(b) == 0 && count() == 2);
    IS(REQBUS_NOT_SOLE_MEMBER, reqbus_subscription_cleanup_guard(a, &guard));
    CHECK(guard == NULL);
    CHECK(close_it(b) == 0 && close_it(b) == -1);
    OK(reqbus_subscription_cleanup_guard(a, &guard));
    IS(REQBUS_NOT_SOLE_MEMBER, reqbus_subscription_cleanup_guard(a, &none));
    IS(REQBUS_NOT_SOLE_MEMBER, reqbus_subscription_cleanup_guard(b, &none));
    CHECK(none == NULL && count() == 0);
    OK(reqbus_subscription_free(&a)); /* before its guard */
    OK(reqbus_subscription_free(&b));
    OK(reqbus_guard_free(&guard));
    reqbus_subscription *without = subscribe(bus, NULL);
    IS(REQBUS_NOT_SOLE_MEMBER, reqbus_subscription_cleanup_guard(without, &none));
    CHECK(first(without) == 0 && close_it(without) == -1);
    OK(reqbus_subscription_free(&without));
}

/* A newcomer meets a guard: told BUSY at once, waiting, or through a bell. */
static void newcomers(void) {
    reqbus_subscribe_options how = member();
    reqbus_subscription *a = subscribe(bus, &how), *b = NULL;
    reqbus_guard *guard = NULL;
    reqbus_error *error = NULL;
    CHECK(first(a) == 1);
    OK(reqbus_subscription_cleanup_guard(a, &guard));
    CHECK(count() == 0 && close_it(a) == -1); /* the guard ended the membership: that was the last */
    int32_t flag = 7;
    OK(reqbus_guard_is_expired(guard, &flag));
    CHECK(flag == 0);
    how.flags = REQBUS_SUBSCRIBE_NO_WAIT;
    IS(REQBUS_AUDIENCE_BUSY, reqbus_bus_subscribe(bus, &how, &b, &error));
    IS(REQBUS_AUDIENCE_BUSY, reqbus_error_kind(error));
    OK(reqbus_error_free(&error));
    CHECK(b == NULL && count() == 0);
    how.flags = 0;
    how.audience_wait_ms = 5;
    IS(REQBUS_AUDIENCE_BUSY, reqbus_bus_subscribe(bus, &how, &b, NULL));

    /* Other audiences never wait. */
    how.audience = "other";
    how.audience_len = 5;
    OK(reqbus_bus_subscribe(bus, &how, &b, NULL));
    CHECK(first(b) == 1);
    OK(reqbus_subscription_free(&b));

    how = member();
    reqbus_bell *bell = NULL;
    reqbus_join *early = NULL, *late = NULL, *gone = NULL;
    OK(reqbus_bell_new(&bell, NULL));
    OK(reqbus_bus_join(bus, &how, bell, 5, &early, NULL));
    OK(reqbus_bus_join(bus, &how, NULL, 0, &gone, NULL));
    IS(REQBUS_TIMEOUT, reqbus_join_finish(early, &b, NULL));
    CHECK(b == NULL);
    IS(REQBUS_TIMEOUT, reqbus_join_finish(gone, &b, NULL));
    OK(reqbus_bus_join(bus, &how, bell, 6, &late, NULL));
    IS(REQBUS_TIMEOUT, reqbus_join_finish(late, &b, NULL));
    OK(reqbus_join_free(&gone)); /* has joined nothing */
    uint64_t token = 0;
    size_t taken = 0;
    while (reqbus_bell_wait(bell, &token, 1, 0, &taken) == REQBUS_OK) {
        reqbus_join *which = token == 5 ? early : late; /* spurious wakes are allowed */
        IS(REQBUS_TIMEOUT, reqbus_join_finish(which, &b, NULL));
    }
    OK(reqbus_guard_release(&guard, &flag));
    CHECK(flag == 1 && guard == NULL);
    reqbus_subscription *joined[2] = {NULL, NULL};
    while (joined[0] == NULL || joined[1] == NULL) {
        OK(reqbus_bell_wait(bell, &token, 1, 20000, &taken));
        CHECK(token == 5 || token == 6);
        reqbus_subscription **to = &joined[token - 5];
        if (*to != NULL) continue;
        reqbus_status status = reqbus_join_finish(token == 5 ? early : late, to, NULL);
        CHECK(status == REQBUS_OK || status == REQBUS_TIMEOUT);
    }
    CHECK(first(joined[0]) == 1 && first(joined[1]) == 0 && count() == 2);
    IS(REQBUS_INVALID_ARGUMENT, reqbus_join_finish(early, &b, NULL)); /* it has answered */
    OK(reqbus_join_free(&early));
    OK(reqbus_join_free(&late));
    OK(reqbus_bell_free(&bell));
    OK(reqbus_subscription_free(&joined[0]));
    OK(reqbus_subscription_free(&joined[1]));
    OK(reqbus_subscription_free(&a));
    CHECK(count() == 0);
}

/* Abort gives the membership back: it is no last, and newcomers are not first. */
static void aborted(void) {
    reqbus_subscribe_options how = member();
    reqbus_subscription *a = subscribe(bus, &how);
    reqbus_guard *guard = NULL;
    OK(reqbus_subscription_cleanup_guard(a, &guard));
    int32_t is_member = 7;
    OK(reqbus_guard_abort(&guard, &is_member));
    CHECK(is_member == 1 && guard == NULL && count() == 1);
    reqbus_subscription *b = subscribe(bus, &how);
    CHECK(first(b) == 0);
    CHECK(close_it(a) == 0 && close_it(b) == 1);
    OK(reqbus_guard_free(&guard));
    OK(reqbus_subscription_free(&a));
    OK(reqbus_subscription_free(&b));
}

enum { THREADS = 16, ROUNDS = 50 };
static pthread_barrier_t barrier;
static unsigned firsts, lasts;

static void *racer(void *unused) {
    (void)unused;
    reqbus_subscribe_options how = member();
    for (int round = 0; round < ROUNDS; round++) {
        pthread_barrier_wait(&barrier);
        reqbus_subscription *sub = subscribe(bus, &how);
        if (first(sub)) __atomic_fetch_add(&firsts, 1, __ATOMIC_RELAXED);
        pthread_barrier_wait(&barrier); /* all are in */
        if (close_it(sub) == 1) __atomic_fetch_add(&lasts, 1, __ATOMIC_RELAXED);
        OK(reqbus_subscription_free(&sub));
    }
    return NULL;
}

static void races(void) {
    pthread_t threads[THREADS];
    CHECK(pthread_barrier_init(&barrier, NULL, THREADS) == 0);
    for (int i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, racer, NULL) == 0);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&barrier);
    CHECK(firsts == lasts && count() == 0);
    CHECK(firsts >= 1 && firsts <= ROUNDS * THREADS);
}

int main(void) {
    bus = new_bus();
    guards();
    newcomers();
    aborted();
    races();
    OK(reqbus_bus_free(&bus));
    threads_end();
    puts("audience: ok");
    return 0;
}
