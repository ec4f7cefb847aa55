/*
 * What the C programs on slots share.
 */
#ifndef REQBUS_TESTS_SLOTTING_H
#define REQBUS_TESTS_SLOTTING_H

#include "check.h"


/* A key from two literals. */
#define KEY(scope_, id_) { (scope_), sizeof(scope_) - 1, (id_), sizeof(id_) - 1 }

static inline reqbus_pool *new_pool(void) {
    reqbus_pool *pool = NULL;
    OK(reqbus_pool_new(NULL, &pool, NULL));
    return pool;
}

static inline reqbus_ask ask_of(const char *scope, const char *id, int64_t limit) {
    reqbus_ask ask;
    ask.key.scope = scope;
    ask.key.scope_len = strlen(scope);
    ask.key.id = id;
    ask.key.id_len = strlen(id);
    ask.limit = limit;
    return ask;
}

/* Tries for one key. */
static inline reqbus_status try_one(reqbus_pool *pool, const reqbus_ask *ask, reqbus_slot **slot) {
    return reqbus_pool_try_acquire(pool, ask, 1, NULL, 0, slot, NULL, NULL);
}

static inline reqbus_slot *take_one(reqbus_pool *pool, const reqbus_ask *ask) {
    reqbus_slot *slot = NULL;
    OK(try_one(pool, ask, &slot));
    return slot;
}

static inline reqbus_wait *begin_wait(reqbus_pool *pool, const reqbus_ask *asks, size_t count,
                                      const reqbus_wait_options *how) {
    reqbus_wait *wait = NULL;
    OK(reqbus_pool_wait(pool, asks, count, how, &wait, NULL));
    return wait;
}

static inline reqbus_slot *granted(reqbus_wait *wait, int64_t timeout_ms) {
    reqbus_slot *slot = NULL;
    OK(reqbus_wait_next(wait, timeout_ms, &slot, NULL, NULL));
    CHECK(slot != NULL);
    return slot;
}

/* Looks at a wait that gives no slot. */
static inline reqbus_status look(reqbus_wait *wait, int64_t timeout_ms) {
    reqbus_slot *slot = NULL;
    reqbus_status status = reqbus_wait_next(wait, timeout_ms, &slot, NULL, NULL);
    CHECK(slot == NULL);
    return status;
}

static inline reqbus_load load_of(reqbus_pool *pool, const reqbus_key *key) {
    reqbus_load load;
    OK(reqbus_pool_load(pool, key, 1, &load, sizeof load, 0, NULL));
    return load;
}

static inline size_t held_in(reqbus_pool *pool) {
    reqbus_holders *holders = NULL;
    OK(reqbus_pool_held_longer_than(pool, 0, 0, &holders, NULL));
    size_t held = reqbus_holders_len(holders);
    OK(reqbus_holders_free(&holders));
    return held;
}

static inline uint32_t position_of(const reqbus_wait *wait) {
    uint32_t position = 77;
    OK(reqbus_wait_position(wait, &position));
    return position;
}

#endif
