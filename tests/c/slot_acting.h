/* The steps that ask for slots and give them back. Only slots_conformance.c includes it. */
#ifndef REQBUS_TESTS_SLOT_ACTING_H
#define REQBUS_TESTS_SLOT_ACTING_H

#include "slot_lines.h"

/* A slot or a wait under its name, which no other has in a case. */
typedef struct {
    char name[40];
    reqbus_slot *slot;
    reqbus_wait *wait;
    int is_gone;
    int is_joined; /* in C the handle of a slot that was joined to another is gone */
    end_of early;  /* of a wait that could not begin */
} thing;

static thing things[128];
static size_t things_count;

/* Keys that were asked for, which are looked at after each step: scope, id. */
static char *noted[128][2];
static size_t noted_len[128][2], noted_count;

static thing *add_thing(const line *l) {
    const field *as = need(l, "as");
    HOLDS(things_count < sizeof things / sizeof things[0] && as->len < sizeof things[0].name);
    HOLDS(!same(as->text, as->len, "pool"));
    for (size_t i = 0; i < things_count; i++) HOLDS(!same(as->text, as->len, things[i].name));
    thing *made = &things[things_count++];
    memset(made, 0, sizeof *made);
    memcpy(made->name, as->text, as->len);
    return made;
}

static thing *thing_of(const line *l, const char *field_name) {
    const field *f = need(l, field_name);
    for (size_t i = 0; i < things_count; i++)
        if (!things[i].is_gone && same(f->text, f->len, things[i].name)) return &things[i];
    fprintf(stderr, "case %s, step %u: nothing is called %.*s\n", case_name, step_number, (int)f->len, f->text);
    exit(1);
}

/* Where the slot of that name is; NULL in it if it was joined to another. */
static thing *slot_of(const line *l, const char *field_name) {
    thing *found = thing_of(l, field_name);
    HOLDS(found->slot != NULL || found->is_joined);
    return found;
}

static thing *wait_of(const line *l, const char *field_name) {
    thing *found = thing_of(l, field_name);
    HOLDS(found->wait != NULL || found->early.is_early);
    return found;
}

static void note_key(const reqbus_key *key) {
    if (key->scope_len - 1 >= 255 || key->id_len - 1 >= 255) return; /* no key */
    for (size_t i = 0; i < noted_count; i++)
        if (noted_len[i][0] == key->scope_len && memcmp(noted[i][0], key->scope, key->scope_len) == 0 &&
            noted_len[i][1] == key->id_len && memcmp(noted[i][1], key->id, key->id_len) == 0)
            return;
    HOLDS(noted_count < sizeof noted / sizeof noted[0]);
    const char *texts[2] = {key->scope, key->id};
    size_t lens[2] = {key->scope_len, key->id_len};
    for (size_t i = 0; i < 2; i++) {
        noted[noted_count][i] = (char *)space(lens[i], 1);
        memcpy(noted[noted_count][i], texts[i], lens[i]);
        noted_len[noted_count][i] = lens[i];
    }
    noted_count++;
}

/* The key that was noted as number `i`. */
static reqbus_key noted_key(size_t i) {
    reqbus_key key;
    key.scope = noted[i][0];
    key.scope_len = noted_len[i][0];
    key.id = noted[i][1];
    key.id_len = noted_len[i][1];
    return key;
}

static reqbus_ask *asks_of(const rows *all) {
    reqbus_ask *asks = (reqbus_ask *)space(all->count, sizeof *asks);
    for (size_t i = 0; i < all->count; i++) {
        asks[i].key = key_of(&all->at[i]);
        asks[i].limit = limit_of(&all->at[i]);
        note_key(&asks[i].key);
    }
    return asks;
}

static int is_key(const line *l, const reqbus_holder *holder) {
    int is_scope = text_holds(l, "scope", holder->scope, holder->scope_len);
    return text_holds(l, "id", holder->id, holder->id_len) && is_scope;
}

