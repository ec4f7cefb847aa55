/* What the parts of the demo share: its state, the clock, and how it says that something failed.
 *
 * The parts are headers with static functions, so that one compiler call on replay.c builds it all. */
#ifndef DEMO_H
#define DEMO_H

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <reqbus.h>

#include "trace.h"

#if defined(__GNUC__)
#define PRINTF_LIKE(at, first) __attribute__((format(printf, at, first)))
#else
#define PRINTF_LIKE(at, first)
#endif

enum {
    PUBLISHERS = 4,
    WORKERS = 3, /* loops of the gateway */
    /* What the bus keeps: little, so that a reader that sleeps or stays away does lose something. */
    LOG_EVENTS = 256,
    /* Whoever sleeps longer than this, with something to wake up for, was not woken. */
    END_SECONDS = 120,
    SENTENCE = 320
};

struct options {
    const char *path;
    double speed; /* trace seconds per second */
    size_t limit; /* rows; 0 is all */
    bool quiet;
};

struct demo {
    struct options options;
    struct trace trace;
    reqbus_bus *bus;
    uint64_t started_ns; /* when the first request arrived */
    atomic_size_t published;
    atomic_bool publishing; /* publishers are at work */
    atomic_bool stopping;   /* the demo ends early: Ctrl-C, or a failure */
    /* Held by the resumer while it has no subscription, and by who closes the bus, so that the end does
     * not come while it is away. */
    pthread_mutex_t door;
    bool closed; /* under the door's lock */
    pthread_mutex_t lock;
    char failure[SENTENCE]; /* the first one, under `lock`; empty for none */
};

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Writes a sentence and cuts it if it is longer than the room for it. */
PRINTF_LIKE(2, 3)
static void say_into(char sentence[SENTENCE], const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, SENTENCE, format, arguments);
    va_end(arguments);
}

/* Remembers the first failure and ends the demo early. */
static void fail(struct demo *demo, const char *sentence) {
    pthread_mutex_lock(&demo->lock);
    if (demo->failure[0] == '\0') say_into(demo->failure, "%s", sentence);
    pthread_mutex_unlock(&demo->lock);
    atomic_store(&demo->stopping, true);
}

/* The same for a call of reqbus that failed; takes over the error, which may be NULL. */
static void fail_call(struct demo *demo, const char *call, reqbus_status status, reqbus_error *error) {
    char sentence[SENTENCE];
    size_t len = 0;
    const char *message = reqbus_error_message(error, &len);
    say_into(sentence, "%s answered %s%s%.*s", call, reqbus_status_name(status), len ? ": " : "", (int)len, message);
    reqbus_error_free(&error);
    fail(demo, sentence);
}

/* How long `trace_ns` nanoseconds of the trace take here. */
static uint64_t scaled_ns(const struct demo *demo, uint64_t trace_ns) {
    double scaled = (double)trace_ns / demo->options.speed;
    return scaled < 1e18 ? (uint64_t)scaled : (uint64_t)1e18; /* 30 years: for ever */
}

/* The same in whole milliseconds, at least 1. */
static uint64_t scaled_ms(const struct demo *demo, uint64_t trace_ns) {
    return scaled_ns(demo, trace_ns) / 1000000 + 1;
}

/* Sleeps until `until_ns` of now_ns(), or until `*go_on` (which may be NULL) is false, or the demo ends early. */
static void sleep_until(struct demo *demo, uint64_t until_ns, atomic_bool *go_on) {
    const uint64_t slice = 50000000; /* how late it may notice the end */
    while (!atomic_load(&demo->stopping) && (go_on == NULL || atomic_load(go_on))) {
        uint64_t now = now_ns();
        if (now >= until_ns) return;
        uint64_t left = until_ns - now < slice ? until_ns - now : slice;
        struct timespec nap = {0, (long)left};
        nanosleep(&nap, NULL);
    }
}

#endif
