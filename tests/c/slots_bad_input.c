/* Slots: every sort of bad input has one status, and leaves nothing held. */
#include "slotting.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

static reqbus_pool *pool;

static reqbus_status attempt(const reqbus_ask *asks, size_t count, reqbus_error **error) {
    reqbus_slot *slot = NULL;
    reqbus_status status = reqbus_pool_try_acquire(pool, asks, count, NULL, 0, &slot, NULL, error);
    CHECK((status == REQBUS_OK) == (slot != NULL));
    OK(reqbus_slot_free(&slot));
    return status;
}

static void keys(void) {
    static char long_name[300];
    memset(long_name, 'x', sizeof long_name);
    reqbus_error *error = NULL;
    reqbus_refusal why;
    INIT(why);
    reqbus_slot *slot = NULL;
    reqbus_ask ask = ask_of("", "42", 1);
    IS(REQBUS_INVALID_ARGUMENT, reqbus_pool_try_acquire(pool, &ask, 1, NULL, 0, &slot, &why, &error));
    CHECK(slot == NULL && why.outcome == REQBUS_OUTCOME_INVALID && why.scope_len == 0);
    told(REQBUS_INVALID_ARGUMENT, REQBUS_INVALID_ARGUMENT, &error, "scope");
    ask = ask_of("user", "", 1);
    told(REQBUS_INVALID_ARGUMENT, attempt(&ask, 1, &error), &error, "id");
    ask = ask_of("user", "42", 1);
    ask.key.scope = long_name;
    ask.key.scope_len = sizeof long_name;
    told(REQBUS_TOO_LARGE, attempt(&ask, 1, &error), &error, "scope");
    ask.key.scope_len = 255;
    OK(attempt(&ask, 1, NULL));
    ask = ask_of("user", "42", 1);
    ask.key.id = long_name;
    ask.key.id_len = sizeof long_name;
    told(REQBUS_TOO_LARGE, attempt(&ask, 1, &error), &error, "id");
    ask.key.id_len = SIZE_MAX;
    told(REQBUS_LENGTH_OVERFLOW, attempt(&ask, 1, &error), &error, "id");
    ask.key.id = NULL;
    ask.key.id_len = 1;
    told(REQBUS_NULL_WITH_LENGTH, attempt(&ask, 1, &error), &error, "id");
    ask.key.id = "\xff";
    told(REQBUS_INVALID_UTF8, attempt(&ask, 1, &error), &error, "id");

    /* No byte of an id has a meaning, and texts that differ are different keys. */
    static const struct {
        const char *id;
        size_t len;
    } ids[] = {{LIT("a:b")}, {LIT("{a}")}, {LIT("a\0b")}, {LIT("a\0")}, {LIT("a")}, {LIT("\0")}, {LIT("%7B")}, {LIT(" ")}};
    reqbus_slot *slots[sizeof ids / sizeof ids[0]] = {NULL};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        ask = ask_of("api_key", "", 1);
        ask.key.id = ids[i].id;
        ask.key.id_len = ids[i].len;
        slots[i] = take_one(pool, &ask);
        IS(REQBUS_SLOT_BUSY, attempt(&ask, 1, NULL));
    }
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) OK(reqbus_slot_free(&slots[i]));

    /* Lists of keys. */
    reqbus_ask nine[9];
    static const char *const scopes[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i"};
    for (int i = 0; i < 9; i++) nine[i] = ask_of(scopes[i], "1", 1);
    OK(attempt(nine, 8, NULL));
    told(REQBUS_TOO_LARGE, attempt(nine, 9, &error), &error, "keys");
    told(REQBUS_INVALID_ARGUMENT, attempt(nine, 0, &error), &error, "keys");
    told(REQBUS_NULL_WITH_LENGTH, attempt(NULL, 1, &error), &error, "asks");
    told(REQBUS_LENGTH_OVERFLOW, attempt(nine, SIZE_MAX, &error), &error, "asks");
    nine[1] = ask_of("a", "2", 1);
    told(REQBUS_INVALID_ARGUMENT, attempt(nine, 2, &error), &error, "scope"); /* the same scope twice */
    IS(REQBUS_INVALID_ARGUMENT, reqbus_pool_try_first_of(pool, nine, 0, NULL, 0, NULL, &slot, &why, NULL));
    CHECK(slot == NULL && held_in(pool) == 0);
}

