/* Slots by example: tries and refusals, waits and hand-over, pings, several scopes, the bell. */
#include "slotting.h"

#include <poll.h>
#include <pthread.h>

static void tries(void) {
    reqbus_pool *pool = new_pool();
    reqbus_ask user = ask_of("user", "42", 2);
    reqbus_slot *one = NULL, *two = NULL, *three = NULL;
    OK(reqbus_pool_try_acquire(pool, &user, 1, LIT("first"), &one, NULL, NULL));
    OK(try_one(pool, &user, &two));
    reqbus_refusal why;
    INIT(why);
    reqbus_error *error = NULL;
    three = one;
    told(REQBUS_SLOT_BUSY, reqbus_pool_try_acquire(pool, &user, 1, NULL, 0, &three, &why, &error), &error, "user");
    CHECK(three == NULL);
    CHECK(why.outcome == REQBUS_OUTCOME_BUSY && why.in_use == 2 && why.limit == 2 && why.waiting == 0);
    CHECK(why.position == 0 && why.pings == 0 && why.retry_after_s == 0);
    CHECK(same(why.scope, why.scope_len, "user") && why.scope[4] == '\0');

    reqbus_load load = load_of(pool, &user.key);
    CHECK(load.size == sizeof load && load.in_use == 2 && load.rate == 100 && load.limit == 2 && !load.has_room);
    OK(reqbus_slot_release(one));
    IS(REQBUS_SLOT_ALREADY_RELEASED, reqbus_slot_release(one));
    OK(reqbus_pool_try_acquire(pool, &user, 1, NULL, 0, &three, &why, NULL));
    CHECK(why.size == sizeof why && why.outcome == REQBUS_OUTCOME_NONE && why.scope_len == 0 && why.in_use == 0);
    OK(reqbus_slot_free(&one)); /* was released: nothing more is given back */
    CHECK(load_of(pool, &user.key).in_use == 2);
    OK(reqbus_slot_free(&two));
    OK(reqbus_slot_free(&three));

    /* Limits: unlimited counts, one that is not given is the key's own, a set one wins. */
    reqbus_ask free_for_all = ask_of("tenant", "t", REQBUS_UNLIMITED);
    one = take_one(pool, &free_for_all);
    load = load_of(pool, &free_for_all.key);
    CHECK(load.in_use == 1 && load.limit == REQBUS_UNLIMITED && load.rate == 0 && load.has_room);
    OK(reqbus_slot_free(&one));
    user.limit = REQBUS_LIMIT_NOT_GIVEN;
    one = take_one(pool, &user);
    OK(reqbus_pool_set_limit(pool, &user.key, 1, 0, NULL));
    user.limit = 50;
    IS(REQBUS_SLOT_BUSY, try_one(pool, &user, &two));
    OK(reqbus_pool_clear_limit(pool, &user.key, 0, NULL));
    two = take_one(pool, &user);
    OK(reqbus_pool_close_key(pool, &user.key, 0, NULL));
    IS(REQBUS_SLOT_CLOSED, try_one(pool, &user, &three));
    CHECK(load_of(pool, &user.key).closed == 1);
    OK(reqbus_pool_open_key(pool, &user.key, 0, NULL));
    OK(reqbus_slot_free(&one));
    OK(reqbus_slot_free(&two));
    int64_t limit = 0;
    OK(reqbus_limit_nonpositive_is_unlimited(0, &limit));
    CHECK(limit == REQBUS_UNLIMITED);
    OK(reqbus_limit_nonpositive_is_unlimited(7, &limit));
    CHECK(limit == 7);

    reqbus_slot_stats stats;
    INIT(stats);
    OK(reqbus_pool_key_stats(pool, &user.key, &stats));
    CHECK(stats.known == 1 && stats.granted == 5 && stats.busy == 2 && stats.closed == 1 && stats.peak == 2);
    OK(reqbus_pool_scope_stats(pool, LIT("user"), &stats));
    CHECK(stats.granted == 5 && stats.known == 0);
    reqbus_key nobody = KEY("user", "nobody");
    OK(reqbus_pool_key_stats(pool, &nobody, &stats));
    CHECK(stats.granted == 0 && stats.known == 0);
    size_t known = 0;
    OK(reqbus_pool_known_keys(pool, &known));
    CHECK(known == 2);
    CHECK(held_in(pool) == 0);
    OK(reqbus_pool_free(&pool));
}

