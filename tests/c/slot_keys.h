/* The steps about keys: what is set on them, how they stand, who holds them. Only slots_conformance.c includes it. */
#ifndef REQBUS_TESTS_SLOT_KEYS_H
#define REQBUS_TESTS_SLOT_KEYS_H

#include "slot_acting.h"

/* A leak as the pool's sink was told of it, or a holder that has a name. */
typedef struct {
    char name[40];
    uint64_t holder;
} named_holder;

typedef struct {
    char *texts[3]; /* scope, id, label */
    size_t lens[3];
    uint64_t age_ns;
} told_leak;

static named_holder named_holders[16];
static size_t named_holders_count;
static told_leak leaks[16];
static size_t leaks_count;

static void hear_of_leak(void *ctx, const reqbus_leak *leak) {
    told_leak *told_of = &leaks[leaks_count];
    CHECK(ctx == leaks && leak->size == sizeof *leak && leaks_count++ < sizeof leaks / sizeof leaks[0]);
    const char *texts[3] = {leak->scope, leak->id, leak->label};
    size_t lens[3] = {leak->scope_len, leak->id_len, leak->label_len};
    for (size_t i = 0; i < 3; i++) {
        told_of->texts[i] = (char *)space(lens[i], 1);
        memcpy(told_of->texts[i], texts[i], lens[i]);
        told_of->lens[i] = lens[i];
    }
    told_of->age_ns = leak->age_ns;
}

static void forget_leaks(void) {
    for (; leaks_count > 0; leaks_count--)
        for (size_t i = 0; i < 3; i++) free(leaks[leaks_count - 1].texts[i]);
}

static void same_entry(const line *want, const char *const *texts, const size_t *lens, uint64_t age_ns) {
    same_text(want, "scope", texts[0], lens[0]);
    same_text(want, "id", texts[1], lens[1]);
    same_text(want, "label", texts[2], lens[2]);
    same_ms(want, "age_ms", age_ns);
}

static void told_leaks(const line *l, FILE *from) {
    rows wants = read_rows(l, from, "wants", "want");
    HOLDS(leaks_count == wants.count);
    for (size_t i = 0; i < leaks_count; i++) {
        const char *texts[3] = {leaks[i].texts[0], leaks[i].texts[1], leaks[i].texts[2]};
        same_entry(&wants.at[i], texts, leaks[i].lens, leaks[i].age_ns);
    }
    forget_leaks();
    free_rows(&wants);
}

static void change_key(const line *l) {
    reqbus_key key = key_of(l);
    reqbus_error *error = NULL;
    reqbus_status got;
    if (is_word(l, "slots.set_limit")) got = reqbus_pool_set_limit(pool, &key, limit_of(l), 0, &error);
    else if (is_word(l, "slots.clear_limit")) got = reqbus_pool_clear_limit(pool, &key, 0, &error);
    else if (is_word(l, "slots.close_key")) got = reqbus_pool_close_key(pool, &key, 0, &error);
    else got = reqbus_pool_open_key(pool, &key, 0, &error);
    answered(l, got, error);
}

static void nonpositive_is_unlimited(const line *l) {
    int64_t got = REQBUS_LIMIT_NOT_GIVEN;
    reqbus_status status = reqbus_limit_nonpositive_is_unlimited(number(l, "number"), &got);
    const char *name = reqbus_status_name((int32_t)status);
    same_text(l, "expect", name, strlen(name));
    find(l, "context"); /* it tells no error, for it has one argument */
    HOLDS(got == limit_of(l));
}

static void same_load(const line *want, const reqbus_load *load) {
    HOLDS(load->size == sizeof *load);
    same_number(want, "in_use", load->in_use);
    same_number(want, "waiting", load->waiting);
    same_number(want, "lapsed", load->lapsed);
    same_limit(want, load->limit);
    same_number(want, "rate", load->rate);
    same_number(want, "is_closed", load->closed);
    same_number(want, "has_room", load->has_room);
    same_ms(want, "oldest_wait_ms", load->oldest_wait_ns);
    same_ms(want, "oldest_hold_ms", load->oldest_hold_ns);
}

