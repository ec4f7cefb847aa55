/* The limits: users and accounts, how many requests of each may be in flight, and the demo's own count of how many are.
 *
 * The count is the demo's side of S1: it goes up after reqbus gave a slot and down before it is given back, so it can
 * only be below the truth, and may never be above the limit. */
#ifndef LIMITS_H
#define LIMITS_H

#include "demo.h"

enum { USER, ACCOUNT, SCOPES };

enum {
    USERS = 200,
    BUSY_USERS = 4, /* the first ones */
    USER_LIMIT = 2,
    ACCOUNTS = 12,
    ACCOUNT_LIMIT = 3, /* or one more */
};

static const char *const scope_names[SCOPES] = {[USER] = "user", [ACCOUNT] = "account"};

struct limited {
    reqbus_key key; /* its id is in `id` */
    char id[24];
    uint32_t limit;
    atomic_uint held, peak;
};

struct limits {
    struct limited users[USERS];
    struct limited accounts[ACCOUNTS];
};

static void limited_new(struct limited *limited, const char *scope, size_t number, uint32_t limit) {
    int len = snprintf(limited->id, sizeof limited->id, "%s-%zu", scope, number);
    limited->key = (reqbus_key){scope, strlen(scope), limited->id, (size_t)len};
    limited->limit = limit;
}

/* `limits` is all zero, and stays where it is. */
static void limits_new(struct limits *limits) {
    for (size_t i = 0; i < USERS; i++) limited_new(&limits->users[i], scope_names[USER], i + 1, USER_LIMIT);
    for (size_t i = 0; i < ACCOUNTS; i++)
        limited_new(&limits->accounts[i], scope_names[ACCOUNT], i + 1, ACCOUNT_LIMIT + (uint32_t)(i % 3 == 0));
}

static reqbus_ask ask_for(const struct limited *limited) { return (reqbus_ask){limited->key, limited->limit}; }

/* A slot of it is in hand. */
static void limited_take(struct limited *limited) {
    unsigned held = atomic_fetch_add(&limited->held, 1) + 1;
    unsigned peak = atomic_load(&limited->peak);
    while (held > peak && !atomic_compare_exchange_weak(&limited->peak, &peak, held)) {
    }
}

/* A slot of it is about to be given back. */
static void limited_give(struct limited *limited) { atomic_fetch_sub(&limited->held, 1); }

/* One of all keys: the users, then the accounts. */
static struct limited *limited_at(struct limits *limits, size_t index) {
    return index < USERS ? &limits->users[index] : &limits->accounts[index - USERS];
}

enum { KEYS = USERS + ACCOUNTS };

#endif