static void accounts(void) {
    reqbus_pool *pool = new_pool();
    reqbus_ask asks[3];
    asks[0] = ask_of("account", "a", 2);
    asks[1] = ask_of("account", "b", 4);
    asks[2] = ask_of("account", "c", 1);
    reqbus_slot *slots[4] = {NULL, NULL, NULL, NULL};
    slots[0] = take_one(pool, &asks[0]);
    slots[1] = take_one(pool, &asks[1]);
    slots[2] = take_one(pool, &asks[2]);
    reqbus_key keys[3];
    for (int i = 0; i < 3; i++) keys[i] = asks[i].key;
    size_t order[3] = {9, 9, 9}, which = 9;
    OK(reqbus_pool_order_by_load(pool, keys, 3, order, 0, NULL));
    CHECK(order[0] == 1 && order[1] == 0 && order[2] == 2);
    reqbus_load loads[3];
    OK(reqbus_pool_load(pool, keys, 3, loads, sizeof loads[0], -1, NULL));
    CHECK(loads[0].rate == 50 && loads[1].rate == 25 && loads[2].rate == 100);
    OK(reqbus_pool_try_first_of(pool, asks, 3, LIT("x"), &which, &slots[3], NULL, NULL));
    CHECK(which == 1);

    /* Who holds, and a forced release. */
    reqbus_holders *holders = NULL;
    OK(reqbus_pool_holders(pool, &keys[1], 0, &holders, NULL));
    CHECK(reqbus_holders_len(holders) == 2);
    reqbus_holder holder;
    INIT(holder);
    OK(reqbus_holders_item(holders, 1, &holder));
    CHECK(same(holder.scope, holder.scope_len, "account") && same(holder.id, holder.id_len, "b"));
    CHECK(same(holder.label, holder.label_len, "x"));
    IS(REQBUS_NO_SUCH_ITEM, reqbus_holders_item(holders, 2, &holder));
    int32_t was_held = 7;
    uint32_t reason = 7;
    OK(reqbus_slot_lost(slots[3], &reason));
    CHECK(reason == REQBUS_LOSS_NONE);
    IS(REQBUS_TIMEOUT, reqbus_slot_wait_lost(slots[3], 1, &reason));
    OK(reqbus_pool_force(pool, &keys[1], holder.holder, 0, &was_held, NULL));
    CHECK(was_held == 1);
    OK(reqbus_pool_force(pool, &keys[1], holder.holder, 0, &was_held, NULL));
    CHECK(was_held == 0);
    OK(reqbus_slot_lost(slots[3], &reason));
    CHECK(reason == REQBUS_LOSS_FORCED);
    IS(REQBUS_SLOT_LOST, reqbus_slot_wait_lost(slots[3], -1, &reason));
    IS(REQBUS_SLOT_LOST, reqbus_slot_release(slots[3]));
    OK(reqbus_holders_free(&holders));
    for (int i = 0; i < 4; i++) OK(reqbus_slot_free(&slots[i]));
    CHECK(held_in(pool) == 0);
    OK(reqbus_pool_free(&pool));
}

