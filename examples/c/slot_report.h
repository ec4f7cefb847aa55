/* The report on the slots: who got in, who waited, who was refused, and whether S1, S2 and S4 hold.
 *
 * Two sides are compared that know nothing of each other: what the workers counted, and what the pool says. */
#ifndef SLOT_REPORT_H
#define SLOT_REPORT_H

#include "report.h"

enum { SHOWN = 4 }; /* of each scope, the keys that had most requests */

/* What all workers counted. Its `waits_ns` is sorted. */
static bool tally_sum(const struct gateway *gateway, struct tally *sum) {
    *sum = (struct tally){0};
    for (size_t i = 0; i < WORKERS; i++) {
        const struct tally *tally = &gateway->workers[i].tally;
        sum->begun += tally->begun;
        sum->at_once += tally->at_once;
        sum->after_wait += tally->after_wait;
        sum->left_served += tally->left_served;
        sum->pings += tally->pings;
        sum->released += tally->released;
        for (size_t scope = 0; scope < SCOPES; scope++)
            for (size_t outcome = 0; outcome <= REQBUS_OUTCOME_INVALID; outcome++)
                sum->refused[scope][outcome] += tally->refused[scope][outcome];
    }
    sum->waits_ns = calloc(sum->after_wait + 1, sizeof *sum->waits_ns);
    if (sum->waits_ns == NULL) return false;
    size_t len = 0;
    for (size_t i = 0; i < WORKERS; i++) {
        const struct tally *tally = &gateway->workers[i].tally;
        for (size_t at = 0; at < tally->after_wait; at++) sum->waits_ns[len++] = tally->waits_ns[at];
    }
    qsort(sum->waits_ns, len, sizeof *sum->waits_ns, by_size);
    return true;
}

static uint64_t refused_for(const struct tally *tally, reqbus_outcome outcome) {
    return tally->refused[USER][outcome] + tally->refused[ACCOUNT][outcome];
}

static void print_tally(const struct demo *demo, const struct tally *tally) {
    uint64_t busy = refused_for(tally, REQBUS_OUTCOME_BUSY), full = refused_for(tally, REQBUS_OUTCOME_QUEUE_FULL);
    printf("slots      %" PRIu64 " requests: %" PRIu64 " got theirs at once, %" PRIu64 " after a wait\n", tally->begun,
           tally->at_once, tally->after_wait);
    if (tally->after_wait > 0) {
        double p50 = (double)percentile(tally->waits_ns, tally->after_wait, 50) / 1e9;
        double p99 = (double)percentile(tally->waits_ns, tally->after_wait, 99) / 1e9;
        printf("waits      p50 %.1f ms, p99 %.1f ms; in the trace's time %.1f s and %.1f s\n", p50 * 1e3, p99 * 1e3,
               p50 * demo->options.speed, p99 * demo->options.speed);
    }
    printf("refused    %" PRIu64 " busy, %" PRIu64 " queue full; %" PRIu64 " timed out\n", busy, full,
           refused_for(tally, REQBUS_OUTCOME_TIMED_OUT));
    printf("left       %" PRIu64 " clients while waiting, of which %" PRIu64
           " gave back the user's slot they had; %" PRIu64
           " while\n           served, which gave back both\n",
           refused_for(tally, REQBUS_OUTCOME_CANCELLED), tally->refused[ACCOUNT][REQBUS_OUTCOME_CANCELLED],
           tally->left_served);
    printf("pings      %" PRIu64 " to clients that waited\n", tally->pings);
}

/* What the pool counted for a key; all zero if it does not know it (any more). */
static reqbus_slot_stats stats_of(struct gateway *gateway, const struct limited *limited) {
    reqbus_slot_stats stats = {.size = sizeof stats};
    reqbus_status status = reqbus_pool_key_stats(gateway->pool, &limited->key, &stats);
    if (status != REQBUS_OK) fail_call(gateway->demo, "reqbus_pool_key_stats", status, NULL);
    return stats;
}

/* The keys of a scope that had most requests, the most first. */
static void print_keys(struct gateway *gateway, struct limited *keys, size_t len) {
    bool shown[USERS + ACCOUNTS] = {false};
    for (size_t row = 0; row < SHOWN && row < len; row++) {
        size_t most = len;
        uint64_t most_asked = 0;
        for (size_t i = 0; i < len; i++) {
            const reqbus_slot_stats stats = stats_of(gateway, &keys[i]);
            uint64_t asked = stats.granted + stats.busy + stats.queue_full + stats.timed_out + stats.cancelled;
            if (shown[i] || (most < len && asked <= most_asked)) continue;
            most = i;
            most_asked = asked;
        }
        shown[most] = true;
        const reqbus_slot_stats stats = stats_of(gateway, &keys[most]);
        printf("%-11s %5" PRIu32 " %5" PRIu32 " %5u %8" PRIu64 " %8" PRIu64 " %5" PRIu64 " %6" PRIu64 " %6" PRIu64
               " %6" PRIu64 "\n",
               keys[most].id, keys[most].limit, stats.peak, atomic_load(&keys[most].peak), stats.granted,
               stats.granted_after_wait, stats.busy, stats.queue_full, stats.timed_out, stats.cancelled);
    }
}

static void print_slots(struct gateway *gateway, const struct tally *tally) {
    print_tally(gateway->demo, tally);
    printf("\n%28s %41s\n%-11s %5s %5s %5s %8s %8s %5s %6s %6s %6s\n", "peak by:", "without a slot:", "key", "limit",
           "pool", "demo", "granted", "waited", "busy", "full", "time", "left");
    print_keys(gateway, gateway->limits.users, USERS);
    print_keys(gateway, gateway->limits.accounts, ACCOUNTS);
    printf("\n");
}