/* Compares the keys of what a slot holds with `key` lines, which also name what it has lost: C lists that no more. */
static void same_keys(const reqbus_slot *slot, const rows *keys) {
    reqbus_holders *holders = NULL;
    uint32_t lost = 7;
    OK(reqbus_slot_holders(slot, &holders, NULL));
    OK(reqbus_slot_lost(slot, &lost));
    size_t count = reqbus_holders_len(holders), passed = 0;
    for (size_t i = 0; i < keys->count; i++) {
        reqbus_holder holder;
        INIT(holder);
        int is_there = passed < count;
        if (is_there) OK(reqbus_holders_item(holders, passed, &holder));
        is_there = is_key(&keys->at[i], &holder) && is_there;
        HOLDS(is_there || lost != REQBUS_LOSS_NONE);
        passed += (size_t)is_there;
    }
    HOLDS(passed == count && (lost == REQBUS_LOSS_NONE || count < keys->count));
    OK(reqbus_holders_free(&holders));
}

/* Keeps the slot of a request that was to be granted, and compares its keys. */
static void keep_slot(const line *l, const end_of *end, const rows *keys) {
    if (end->slot == NULL) return;
    thing *made = add_thing(l);
    made->slot = end->slot;
    if (find(l, "keys") != NULL) same_keys(made->slot, keys);
}

static void do_try(const line *l, FILE *from) {
    rows wants = read_rows(l, from, "wants", "want"), asked = read_rows(l, from, "asks", "ask"),
         keys = read_rows(l, from, "keys", "key");
    reqbus_ask *asks = asks_of(&asked);
    const field *label = need(l, "label");
    end_of end;
    memset(&end, 0, sizeof end);
    INIT(end.why);
    if (is_word(l, "slots.try")) {
        end.status = reqbus_pool_try_acquire(pool, asks, asked.count, label->text, label->len, &end.slot, &end.why,
                                             &end.error);
    } else {
        size_t which = 77;
        end.status = reqbus_pool_try_first_of(pool, asks, asked.count, label->text, label->len, &which, &end.slot,
                                              &end.why, &end.error);
        HOLDS(!is_null(l, "chosen") || which == 77);
        same_number(l, "chosen", which);
    }
    same_end(l, &wants, &end);
    if (end.slot == NULL) OK(reqbus_error_free(&end.error));
    else keep_slot(l, &end, &keys);
    free(asks);
    free_rows(&wants);
    free_rows(&asked);
    free_rows(&keys);
}

static void do_wait(const line *l, FILE *from) {
    rows asked = read_rows(l, from, "asks", "ask");
    reqbus_ask *asks = asks_of(&asked);
    reqbus_wait_options how;
    INIT(how);
    how.label = need(l, "label")->text;
    how.label_len = need(l, "label")->len;
    const field *timeout = find(l, "timeout_ms"), *most = find(l, "max_waiting"), *pings = find(l, "ping_every_ms");
    how.timeout_ms = timeout != NULL ? timeout->number : 0;
    how.max_waiting = most != NULL ? (uint32_t)most->number : 0;
    how.ping_every_ms = pings != NULL ? (uint64_t)pings->number : 0;
    /* 0 is the default in C: what would not wait is said by a flag. */
    if ((timeout != NULL && timeout->number == 0) || (most != NULL && most->number == 0)) how.flags = REQBUS_WAIT_TRY;
    if (find(l, "no_pings") != NULL) how.flags |= REQBUS_WAIT_NO_PINGS;

    thing *made = add_thing(l);
    end_of *early = &made->early;
    if (is_word(l, "slots.wait"))
        early->status = reqbus_pool_wait(pool, asks, asked.count, &how, &made->wait, &early->error);
    else
        early->status = reqbus_pool_wait_on_top(pool, slot_of(l, "on")->slot, asks, asked.count, &how, &made->wait,
                                                &early->error);
    early->is_early = made->wait == NULL;
    HOLDS(early->is_early == (early->error != NULL) && early->is_early == (early->status != REQBUS_OK));
    if (!early->is_early) same_number(l, "position", position_of(made->wait));
    free(asks);
    free_rows(&asked);
}