/* A release and a free in one call: what it says, and that one who waits gets what it held. */
static void ends(void) {
    reqbus_pool *pool = NULL;
    OK(reqbus_pool_new(NULL, &pool, NULL));
    reqbus_ask ask = ask_of("user", "42", 1);
    reqbus_slot *slot = NULL;
    reqbus_wait *wait = NULL;
    OK(reqbus_pool_acquire(pool, &ask, 1, NULL, &slot, &wait, NULL));
    reqbus_slot *next = NULL;
    IS(REQBUS_TIMEOUT, reqbus_pool_acquire(pool, &ask, 1, NULL, &next, &wait, NULL));
    OK(reqbus_slot_end(&slot));
    CHECK(slot == NULL);
    OK(reqbus_wait_next(wait, 0, &next, NULL, NULL));
    OK(reqbus_wait_free(&wait));
    OK(reqbus_slot_release(next));
    IS(REQBUS_SLOT_ALREADY_RELEASED, reqbus_slot_end(&next));
    CHECK(next == NULL && held_in(pool) == 0);

    OK(reqbus_pool_acquire(pool, &ask, 1, NULL, &slot, &wait, NULL));
    reqbus_holders *holders = NULL;
    reqbus_holder holder;
    INIT(holder);
    OK(reqbus_slot_holders(slot, &holders, NULL));
    OK(reqbus_holders_item(holders, 0, &holder));
    OK(reqbus_pool_force(pool, &ask.key, holder.holder, 0, NULL, NULL));
    OK(reqbus_holders_free(&holders));
    IS(REQBUS_SLOT_LOST, reqbus_slot_end(&slot));

    OK(reqbus_pool_acquire(pool, &ask, 1, NULL, &slot, &wait, NULL));
    OK(reqbus_pool_free(&pool));
    OK(reqbus_slot_end(&slot)); /* after its pool */
    CHECK(slot == NULL);
}

static void *release_soon(void *slot) {
    sleep_ms(20);
    OK(reqbus_slot_release((reqbus_slot *)slot));
    return NULL;
}

static void waits(void) {
    reqbus_pool *pool = new_pool();
    reqbus_ask user = ask_of("user", "42", 1);
    reqbus_slot *held = take_one(pool, &user), *next = NULL;
    reqbus_wait *first = begin_wait(pool, &user, 1, NULL), *second = begin_wait(pool, &user, 1, NULL);
    CHECK(position_of(first) == 1 && position_of(second) == 2);
    IS(REQBUS_TIMEOUT, look(first, 0));
    IS(REQBUS_TIMEOUT, look(second, 5));

    /* From thread to thread, in order. */
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, release_soon, held) == 0);
    next = granted(first, -1);
    pthread_join(thread, NULL);
    IS(REQBUS_TIMEOUT, look(second, 0));
    IS(REQBUS_INVALID_ARGUMENT, look(first, 0)); /* its slot was handed out */
    OK(reqbus_slot_free(&held));
    OK(reqbus_slot_free(&next));
    next = granted(second, -1);
    OK(reqbus_wait_free(&first));
    OK(reqbus_wait_free(&second));

    /* A full queue, a cancel with a cause, and a wait whose time is up. */
    reqbus_wait_options how;
    INIT(how);
    how.max_waiting = 1;
    how.timeout_ms = 30;
    first = begin_wait(pool, &user, 1, &how);
    second = begin_wait(pool, &user, 1, &how);
    reqbus_refusal why;
    INIT(why);
    reqbus_error *error = NULL;
    told(REQBUS_SLOT_QUEUE_FULL, reqbus_wait_next(second, -1, &held, &why, &error), &error, "user");
    CHECK(why.outcome == REQBUS_OUTCOME_QUEUE_FULL && why.waiting == 1 && why.in_use == 1);
    OK(reqbus_wait_free(&second));
    told(REQBUS_SLOT_TIMED_OUT, reqbus_wait_next(first, -1, &held, &why, &error), &error, "user");
    CHECK(why.outcome == REQBUS_OUTCOME_TIMED_OUT && why.position == 1 && why.waited_ns >= 30000000);
    OK(reqbus_wait_free(&first));
    first = begin_wait(pool, &user, 1, NULL);
    OK(reqbus_wait_cancel(first, LIT("the client went away")));
    OK(reqbus_wait_cancel(first, NULL, 0));
    IS(REQBUS_SLOT_CANCELLED, reqbus_wait_next(first, -1, &held, &why, &error));
    size_t len = 0;
    const char *text = reqbus_error_message(error, &len);
    CHECK(len > 20 && strstr(text, "the client went away") != NULL && why.outcome == REQBUS_OUTCOME_CANCELLED);
    OK(reqbus_error_free(&error));
    IS(REQBUS_SLOT_CANCELLED, look(first, -1)); /* said again */
    OK(reqbus_wait_free(&first));

    /* Pings: one at a time, and the next a whole interval after the host came back. */
    how.timeout_ms = 10000;
    how.ping_every_ms = 5;
    first = begin_wait(pool, &user, 1, &how);
    for (int i = 0; i < 3; i++) IS(REQBUS_PING_DUE, look(first, 5000));
    OK(reqbus_slot_free(&next));
    next = granted(first, 5000);
    OK(reqbus_wait_free(&first));
    how.flags = REQBUS_WAIT_NO_PINGS;
    first = begin_wait(pool, &user, 1, &how);
    IS(REQBUS_TIMEOUT, look(first, 30));

    /* Freed while it stands in the queue: a hole that nobody falls into. */
    second = begin_wait(pool, &user, 1, NULL);
    OK(reqbus_wait_free(&first));
    OK(reqbus_slot_free(&next));
    next = granted(second, 0);
    OK(reqbus_wait_free(&second));
    second = begin_wait(pool, &user, 1, NULL);
    OK(reqbus_pool_close(pool));
    IS(REQBUS_SLOT_CLOSED, look(second, -1));
    OK(reqbus_wait_free(&second));
    OK(reqbus_slot_free(&next));
    CHECK(held_in(pool) == 0);
    OK(reqbus_pool_free(&pool));
}