static void limits(void) {
    reqbus_error *error = NULL;
    reqbus_slot *slot = NULL;
    reqbus_wait *wait = NULL;
    reqbus_ask ask = ask_of("user", "new", 0);
    IS(REQBUS_SLOT_BUSY, attempt(&ask, 1, NULL)); /* 0 refuses newcomers */
    int64_t wrong[] = {-1, INT64_MIN, REQBUS_LIMIT_MAX + 1, INT64_MAX - 2, 1LL << 32};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        ask.limit = wrong[i];
        told(REQBUS_INVALID_ARGUMENT, attempt(&ask, 1, &error), &error, "limit");
        told(REQBUS_INVALID_ARGUMENT, reqbus_pool_wait(pool, &ask, 1, NULL, &wait, &error), &error, "limit");
        told(REQBUS_INVALID_ARGUMENT, reqbus_pool_set_limit(pool, &ask.key, wrong[i], 0, &error), &error, "limit");
        CHECK(wait == NULL);
        /* A refusal says so too, whoever found it. */
        reqbus_refusal why;
        INIT(why);
        IS(REQBUS_INVALID_ARGUMENT, reqbus_pool_try_first_of(pool, &ask, 1, NULL, 0, NULL, &slot, &why, NULL));
        CHECK(why.outcome == REQBUS_OUTCOME_INVALID && same(why.scope, why.scope_len, "user"));
        IS(REQBUS_NULL_ARGUMENT, reqbus_wait_next(NULL, 0, &slot, &why, NULL));
        CHECK(why.outcome == REQBUS_OUTCOME_INVALID && why.scope_len == 0 && why.limit == REQBUS_LIMIT_NOT_GIVEN);
    }
    ask.limit = REQBUS_LIMIT_MAX;
    OK(attempt(&ask, 1, NULL));
    ask = ask_of("user", "never seen", REQBUS_LIMIT_NOT_GIVEN);
    IS(REQBUS_INVALID_ARGUMENT, try_one(pool, &ask, &slot)); /* there is none to take */
    IS(REQBUS_INVALID_ARGUMENT, reqbus_pool_set_limit(pool, &ask.key, REQBUS_LIMIT_NOT_GIVEN, 0, NULL));
    int64_t limit = 5;
    IS(REQBUS_INVALID_ARGUMENT, reqbus_limit_nonpositive_is_unlimited(REQBUS_LIMIT_MAX + 1, &limit));
    IS(REQBUS_NULL_ARGUMENT, reqbus_limit_nonpositive_is_unlimited(1, NULL));
    CHECK(limit == 5 && held_in(pool) == 0);
}

static void timeouts(void) {
    reqbus_ask ask = ask_of("user", "42", 1);
    reqbus_wait_options how;
    INIT(how);
    how.flags = REQBUS_WAIT_TRY;
    /* One try: it gets what is there, and does not queue for what is not. */
    reqbus_wait *wait = begin_wait(pool, &ask, 1, &how);
    reqbus_slot *held = granted(wait, 0);
    OK(reqbus_wait_free(&wait));
    wait = begin_wait(pool, &ask, 1, &how);
    IS(REQBUS_SLOT_BUSY, look(wait, -1));
    OK(reqbus_wait_free(&wait));
    /* A wait that is shorter than any poll still tries, and ends on time. */
    how.flags = 0;
    how.timeout_ms = 1;
    wait = begin_wait(pool, &ask, 1, &how);
    IS(REQBUS_SLOT_TIMED_OUT, look(wait, 5000));
    OK(reqbus_wait_free(&wait));
    OK(reqbus_slot_free(&held));
    wait = begin_wait(pool, &ask, 1, &how);
    held = granted(wait, 5000);
    OK(reqbus_wait_free(&wait));
    OK(reqbus_slot_free(&held));
    how.timeout_ms = -1; /* for ever */
    wait = begin_wait(pool, &ask, 1, &how);
    IS(REQBUS_INVALID_ARGUMENT, look(wait, -2));
    held = granted(wait, 0);
    IS(REQBUS_INVALID_ARGUMENT, reqbus_slot_wait_lost(held, -2, NULL));
    OK(reqbus_wait_free(&wait));
    OK(reqbus_slot_free(&held));
    how.timeout_ms = -2;
    reqbus_error *error = NULL;
    told(REQBUS_INVALID_ARGUMENT, reqbus_pool_wait(pool, &ask, 1, &how, &wait, &error), &error, "timeout_ms");
    IS(REQBUS_INVALID_ARGUMENT, reqbus_pool_set_limit(pool, &ask.key, 1, -2, NULL));
}