static void do_load(const line *l, FILE *from) {
    rows key_rows = read_rows(l, from, "keys", "key"), wants = read_rows(l, from, "wants", "want");
    reqbus_key *keys = keys_of(&key_rows);
    reqbus_load *loads = (reqbus_load *)space(key_rows.count, sizeof *loads);
    reqbus_error *error = NULL;
    reqbus_status got = reqbus_pool_load(pool, keys, key_rows.count, loads, sizeof *loads, 0, &error);
    if (answered(l, got, error)) {
        HOLDS(wants.count == key_rows.count);
        for (size_t i = 0; i < wants.count; i++) same_load(&wants.at[i], &loads[i]);
    }
    free(keys);
    free(loads);
    free_rows(&key_rows);
    free_rows(&wants);
}

static void order_by_load(const line *l, FILE *from) {
    rows key_rows = read_rows(l, from, "keys", "key"), wants = read_rows(l, from, "numbers", "number");
    reqbus_key *keys = keys_of(&key_rows);
    size_t *order = (size_t *)space(key_rows.count, sizeof *order);
    reqbus_error *error = NULL;
    reqbus_status got = reqbus_pool_order_by_load(pool, keys, key_rows.count, order, 0, &error);
    if (answered(l, got, error)) {
        HOLDS(find(l, "numbers") == NULL || wants.count == key_rows.count);
        for (size_t i = 0; i < wants.count; i++) same_number(&wants.at[i], "value", order[i]);
    }
    free(keys);
    free(order);
    free_rows(&key_rows);
    free_rows(&wants);
}

static int in_order(const char *one, size_t one_len, const char *other, size_t other_len) {
    size_t both = one_len < other_len ? one_len : other_len;
    int order = both == 0 ? 0 : memcmp(one, other, both);
    return order != 0 ? order : (one_len > other_len) - (one_len < other_len);
}

static int is_after(const reqbus_holder *one, const reqbus_holder *other) {
    int order = in_order(one->scope, one->scope_len, other->scope, other->scope_len);
    if (order == 0) order = in_order(one->id, one->id_len, other->id, other->id_len);
    return order > 0;
}

/* Sorted by key: it is told how the holders of one key stand to each other, not in which order keys come. */
static reqbus_holder *sorted(const reqbus_holders *holders, size_t count) {
    reqbus_holder *all = (reqbus_holder *)space(count, sizeof *all);
    for (size_t i = 0; i < count; i++) {
        reqbus_holder next;
        INIT(next);
        OK(reqbus_holders_item(holders, i, &next));
        size_t at = i;
        for (; at > 0 && is_after(&all[at - 1], &next); at--) all[at] = all[at - 1];
        all[at] = next;
    }
    return all;
}

static void do_holders(const line *l, FILE *from) {
    rows wants = read_rows(l, from, "wants", "want");
    reqbus_holders *holders = NULL;
    reqbus_error *error = NULL;
    int is_there = 1;
    if (is_word(l, "slots.holders")) {
        reqbus_key key = key_of(l);
        reqbus_status got = reqbus_pool_holders(pool, &key, 0, &holders, &error);
        is_there = answered(l, got, error);
    } else {
        OK(reqbus_pool_held_longer_than(pool, (uint64_t)number(l, "ms"), 0, &holders, NULL));
    }
    HOLDS(is_there == (holders != NULL) && reqbus_holders_len(holders) == (is_there ? wants.count : 0));
    reqbus_holder *all = sorted(holders, reqbus_holders_len(holders));
    for (size_t i = 0; is_there && i < wants.count; i++) {
        const char *texts[3] = {all[i].scope, all[i].id, all[i].label};
        size_t lens[3] = {all[i].scope_len, all[i].id_len, all[i].label_len};
        same_entry(&wants.at[i], texts, lens, all[i].age_ns);
    }
    free(all);
    OK(reqbus_holders_free(&holders));
    free_rows(&wants);
}