static void several_scopes(void) {
    reqbus_pool *pool = new_pool();
    reqbus_ask both[2];
    both[0] = ask_of("account", "7", 1);
    both[1] = ask_of("user", "42", 2);
    reqbus_slot *slot = NULL, *other = NULL;
    OK(reqbus_pool_try_acquire(pool, both, 2, LIT("both"), &slot, NULL, NULL));
    IS(REQBUS_SLOT_BUSY, reqbus_pool_try_acquire(pool, both, 2, NULL, 0, &other, NULL, NULL));
    CHECK(load_of(pool, &both[1].key).in_use == 1); /* all or none */

    /* Waits hold the user and stand in the account's queue. */
    reqbus_wait *wait = begin_wait(pool, both, 2, NULL);
    CHECK(load_of(pool, &both[1].key).in_use == 2 && load_of(pool, &both[0].key).waiting == 1);
    OK(reqbus_slot_release_scope(slot, LIT("account")));
    IS(REQBUS_SLOT_ALREADY_RELEASED, reqbus_slot_release_scope(slot, LIT("account")));
    IS(REQBUS_SLOT_ALREADY_RELEASED, reqbus_slot_release_scope(slot, LIT("tenant")));
    other = granted(wait, 5000);
    OK(reqbus_wait_free(&wait));

    /* The user's slot is kept while the account changes; then one release gives both back. */
    reqbus_ask elsewhere = ask_of("account", "8", 1);
    reqbus_slot *account = NULL;

    /* What is there at once makes no wait; what is not, makes one. */
    IS(REQBUS_OK, reqbus_pool_acquire(pool, &elsewhere, 1, NULL, &account, &wait, NULL));
    CHECK(account != NULL && wait == NULL);
    reqbus_slot *none = NULL;
    IS(REQBUS_TIMEOUT, reqbus_pool_acquire(pool, &elsewhere, 1, NULL, &none, &wait, NULL));
    CHECK(none == NULL && wait != NULL);
    OK(reqbus_slot_free(&account));
    account = granted(wait, 0);
    OK(reqbus_wait_free(&wait));
    OK(reqbus_slot_free(&account));

    OK(reqbus_pool_wait_on_top(pool, slot, &elsewhere, 1, NULL, &wait, NULL));
    account = granted(wait, 0);
    OK(reqbus_wait_free(&wait));
    OK(reqbus_slot_join(slot, &account, NULL));
    CHECK(account == NULL);
    reqbus_holders *holders = NULL;
    OK(reqbus_slot_holders(slot, &holders, NULL));
    CHECK(reqbus_holders_len(holders) == 2);
    OK(reqbus_holders_free(&holders));
    OK(reqbus_slot_release(slot));
    CHECK(load_of(pool, &elsewhere.key).in_use == 0 && load_of(pool, &both[1].key).in_use == 1);
    /* What is joined to a slot that was released is released. */
    account = take_one(pool, &elsewhere);
    OK(reqbus_slot_join(slot, &account, NULL));
    CHECK(load_of(pool, &elsewhere.key).in_use == 0);
    OK(reqbus_slot_free(&slot));
    OK(reqbus_slot_free(&other));
    CHECK(held_in(pool) == 0);
    OK(reqbus_pool_free(&pool));
}