static bool s1_holds(struct gateway *gateway) {
    bool holds = true;
    size_t at_limit = 0;
    for (size_t i = 0; i < KEYS; i++) {
        struct limited *limited = limited_at(&gateway->limits, i);
        const reqbus_slot_stats stats = stats_of(gateway, limited);
        unsigned peak = atomic_load(&limited->peak);
        at_limit += peak == limited->limit;
        if (peak > limited->limit || stats.peak > limited->limit || (stats.known != 0 && stats.peak < peak)) {
            printf("S1 does not hold: %s has limit %" PRIu32 "; in use were up to %u by the demo's count and %" PRIu32
                   " by the pool's.\n",
                   limited->id, limited->limit, peak, stats.peak);
            holds = false;
        }
    }
    if (holds)
        printf("S1 holds: no user and no account had more requests in flight than its limit, by either count; %zu keys "
               "were\n          at theirs.\n",
               at_limit);
    return holds;
}

/* Says who still holds something; true if nobody. */
static bool nobody_holds(struct gateway *gateway) {
    reqbus_holders *holders = NULL;
    reqbus_error *error = NULL;
    reqbus_status status = reqbus_pool_held_longer_than(gateway->pool, 0, -1, &holders, &error);
    if (status != REQBUS_OK) {
        fail_call(gateway->demo, "reqbus_pool_held_longer_than", status, error);
        return false;
    }
    size_t len = reqbus_holders_len(holders);
    for (size_t i = 0; i < len; i++) {
        reqbus_holder holder = {.size = sizeof holder};
        if (reqbus_holders_item(holders, i, &holder) == REQBUS_OK)
            printf("S2 does not hold: %.*s still holds %.*s.\n", (int)holder.label_len, holder.label,
                   (int)holder.id_len, holder.id);
    }
    reqbus_holders_free(&holders);
    return len == 0;
}

static bool s2_holds(struct gateway *gateway, const struct tally *tally) {
    bool holds = nobody_holds(gateway);
    for (size_t i = 0; i < KEYS; i++) {
        struct limited *limited = limited_at(&gateway->limits, i);
        reqbus_load load = {.size = sizeof load};
        reqbus_status status = reqbus_pool_load(gateway->pool, &limited->key, 1, &load, sizeof load, -1, NULL);
        if (status != REQBUS_OK) fail_call(gateway->demo, "reqbus_pool_load", status, NULL);
        unsigned held = atomic_load(&limited->held);
        if (load.in_use == 0 && load.waiting == 0 && held == 0) continue;
        printf("S2 does not hold: at the end %" PRIu32 " slots of %s are in use and %" PRIu32
               " requests wait for one; by the demo's count %u are in use.\n",
               load.in_use, limited->id, load.waiting, held);
        holds = false;
    }
    uint64_t granted = tally->at_once + tally->after_wait;
    if (tally->released != granted) {
        printf("S2 does not hold: %" PRIu64 " requests got their slots, and %" PRIu64 " releases gave some back.\n",
               granted, tally->released);
        holds = false;
    }
    if (holds)
        printf("S2 holds: each of %" PRIu64 " grants was given back once, when its request ended or its client left; "
               "nothing\n          is held or waited for any more.\n",
               granted);
    return holds;
}

static bool same_count(size_t scope, const char *what, uint64_t pool, uint64_t demo) {
    if (pool != demo)
        printf("S4 does not hold: of %s slots the pool counted %" PRIu64 " %s, and the demo was told of %" PRIu64 ".\n",
               scope_names[scope], pool, what, demo);
    return pool == demo;
}

static bool s4_holds(struct gateway *gateway, const struct tally *tally) {
    uint64_t ended = tally->at_once + tally->after_wait;
    bool holds = true;
    for (size_t scope = 0; scope < SCOPES; scope++) {
        reqbus_slot_stats stats = {.size = sizeof stats};
        reqbus_status status =
            reqbus_pool_scope_stats(gateway->pool, scope_names[scope], strlen(scope_names[scope]), &stats);
        if (status != REQBUS_OK) fail_call(gateway->demo, "reqbus_pool_scope_stats", status, NULL);
        const uint64_t *refused = tally->refused[scope];
        holds = same_count(scope, "busy", stats.busy, refused[REQBUS_OUTCOME_BUSY]) && holds;
        holds = same_count(scope, "queue full", stats.queue_full, refused[REQBUS_OUTCOME_QUEUE_FULL]) && holds;
        holds = same_count(scope, "timed out", stats.timed_out, refused[REQBUS_OUTCOME_TIMED_OUT]) && holds;
        holds = same_count(scope, "cancelled", stats.cancelled, refused[REQBUS_OUTCOME_CANCELLED]) && holds;
        for (size_t outcome = 0; outcome <= REQBUS_OUTCOME_INVALID; outcome++) ended += refused[outcome];
        if (scope == ACCOUNT) /* taken last, so a grant of it is the whole request's */
            holds = same_count(scope, "granted", stats.granted, tally->at_once + tally->after_wait) && holds;
    }
    if (ended != tally->begun) {
        printf("S4 does not hold: %" PRIu64 " requests asked, and %" PRIu64 " were granted or refused.\n", tally->begun,
               ended);
        holds = false;
    }
    if (holds)
        printf("S4 holds: each of %" PRIu64
               " requests was granted or refused once, in the one way that the pool counted too.\n",
               tally->begun);
    return holds;
}

/* Prints everything about slots; true if all promises hold. */
static bool slots_hold(struct gateway *gateway, const struct tally *tally) {
    bool s1 = s1_holds(gateway);
    bool s2 = s2_holds(gateway, tally);
    bool s4 = s4_holds(gateway, tally);
    return s1 && s2 && s4;
}

#endif