/* Remembers the oldest holder with a label. */
static void name_holder(const line *l) {
    reqbus_key key = key_of(l);
    const field *as = need(l, "as"), *label = need(l, "label");
    named_holder *made = &named_holders[named_holders_count];
    HOLDS(named_holders_count++ < sizeof named_holders / sizeof named_holders[0] && as->len < sizeof made->name);
    memset(made, 0, sizeof *made);
    memcpy(made->name, as->text, as->len);
    reqbus_holders *holders = NULL;
    OK(reqbus_pool_holders(pool, &key, 0, &holders, NULL));
    reqbus_holder holder;
    INIT(holder);
    size_t at = 0;
    do OK(reqbus_holders_item(holders, at++, &holder));
    while (in_order(holder.label, holder.label_len, label->text, label->len) != 0);
    made->holder = holder.holder;
    OK(reqbus_holders_free(&holders));
}

static void do_force(const line *l) {
    reqbus_key key = key_of(l);
    const field *name = need(l, "holder");
    size_t at = 0;
    while (at < named_holders_count && !same(name->text, name->len, named_holders[at].name)) at++;
    HOLDS(at < named_holders_count);
    reqbus_error *error = NULL;
    int32_t was_held = 7;
    reqbus_status got = reqbus_pool_force(pool, &key, named_holders[at].holder, 0, &was_held, &error);
    if (answered(l, got, error)) same_number(l, "was_held", (uint64_t)was_held);
}

static void same_stats(const line *want, const reqbus_slot_stats *stats) {
    const struct {
        const char *name;
        uint64_t got;
    } counters[] = {
        {"granted", stats->granted}, {"granted_after_wait", stats->granted_after_wait}, {"busy", stats->busy},
        {"queue_full", stats->queue_full}, {"timed_out", stats->timed_out}, {"cancelled", stats->cancelled},
        {"closed", stats->closed}, {"store_unavailable", stats->store_unavailable}, {"lost", stats->lost},
        {"leaked", stats->leaked}, {"lapsed_offers", stats->lapsed_offers}, {"limit_changes", stats->limit_changes},
        {"waits", stats->waits}, {"peak", stats->peak},
    };
    for (size_t i = 0; i < sizeof counters / sizeof counters[0]; i++) same_number(want, counters[i].name, counters[i].got);
    same_ms(want, "wait_p50_ms", stats->wait_p50_ns);
    same_ms(want, "wait_p90_ms", stats->wait_p90_ns);
    same_ms(want, "wait_p99_ms", stats->wait_p99_ns);
    same_ms(want, "wait_max_ms", stats->wait_max_ns);
    same_ms(want, "mean_hold_ms", stats->mean_hold_ns);
}

static void do_stats(const line *l, FILE *from) {
    rows wants = read_rows(l, from, "wants", "want");
    reqbus_slot_stats stats;
    INIT(stats);
    if (is_word(l, "slots.key_stats")) {
        reqbus_key key = key_of(l);
        reqbus_status got = reqbus_pool_key_stats(pool, &key, &stats);
        int is_wrong = key.scope_len - 1 >= 255 || key.id_len - 1 >= 255; /* which C says, beside that it is not known */
        HOLDS((got == REQBUS_OK) == !is_wrong && stats.known == (find(l, "nothing") == NULL));
    } else {
        const field *scope = need(l, "scope");
        OK(reqbus_pool_scope_stats(pool, scope->text, scope->len, &stats));
    }
    if (wants.count == 1) same_stats(wants.at, &stats);
    free_rows(&wants);
}

static void known_keys(const line *l) {
    size_t count = 77;
    OK(reqbus_pool_known_keys(pool, &count));
    const field *most = find(l, "at_most");
    same_number(l, "count", count);
    HOLDS(most == NULL || count <= (size_t)most->number);
}

/* Takes and gives back a slot of many keys, one after the other. */
static void touch(const line *l) {
    const field *scope = need(l, "scope");
    for (long long i = 1; i <= number(l, "count"); i++) {
        char id[24];
        reqbus_ask ask;
        ask.key.scope = scope->text;
        ask.key.scope_len = scope->len;
        ask.key.id = id;
        ask.key.id_len = (size_t)snprintf(id, sizeof id, "%lld", i);
        ask.limit = 1;
        reqbus_slot *slot = take_one(pool, &ask);
        OK(reqbus_slot_free(&slot));
    }
}

static void leaked(const line *l) {
    uint64_t count = 77;
    OK(reqbus_pool_leaked(pool, &count));
    same_number(l, "count", count);
}

#endif
