/*
 * What the C programs of this directory share. Each is C11 and C++17, prints one line, and exits with 0
 * if all held, else with 1 after naming the place.
 */
#ifndef REQBUS_TESTS_CHECK_H
#define REQBUS_TESTS_CHECK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <reqbus.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Fails the program unless `condition` holds. */
#define CHECK(condition)                                                                          \
    do {                                                                                          \
        if (!(condition)) {                                                                       \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                       \
            exit(1);                                                                              \
        }                                                                                         \
    } while (0)

/* Fails the program unless `call` answers `wanted`. */
#define IS(wanted, call)                                                                          \
    do {                                                                                          \
        reqbus_status got_ = (call);                                                              \
        if (got_ != (wanted)) {                                                                   \
            fprintf(stderr, "%s:%d: %s is %s, not %s\n", __FILE__, __LINE__, #call,               \
                    reqbus_status_name((int32_t)got_), reqbus_status_name((int32_t)(wanted)));    \
            exit(1);                                                                              \
        }                                                                                         \
    } while (0)

#define OK(call) IS(REQBUS_OK, call)

/* Zeroes a struct that begins with its size, and sets the size. */
#define INIT(object) (memset(&(object), 0, sizeof(object)), (object).size = sizeof(object))

/* A string literal as pointer and length. */
#define LIT(literal) (literal), (sizeof(literal) - 1)

enum { MANY = 100000, BYTES = 1 << 20 };

static inline int same(const void *text, size_t len, const char *wanted) {
    return len == strlen(wanted) && (len == 0 || memcmp(text, wanted, len) == 0);
}

static inline reqbus_bus *new_bus(void) {
    reqbus_bus *bus = NULL;
    OK(reqbus_bus_new(NULL, &bus, NULL));
    return bus;
}

static inline reqbus_batch *new_batch(void) {
    reqbus_batch *batch = NULL;
    OK(reqbus_batch_new(&batch, NULL));
    return batch;
}

static inline reqbus_subscription *subscribe(reqbus_bus *bus, const reqbus_subscribe_options *how) {
    reqbus_subscription *sub = NULL;
    OK(reqbus_bus_subscribe(bus, how, &sub, NULL));
    return sub;
}

/* Publishes a text event. */
static inline reqbus_status say(reqbus_bus *bus, const char *kind, const char *key,
                                const char *text) {
    reqbus_new_event event;
    INIT(event);
    event.kind = kind;
    event.kind_len = strlen(kind);
    event.key = key;
    event.key_len = strlen(key);
    event.payload = text;
    event.payload_len = strlen(text);
    event.payload_sort = REQBUS_PAYLOAD_TEXT;
    return reqbus_bus_publish(bus, &event, NULL, NULL);
}

static inline reqbus_status try_recv(reqbus_subscription *sub, reqbus_batch *batch) {
    return reqbus_subscription_recv(sub, batch, MANY, BYTES, 0);
}

static inline reqbus_item item_at(const reqbus_batch *batch, size_t index) {
    reqbus_item item;
    INIT(item);
    OK(reqbus_batch_item(batch, index, &item));
    return item;
}

static inline reqbus_subscription_stats stats_of(const reqbus_subscription *sub) {
    reqbus_subscription_stats stats;
    INIT(stats);
    OK(reqbus_subscription_get_stats(sub, &stats));
    return stats;
}

/* B2: the account adds up. */
static inline int adds_up(const reqbus_subscription_stats *s) {
    return s->matched == s->delivered + s->lost_full + s->lost_window + s->lost_evicted + s->pending +
                             s->abandoned;
}

/* Fails the program unless `got` is `wanted` and came with an error of the same kind, a sentence and a context. */
static inline void told(reqbus_status wanted, reqbus_status got, reqbus_error **error, const char *context) {
    IS(wanted, got);
    CHECK(*error != NULL);
    IS(wanted, reqbus_error_kind(*error));
    size_t len = 0;
    const char *text = reqbus_error_message(*error, &len);
    CHECK(text != NULL && len > 5);
    text = reqbus_error_context(*error, &len);
    if (!same(text, len, context)) fprintf(stderr, "context is %.*s\n", (int)len, text);
    CHECK(same(text, len, context));
    OK(reqbus_error_free(error));
    CHECK(*error == NULL);
}

static inline void sleep_ms(long ms) {
    struct timespec time;
    time.tv_sec = ms / 1000;
    time.tv_nsec = ms % 1000 * 1000000;
    nanosleep(&time, NULL);
}

/* How many entries a directory has, "." and ".." among them. */
static inline int entries(const char *path) {
    DIR *dir = opendir(path);
    CHECK(dir != NULL);
    int n = 0;
    while (readdir(dir) != NULL) n++;
    closedir(dir);
    return n;
}

/*
 * Waits until only this thread is left: those of a runner and of the timer end a moment after the last that needed
 * them, and memcheck takes the stack of one that still runs at the end of the program for a leak.
 */
static inline void threads_end(void) {
    for (int tries = 0; entries("/proc/self/task") > 3; tries++) { /* ".", ".." and this thread */
        CHECK(tries < 4000);
        sleep_ms(5);
    }
}

#endif