/* What is new. A store far away is asked for the next key, and for an offer, by a look: there it takes some. */
static void look_at(reqbus_wait *wait, end_of *end) {
    int looks = on_fault ? 20 : 1;
    do {
        memset(end, 0, sizeof *end);
        INIT(end->why);
        end->status = reqbus_wait_next(wait, 0, &end->slot, &end->why, &end->error);
    } while (end->status == REQBUS_TIMEOUT && --looks > 0);
}

static void do_look(const line *l, FILE *from) {
    rows wants = read_rows(l, from, "wants", "want"), keys = read_rows(l, from, "keys", "key");
    thing *at = wait_of(l, "at");
    end_of end = at->early;
    if (!end.is_early) look_at(at->wait, &end);
    same_end(l, &wants, &end);
    keep_slot(l, &end, &keys);
    if (!end.is_early) OK(reqbus_error_free(&end.error));
    free_rows(&wants);
    free_rows(&keys);
}

static void do_cancel(const line *l) {
    const field *cause = find(l, "cause");
    OK(reqbus_wait_cancel(wait_of(l, "what")->wait, cause == NULL ? NULL : cause->text, cause == NULL ? 0 : cause->len));
}

/* In C a scope that the slot does not have was released already, and so was a slot that was joined to another. */
static void do_release(const line *l) {
    thing *what = slot_of(l, "what");
    reqbus_status got = REQBUS_SLOT_ALREADY_RELEASED;
    const field *scope = find(l, "scope");
    if (!what->is_joined)
        got = scope == NULL ? reqbus_slot_release(what->slot)
                            : reqbus_slot_release_scope(what->slot, scope->text, scope->len);
    if (got == REQBUS_OK) same_text(l, "expect", LIT("released"));
    else if (got == REQBUS_SLOT_LOST) same_text(l, "expect", LIT("lost"));
    else {
        IS(REQBUS_SLOT_ALREADY_RELEASED, got);
        const field *want = need(l, "expect");
        HOLDS(same(want->text, want->len, "already") || (scope != NULL && same(want->text, want->len, "none")));
    }
}

static void do_join(const line *l) {
    thing *to = slot_of(l, "to"), *other = slot_of(l, "from");
    reqbus_slot *before = other->slot;
    reqbus_error *error = NULL;
    reqbus_status got = reqbus_slot_join(to->slot, &other->slot, &error);
    other->is_joined = answered(l, got, error);
    HOLDS(other->slot == (other->is_joined ? NULL : before));
}

static void do_keys(const line *l, FILE *from) {
    rows keys = read_rows(l, from, "keys", "key");
    thing *of = slot_of(l, "of");
    if (of->is_joined) HOLDS(keys.count == 0);
    else same_keys(of->slot, &keys);
    free_rows(&keys);
}

static void do_lost(const line *l) {
    static const char *const names[] = {"none", "expired", "forced", "store"};
    uint32_t reason = 7;
    OK(reqbus_slot_lost(slot_of(l, "of")->slot, &reason));
    HOLDS(reason < sizeof names / sizeof names[0]);
    same_text(l, "expect", names[reason], strlen(names[reason]));
}

static void do_leak(const line *l) {
    thing *what = slot_of(l, "what");
    OK(reqbus_slot_leak(&what->slot));
    what->is_gone = 1;
}

static void drop(thing *what) {
    OK(reqbus_slot_free(&what->slot));
    OK(reqbus_wait_free(&what->wait));
    OK(reqbus_error_free(&what->early.error));
    what->is_gone = 1;
}

static void do_drop(const line *l) {
    const field *what = need(l, "what");
    if (!same(what->text, what->len, "pool")) {
        drop(thing_of(l, "what"));
        return;
    }
    HOLDS(pool != NULL);
    OK(reqbus_pool_free(&pool));
}

static void do_position(const line *l) {
    thing *of = wait_of(l, "of");
    same_number(l, "is", of->early.is_early ? 0 : position_of(of->wait));
}

#endif