static void rings(reqbus_bell *bell, int fd, uint64_t token) {
    struct pollfd polled;
    polled.fd = fd;
    polled.events = POLLIN;
    CHECK(poll(&polled, 1, 20000) == 1);
    uint64_t taken = 0;
    size_t count = 0;
    OK(reqbus_bell_take(bell, &taken, 1, &count));
    CHECK(count == 1 && taken == token);
}

static void is_silent(reqbus_bell *bell) {
    uint64_t token = 0;
    size_t count = 7;
    OK(reqbus_bell_take(bell, &token, 1, &count));
    CHECK(count == 0);
}

static void bells(void) {
    reqbus_pool *pool = new_pool();
    reqbus_bell *bell = NULL;
    int fd = -1;
    OK(reqbus_bell_new(&bell, NULL));
    OK(reqbus_bell_fd(bell, &fd, NULL));
    reqbus_ask user = ask_of("user", "42", 1);
    reqbus_slot *held = take_one(pool, &user);
    reqbus_wait *wait = begin_wait(pool, &user, 1, NULL);
    OK(reqbus_wait_attach(wait, bell, 5));
    rings(bell, fd, 5); /* at once, so that nothing is missed */
    IS(REQBUS_TIMEOUT, look(wait, 0));
    is_silent(bell);
    OK(reqbus_slot_free(&held));
    rings(bell, fd, 5);
    held = granted(wait, 0);
    OK(reqbus_wait_free(&wait));

    /* One that is over already rings once. */
    reqbus_wait_options how;
    INIT(how);
    how.flags = REQBUS_WAIT_TRY;
    wait = begin_wait(pool, &user, 1, &how);
    OK(reqbus_wait_attach(wait, bell, 6));
    rings(bell, fd, 6);
    IS(REQBUS_SLOT_BUSY, look(wait, 0));
    OK(reqbus_wait_detach(wait));
    OK(reqbus_wait_free(&wait));

    /* Detached and freed ones do not ring. */
    wait = begin_wait(pool, &user, 1, NULL);
    OK(reqbus_wait_attach(wait, bell, 7));
    OK(reqbus_wait_detach(wait));
    is_silent(bell);
    OK(reqbus_wait_attach(wait, bell, 7));
    OK(reqbus_wait_free(&wait));
    is_silent(bell);

    /* A slot rings when it is lost, and never for a release. */
    OK(reqbus_slot_attach(held, bell, 8));
    rings(bell, fd, 8);
    reqbus_holders *holders = NULL;
    OK(reqbus_slot_holders(held, &holders, NULL));
    reqbus_holder holder;
    INIT(holder);
    OK(reqbus_holders_item(holders, 0, &holder));
    OK(reqbus_pool_force(pool, &user.key, holder.holder, 0, NULL, NULL));
    rings(bell, fd, 8);
    OK(reqbus_slot_free(&held));
    held = take_one(pool, &user);
    OK(reqbus_slot_attach(held, bell, 9));
    rings(bell, fd, 9);
    OK(reqbus_slot_release(held));
    is_silent(bell);
    OK(reqbus_slot_detach(held));
    OK(reqbus_slot_free(&held));
    OK(reqbus_holders_free(&holders));
    OK(reqbus_bell_free(&bell));
    OK(reqbus_pool_free(&pool));
}