static void options(void) {
    static char label[300];
    memset(label, 'x', sizeof label);
    reqbus_error *error = NULL;
    reqbus_slot *slot = NULL;
    reqbus_wait *wait = NULL;
    reqbus_ask ask = ask_of("user", "42", 1);
    told(REQBUS_INVALID_UTF8, reqbus_pool_try_acquire(pool, &ask, 1, "\xff", 1, &slot, NULL, &error), &error, "label");
    told(REQBUS_TOO_LARGE, reqbus_pool_try_acquire(pool, &ask, 1, label, 256, &slot, NULL, &error), &error, "label");
    OK(reqbus_pool_try_acquire(pool, &ask, 1, label, 255, &slot, NULL, NULL));
    OK(reqbus_slot_free(&slot));
    reqbus_wait_options how;
    INIT(how);
    how.label = "\xc3";
    how.label_len = 1;
    told(REQBUS_INVALID_UTF8, reqbus_pool_wait(pool, &ask, 1, &how, &wait, &error), &error, "label");
    how.label = label;
    how.label_len = sizeof label;
    wait = begin_wait(pool, &ask, 1, &how);
    IS(REQBUS_TOO_LARGE, look(wait, 0));
    OK(reqbus_wait_free(&wait));
    INIT(how);
    how.flags = 4;
    told(REQBUS_UNKNOWN_OPTION, reqbus_pool_wait(pool, &ask, 1, &how, &wait, &error), &error, "flags");
    how.size = 0;
    IS(REQBUS_INVALID_SIZE, reqbus_pool_wait(pool, &ask, 1, &how, &wait, NULL));

    reqbus_refusal why;
    memset(&why, 0, sizeof why);
    IS(REQBUS_INVALID_SIZE, reqbus_pool_try_acquire(pool, &ask, 1, NULL, 0, &slot, &why, NULL));
    reqbus_load load;
    IS(REQBUS_INVALID_SIZE, reqbus_pool_load(pool, &ask.key, 1, &load, 0, 0, NULL));
    IS(REQBUS_INVALID_SIZE, reqbus_pool_load(pool, &ask.key, 1, &load, 12, 0, NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_pool_load(pool, &ask.key, 1, NULL, sizeof load, 0, NULL));
    IS(REQBUS_MISALIGNED, reqbus_pool_load(pool, &ask.key, 1, (reqbus_load *)((char *)&load + 1), sizeof load, 0, NULL));
    IS(REQBUS_NULL_WITH_LENGTH, reqbus_pool_order_by_load(pool, &ask.key, 1, NULL, 0, NULL));
    OK(reqbus_pool_load(pool, NULL, 0, NULL, sizeof load, 0, NULL));
    reqbus_ask nobody = ask_of("", "", 0);
    IS(REQBUS_INVALID_ARGUMENT, reqbus_pool_load(pool, &nobody.key, 1, &load, sizeof load, 0, NULL));

    reqbus_pool_options how_made;
    INIT(how_made);
    reqbus_pool *other = NULL;
    how_made.leak_sink.ctx = &other;
    told(REQBUS_INVALID_ARGUMENT, reqbus_pool_new(&how_made, &other, &error), &error, "leak_sink");
    INIT(how_made);
    how_made.first_count = 1;
    told(REQBUS_NULL_WITH_LENGTH, reqbus_pool_new(&how_made, &other, &error), &error, "first");
    reqbus_backoff_options backing;
    INIT(backing);
    reqbus_backoff *backoff = NULL;
    backing.seed = 1;
    told(REQBUS_INVALID_ARGUMENT, reqbus_backoff_new(&backing, &backoff, &error), &error, "seed");
    INIT(backing);
    backing.cap_ns = 1;
    told(REQBUS_INVALID_ARGUMENT, reqbus_backoff_new(&backing, &backoff, &error), &error, "cap");
    backing.flags = 8;
    IS(REQBUS_UNKNOWN_OPTION, reqbus_backoff_new(&backing, &backoff, NULL));
    CHECK(other == NULL && backoff == NULL && slot == NULL && wait == NULL && held_in(pool) == 0);
}

static void against_the_rank(void) {
    reqbus_ask account = ask_of("account", "7", 1), user = ask_of("user", "42", 1);
    reqbus_slot *slot = take_one(pool, &account), *users = take_one(pool, &user), *same_slot = slot;
    reqbus_wait *wait = NULL;
    OK(reqbus_pool_wait_on_top(pool, slot, &user, 1, NULL, &wait, NULL));
    IS(REQBUS_INVALID_ARGUMENT, look(wait, -1));
    OK(reqbus_wait_free(&wait));
    OK(reqbus_pool_wait_on_top(pool, users, &user, 1, NULL, &wait, NULL));
    IS(REQBUS_INVALID_ARGUMENT, look(wait, -1));
    OK(reqbus_wait_free(&wait));
    IS(REQBUS_INVALID_ARGUMENT, reqbus_slot_join(slot, &same_slot, NULL));
    CHECK(same_slot == slot);

    /* More than a slot holds: both stay as they are. */
    reqbus_ask eight[8];
    static const char *const scopes[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    for (int i = 0; i < 8; i++) eight[i] = ask_of(scopes[i], "1", 1);
    reqbus_slot *full = NULL;
    OK(reqbus_pool_try_acquire(pool, eight, 8, NULL, 0, &full, NULL, NULL));
    reqbus_error *error = NULL;
    reqbus_slot *before = users;
    told(REQBUS_INVALID_ARGUMENT, reqbus_slot_join(full, &users, &error), &error, "slot");
    CHECK(users == before && held_in(pool) == 10);
    OK(reqbus_slot_release(users));
    OK(reqbus_slot_free(&users));
    OK(reqbus_slot_free(&full));
    OK(reqbus_slot_free(&slot));
    CHECK(held_in(pool) == 0);
}

static void null_handles(void) {
    reqbus_slot *slot = NULL;
    reqbus_wait *wait = NULL;
    reqbus_holders *holders = NULL;
    reqbus_backoff *backoff = NULL;
    reqbus_slot_stats stats;
    INIT(stats);
    reqbus_load load;
    size_t n = 0;
    uint32_t u = 0;
    uint64_t wide = 0;
    reqbus_ask ask = ask_of("user", "42", 1);
    IS(REQBUS_NULL_ARGUMENT, reqbus_pool_new(NULL, NULL, NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_pool_try_acquire(NULL, &ask, 1, NULL, 0, &slot, NULL, NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_pool_try_acquire(pool, &ask, 1, NULL, 0, NULL, NULL, NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_pool_try_first_of(NULL, &ask, 1, NULL, 0, &n, &slot, NULL, NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_pool_wait(NULL, &ask, 1, NULL, &wait, NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_pool_wait(pool, &ask, 1, NULL, NULL, NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_pool_acquire(NULL, &ask, 1, NULL, &slot, &wait, NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_pool_acquire(pool, &ask, 1, NULL, NULL, &wait, NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_pool_acquire(pool, &ask, 1, NULL, &slot, NULL, NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_pool_wait_on_top(pool, NULL, &ask, 1, NULL, &wait, NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_pool_set_limit(NULL, &ask.key, 1, 0, NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_pool_set_limit(pool, NULL, 1, 0, NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_pool_clear_limit(NULL, &ask.key, 0, NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_pool_close_key(NULL, &ask.key, 0, NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_pool_open_key(NULL, &ask.key, 0, NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_pool_force(NULL, &ask.key, 1, 0, NULL, NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_pool_load(NULL, &ask.key, 1, &load, sizeof load, 0, NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_pool_order_by_load(NULL, &ask.key, 1, &n, 0, NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_pool_holders(NULL, &ask.key, 0, &holders, NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_pool_held_longer_than(NULL, 0, 0, &holders, NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_pool_key_stats(NULL, &ask.key, &stats));
    IS(REQBUS_NULL_ARGUMENT, reqbus_pool_key_stats(pool, &ask.key, NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_pool_scope_stats(NULL, NULL, 0, &stats));
    IS(REQBUS_NULL_ARGUMENT, reqbus_pool_known_keys(NULL, &n));
    IS(REQBUS_NULL_ARGUMENT, reqbus_pool_leaked(NULL, &wide));
    IS(REQBUS_NULL_ARGUMENT, reqbus_pool_close(NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_wait_next(NULL, -1, &slot, NULL, NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_wait_position(NULL, &u));
    IS(REQBUS_NULL_ARGUMENT, reqbus_wait_attach(NULL, NULL, 1));
    IS(REQBUS_NULL_ARGUMENT, reqbus_wait_detach(NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_wait_cancel(NULL, NULL, 0));
    IS(REQBUS_NULL_ARGUMENT, reqbus_slot_release(NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_slot_end(NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_slot_end(&slot));
    IS(REQBUS_NULL_ARGUMENT, reqbus_slot_release_scope(NULL, LIT("user")));
    IS(REQBUS_NULL_ARGUMENT, reqbus_slot_join(NULL, &slot, NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_slot_holders(NULL, &holders, NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_slot_lost(NULL, &u));
    IS(REQBUS_NULL_ARGUMENT, reqbus_slot_attach(NULL, NULL, 1));
    IS(REQBUS_NULL_ARGUMENT, reqbus_slot_detach(NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_slot_wait_lost(NULL, -1, &u));
    IS(REQBUS_NULL_ARGUMENT, reqbus_slot_leak(NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_slot_leak(&slot));
    CHECK(reqbus_holders_len(NULL) == 0);
    IS(REQBUS_NULL_ARGUMENT, reqbus_holders_item(NULL, 0, NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_backoff_new(NULL, NULL, NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_backoff_next(NULL, &wide));
    IS(REQBUS_NULL_ARGUMENT, reqbus_backoff_attempt(NULL, &u));
    IS(REQBUS_NULL_ARGUMENT, reqbus_backoff_reset(NULL));
    OK(reqbus_pool_free(NULL));
    OK(reqbus_wait_free(NULL));
    OK(reqbus_wait_free(&wait));
    OK(reqbus_slot_free(NULL));
    OK(reqbus_slot_free(&slot));
    OK(reqbus_holders_free(&holders));
    OK(reqbus_backoff_free(&backoff));
}

/* Sixteen threads release one slot while another gives up waiting for it: one of them gives it back. */
enum { RELEASERS = 16, ROUNDS = 60 };

struct race {
    reqbus_slot *slot;
    pthread_barrier_t start;
    reqbus_status answer[RELEASERS];
};

struct racer {
    struct race *race;
    size_t number;
};

static void *release_now(void *argument) {
    struct racer *racer = (struct racer *)argument;
    pthread_barrier_wait(&racer->race->start);
    racer->race->answer[racer->number] = reqbus_slot_release(racer->race->slot);
    return NULL;
}

static void double_releases(void) {
    reqbus_ask ask = ask_of("user", "raced", 1);
    for (int round = 0; round < ROUNDS; round++) {
        struct race race;
        struct racer racers[RELEASERS];
        pthread_t threads[RELEASERS];
        race.slot = take_one(pool, &ask);
        reqbus_wait *wait = begin_wait(pool, &ask, 1, NULL);
        CHECK(pthread_barrier_init(&race.start, NULL, RELEASERS + 1) == 0);
        for (size_t i = 0; i < RELEASERS; i++) {
            racers[i].race = &race;
            racers[i].number = i;
            CHECK(pthread_create(&threads[i], NULL, release_now, &racers[i]) == 0);
        }
        pthread_barrier_wait(&race.start);
        OK(reqbus_wait_cancel(wait, NULL, 0));
        int released = 0;
        for (size_t i = 0; i < RELEASERS; i++) {
            pthread_join(threads[i], NULL);
            CHECK(race.answer[i] == REQBUS_OK || race.answer[i] == REQBUS_SLOT_ALREADY_RELEASED);
            released += race.answer[i] == REQBUS_OK;
        }
        CHECK(released == 1);
        IS(REQBUS_SLOT_CANCELLED, look(wait, 0));
        CHECK(held_in(pool) == 0 && load_of(pool, &ask.key).waiting == 0);
        OK(reqbus_wait_free(&wait));
        OK(reqbus_slot_free(&race.slot));
        pthread_barrier_destroy(&race.start);
    }
}

static void after_the_pool(void) {
    reqbus_pool *other = new_pool();
    reqbus_ask ask = ask_of("user", "42", 1);
    reqbus_slot *slot = take_one(other, &ask);
    reqbus_wait *wait = begin_wait(other, &ask, 1, NULL);
    OK(reqbus_pool_free(&other));
    IS(REQBUS_SLOT_CLOSED, look(wait, -1));
    OK(reqbus_wait_cancel(wait, NULL, 0));
    OK(reqbus_slot_release(slot));
    IS(REQBUS_SLOT_ALREADY_RELEASED, reqbus_slot_release(slot));
    OK(reqbus_slot_free(&slot));
    OK(reqbus_wait_free(&wait));
    /* One that is freed unreleased, and one that leaks, after their pool. */
    other = new_pool();
    slot = take_one(other, &ask);
    ask = ask_of("user", "43", 1);
    reqbus_slot *leaked = take_one(other, &ask);
    OK(reqbus_pool_free(&other));
    OK(reqbus_slot_free(&slot));
    OK(reqbus_slot_leak(&leaked));
}

static reqbus_slot *held;
static reqbus_wait *waiting;
static reqbus_holders *listed;
static reqbus_backoff *delays;

static void child(void) {
    reqbus_ask ask = ask_of("user", "forked", 1);
    reqbus_slot *slot = NULL;
    reqbus_wait *wait = NULL;
    reqbus_holders *holders = NULL;
    reqbus_bell *bell = NULL;
    reqbus_slot_stats stats;
    INIT(stats);
    reqbus_holder holder;
    INIT(holder);
    reqbus_load load;
    reqbus_refusal why;
    INIT(why);
    size_t n = 0;
    uint32_t u = 0;
    uint64_t wide = 0;
    OK(reqbus_bell_new(&bell, NULL));
    IS(REQBUS_FORKED, reqbus_pool_try_acquire(pool, &ask, 1, NULL, 0, &slot, &why, NULL));
    IS(REQBUS_FORKED, reqbus_pool_try_first_of(pool, &ask, 1, NULL, 0, &n, &slot, NULL, NULL));
    IS(REQBUS_FORKED, reqbus_pool_wait(pool, &ask, 1, NULL, &wait, NULL));
    IS(REQBUS_FORKED, reqbus_pool_wait_on_top(pool, held, &ask, 1, NULL, &wait, NULL));
    IS(REQBUS_FORKED, reqbus_pool_set_limit(pool, &ask.key, 1, 0, NULL));
    IS(REQBUS_FORKED, reqbus_pool_clear_limit(pool, &ask.key, 0, NULL));
    IS(REQBUS_FORKED, reqbus_pool_close_key(pool, &ask.key, 0, NULL));
    IS(REQBUS_FORKED, reqbus_pool_open_key(pool, &ask.key, 0, NULL));
    IS(REQBUS_FORKED, reqbus_pool_force(pool, &ask.key, 1, 0, NULL, NULL));
    IS(REQBUS_FORKED, reqbus_pool_load(pool, &ask.key, 1, &load, sizeof load, 0, NULL));
    IS(REQBUS_FORKED, reqbus_pool_order_by_load(pool, &ask.key, 1, &n, 0, NULL));
    IS(REQBUS_FORKED, reqbus_pool_holders(pool, &ask.key, 0, &holders, NULL));
    IS(REQBUS_FORKED, reqbus_pool_held_longer_than(pool, 0, 0, &holders, NULL));
    IS(REQBUS_FORKED, reqbus_pool_key_stats(pool, &ask.key, &stats));
    IS(REQBUS_FORKED, reqbus_pool_scope_stats(pool, LIT("user"), &stats));
    IS(REQBUS_FORKED, reqbus_pool_known_keys(pool, &n));
    IS(REQBUS_FORKED, reqbus_pool_leaked(pool, &wide));
    IS(REQBUS_FORKED, reqbus_pool_close(pool));
    IS(REQBUS_FORKED, reqbus_wait_next(waiting, -1, &slot, &why, NULL));
    IS(REQBUS_FORKED, reqbus_wait_position(waiting, &u));
    IS(REQBUS_FORKED, reqbus_wait_attach(waiting, bell, 1));
    IS(REQBUS_FORKED, reqbus_wait_detach(waiting));
    IS(REQBUS_FORKED, reqbus_wait_cancel(waiting, NULL, 0));
    IS(REQBUS_FORKED, reqbus_slot_release(held));
    IS(REQBUS_FORKED, reqbus_slot_release_scope(held, LIT("user")));
    IS(REQBUS_FORKED, reqbus_slot_holders(held, &holders, NULL));
    IS(REQBUS_FORKED, reqbus_slot_lost(held, &u));
    IS(REQBUS_FORKED, reqbus_slot_attach(held, bell, 1));
    IS(REQBUS_FORKED, reqbus_slot_detach(held));
    IS(REQBUS_FORKED, reqbus_slot_wait_lost(held, -1, &u));
    IS(REQBUS_FORKED, reqbus_slot_leak(&held));
    IS(REQBUS_FORKED, reqbus_slot_end(&held));
    CHECK(held != NULL && reqbus_holders_len(listed) == 0);
    IS(REQBUS_FORKED, reqbus_holders_item(listed, 0, &holder));
    IS(REQBUS_FORKED, reqbus_backoff_next(delays, &wide));
    IS(REQBUS_FORKED, reqbus_backoff_attempt(delays, &u));
    IS(REQBUS_FORKED, reqbus_backoff_reset(delays));
    CHECK(slot == NULL && wait == NULL && holders == NULL);

    /* New objects work here. */
    reqbus_pool *own = new_pool();
    slot = take_one(own, &ask);
    IS(REQBUS_FORKED, reqbus_slot_join(held, &slot, NULL));
    IS(REQBUS_FORKED, reqbus_slot_join(slot, &held, NULL));
    CHECK(slot != NULL && held != NULL);
    wait = begin_wait(own, &ask, 1, NULL);
    OK(reqbus_slot_free(&slot));
    slot = granted(wait, 5000);
    OK(reqbus_wait_free(&wait));
    OK(reqbus_slot_free(&slot));
    OK(reqbus_pool_free(&own));
    OK(reqbus_bell_free(&bell));

    OK(reqbus_pool_free(&pool));
    OK(reqbus_wait_free(&waiting));
    OK(reqbus_slot_free(&held));
    OK(reqbus_holders_free(&listed));
    OK(reqbus_backoff_free(&delays));
    /* Not exit: memcheck would rightly find here that what is the parent's was leaked. */
    execl("/bin/sh", "sh", "-c", "exit 0", (char *)NULL);
    _exit(1);
}

static void forked(void) {
    reqbus_ask ask = ask_of("user", "forked", 1);
    held = take_one(pool, &ask);
    waiting = begin_wait(pool, &ask, 1, NULL);
    OK(reqbus_slot_holders(held, &listed, NULL));
    OK(reqbus_backoff_new(NULL, &delays, NULL));
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) child();
    int status = 0;
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);

    /* The parent noticed nothing. */
    IS(REQBUS_TIMEOUT, look(waiting, 0));
    OK(reqbus_slot_release(held));
    OK(reqbus_slot_free(&held));
    held = granted(waiting, 5000);
    OK(reqbus_slot_free(&held));
    OK(reqbus_wait_free(&waiting));
    OK(reqbus_holders_free(&listed));
    OK(reqbus_backoff_free(&delays));
}

int main(void) {
    pool = new_pool();
    keys();
    limits();
    timeouts();
    options();
    against_the_rank();
    null_handles();
    double_releases();
    after_the_pool();
    forked();
    CHECK(held_in(pool) == 0);
    OK(reqbus_pool_free(&pool));
    threads_end();
    puts("slots_bad_input: ok");
    return 0;
}