static void count_drop(void *ctx) { ((int *)ctx)[1]++; }

static void count_leak(void *ctx, const reqbus_leak *leak) {
    CHECK(leak->size >= sizeof *leak && same(leak->scope, leak->scope_len, "user"));
    CHECK(same(leak->id, leak->id_len, "42") && same(leak->label, leak->label_len, "forgotten"));
    ((int *)ctx)[0]++;
}

static void leaks(void) {
    int told_of[2] = {0, 0};
    reqbus_pool_options options;
    INIT(options);
    options.leak_sink.ctx = told_of;
    options.leak_sink.call = count_leak;
    options.leak_sink.drop = count_drop;
    reqbus_pool *pool = NULL;
    options.flags = 1;
    IS(REQBUS_UNKNOWN_OPTION, reqbus_pool_new(&options, &pool, NULL));
    CHECK(told_of[1] == 0); /* not taken over */
    options.flags = 0;
    OK(reqbus_pool_new(&options, &pool, NULL));
    reqbus_ask user = ask_of("user", "42", 1);
    reqbus_slot *slot = NULL;
    OK(reqbus_pool_try_acquire(pool, &user, 1, LIT("forgotten"), &slot, NULL, NULL));
    OK(reqbus_slot_leak(&slot));
    CHECK(slot == NULL);
    uint64_t leaked = 0;
    OK(reqbus_pool_leaked(pool, &leaked));
    CHECK(leaked == 1 && told_of[0] == 1 && held_in(pool) == 0);
    slot = take_one(pool, &user);
    OK(reqbus_pool_free(&pool));
    CHECK(told_of[1] == 0); /* a slot is out, and could still be leaked */
    OK(reqbus_slot_free(&slot));
    CHECK(told_of[0] == 1 && told_of[1] == 1);
}

static void backoffs(void) {
    reqbus_backoff_options how;
    INIT(how);
    how.flags = REQBUS_BACKOFF_EXACT;
    reqbus_backoff *backoff = NULL;
    OK(reqbus_backoff_new(&how, &backoff, NULL));
    uint64_t wanted[] = {100000000, 150000000, 225000000, 337500000}, delay = 0;
    for (int i = 0; i < 4; i++) {
        OK(reqbus_backoff_next(backoff, &delay));
        CHECK(delay == wanted[i]);
    }
    uint32_t attempt = 0;
    OK(reqbus_backoff_attempt(backoff, &attempt));
    CHECK(attempt == 4);
    OK(reqbus_backoff_reset(backoff));
    OK(reqbus_backoff_next(backoff, &delay));
    CHECK(delay == wanted[0]);
    OK(reqbus_backoff_free(&backoff));

    how.flags = REQBUS_BACKOFF_SEEDED;
    how.seed = 7;
    how.first_ns = 1000;
    how.cap_ns = 5000;
    reqbus_backoff *again = NULL;
    OK(reqbus_backoff_new(&how, &backoff, NULL));
    OK(reqbus_backoff_new(&how, &again, NULL));
    for (int i = 0; i < 20; i++) {
        uint64_t same_delay = 0;
        OK(reqbus_backoff_next(backoff, &delay));
        OK(reqbus_backoff_next(again, &same_delay));
        CHECK(delay == same_delay && delay >= 1000 && delay <= 5000);
    }
    OK(reqbus_backoff_free(&backoff));
    OK(reqbus_backoff_free(&again));
    OK(reqbus_backoff_new(NULL, &backoff, NULL));
    OK(reqbus_backoff_next(backoff, &delay));
    CHECK(delay >= 100000000 && delay <= 120000000);
    OK(reqbus_backoff_free(&backoff));
}

int main(void) {
    ends();
    tries();
    accounts();
    waits();
    several_scopes();
    bells();
    leaks();
    backoffs();
    threads_end();
    puts("slots: ok");
    return 0;
}
