/* The checks: a runner that asks after the health of each account, as a gateway does beside its requests.
 *
 * One account hangs: its check returns only when the demo ends. One fails each time. Neither may keep the others from
 * being checked on time. The demo keeps books of its own, all under one lock, for its callbacks run on the runner's
 * threads; each time it is asked what is due it looks at what became of what it said the last time. */
#ifndef CHECKS_H
#define CHECKS_H

#include "request.h"

enum {
    /* Times of the trace. */
    CHECK_ROUND_MS = 5000,
    CHECK_AGAIN_MS = 12000, /* from the beginning of a check until the account is due again */
    CHECK_LIMIT_MS = 63000, /* beyond this a check is stuck */
    /* Of this machine: rounds do not come faster, however fast the trace is replayed. */
    CHECK_ROUND_LEAST_MS = 8,
    CHECKS_AT_ONCE = 5,
    /* The first stop, while one hangs. */
    CHECK_STOP_MS = 100,
    /* A check that begins within so many rounds after it was due, and so many seconds for a machine that is busy with
     * other things, is on time. */
    ON_TIME_ROUNDS = 6,
    ON_TIME_SLACK_S = 20,
    /* The accounts, from 0. */
    HANGS = 2,
    FAILS = 7
};

/* The books on one account. */
struct checked {
    uint64_t due_ns; /* when it is due next, of now_ns() */
    uint64_t begun, well, failed;
    uint64_t cut;   /* of those that failed: told to end */
    uint64_t stuck; /* seen over their time */
    uint64_t busy;  /* how often it was said to be due while it was being checked */
    uint64_t waited_ns, longest_ns; /* from being due to the beginning of its check: in all, and the longest */
    unsigned running;
    bool is_stuck; /* what is in flight was seen so */
    /* What was said the last time. */
    bool was_due, was_running;
    uint64_t was_overdue_ms, was_begun;
};

struct checks {
    struct demo *demo;
    const struct limited *names; /* of the accounts */
    reqbus_runner *runner;
    uint64_t round_ns;
    pthread_mutex_t lock; /* of all that follows */
    pthread_cond_t release;
    bool is_released; /* the check that hangs may return */
    struct checked accounts[ACCOUNTS];
    uint64_t asked, listed; /* how often the runner asked what is due, and how many items it got */
    uint64_t last_listed;   /* of these the last time */
    size_t had_room;        /* for so many, then */
    unsigned running, peak; /* checks, by the demo's count */
    size_t most_running, most_stuck; /* at once, by the runner's */
    unsigned dropped; /* callbacks */
    bool has_hung;    /* the check of HANGS had begun when the runner was stopped */
    bool is_named;    /* the stop said so */
    reqbus_flight hung; /* as it was named, without its id */
    reqbus_runner_stats stats; /* at the end */
    char trouble[SENTENCE]; /* the first breach; empty for none */
};

/* How long so many milliseconds of the trace take the checks. */
static uint64_t check_ns(const struct checks *checks, uint64_t trace_ms) {
    return checks->round_ns / CHECK_ROUND_MS * trace_ms;
}

static uint64_t on_time_ns(const struct checks *checks) {
    return checks->round_ns * ON_TIME_ROUNDS + (uint64_t)ON_TIME_SLACK_S * 1000000000u;
}

/* Where to write a breach: the first is remembered. Under the lock. */
static char *check_trouble(struct checks *checks, char spare[SENTENCE]) {
    return checks->trouble[0] == '\0' ? checks->trouble : spare;
}

/* The account of an id; ACCOUNTS if it is none. */
static size_t checked_by_id(const struct checks *checks, const char *id, size_t len) {
    size_t at = 0;
    while (at < ACCOUNTS && (checks->names[at].key.id_len != len || memcmp(checks->names[at].id, id, len) != 0)) at++;
    return at;
}

/* Fills `is_running` from what the runner says is in flight, and looks whether that is too much. How many more may begin.
 * Under the lock. */
static size_t look_at_flights(struct checks *checks, const reqbus_flights *flights, bool is_running[ACCOUNTS]) {
    size_t len = reqbus_flights_len(flights), stuck = 0;
    char spare[SENTENCE];
    for (size_t i = 0; i < len; i++) {
        reqbus_flight flight = {.size = sizeof flight};
        if (reqbus_flights_item(flights, i, &flight) != REQBUS_OK) continue;
        size_t at = checked_by_id(checks, flight.id, flight.id_len);
        if (at == ACCOUNTS || is_running[at]) {
            say_into(check_trouble(checks, spare), "%.*s is in flight twice, or was never due", (int)flight.id_len,
                     flight.id);
            continue;
        }
        is_running[at] = true;
        stuck += flight.stuck;
        checks->accounts[at].stuck += flight.stuck && !checks->accounts[at].is_stuck;
        checks->accounts[at].is_stuck = flight.stuck;
    }
    for (size_t i = 0; i < ACCOUNTS; i++) checks->accounts[i].is_stuck &= is_running[i];
    if (len - stuck > checks->most_running) checks->most_running = len - stuck;
    if (stuck > checks->most_stuck) checks->most_stuck = stuck;
    if (len - stuck > CHECKS_AT_ONCE || len > 2 * CHECKS_AT_ONCE)
        say_into(check_trouble(checks, spare), "%zu checks were stuck and %zu more ran", stuck, len - stuck);
    size_t room = CHECKS_AT_ONCE + (stuck < CHECKS_AT_ONCE ? stuck : CHECKS_AT_ONCE);
    return room > len ? room - len : 0;
}

/* The same for what is in flight now. */
static size_t look_at_runner(struct checks *checks, bool is_running[ACCOUNTS]) {
    reqbus_flights *flights = NULL;
    reqbus_error *error = NULL;
    reqbus_status status = reqbus_runner_in_flight(checks->runner, &flights, &error);
    if (status != REQBUS_OK) fail_call(checks->demo, "reqbus_runner_in_flight", status, error);
    size_t room = look_at_flights(checks, flights, is_running);
    reqbus_flights_free(&flights);
    return room;
}

/* Who was due the last time, had no check, and was passed over, must not have been due for longer than one who got one; and
 * there must have been no room. Exact on any machine: from one question to the next only the answer to the first lets
 * checks begin, and room only grows until then. Under the lock. */
static void look_at_order(struct checks *checks, const bool is_running[ACCOUNTS]) {
    const struct checked *most = NULL, *least = NULL; /* the most overdue without a check, the least with one */
    size_t begun = 0;
    for (size_t i = 0; i < ACCOUNTS; i++) {
        const struct checked *account = &checks->accounts[i];
        if (!account->was_due || account->was_running) continue;
        if (is_running[i] || account->begun > account->was_begun) {
            begun++;
            if (least == NULL || account->was_overdue_ms < least->was_overdue_ms) least = account;
        } else if (most == NULL || account->was_overdue_ms > most->was_overdue_ms) {
            most = account;
        }
    }
    if (most == NULL) return;
    char spare[SENTENCE];
    const char *passed_over = checks->names[most - checks->accounts].id;
    if (begun < checks->had_room)
        say_into(check_trouble(checks, spare), "%s was passed over, and %zu checks were begun with room for %zu",
                 passed_over, begun, checks->had_room);
    if (least != NULL && most->was_overdue_ms > least->was_overdue_ms)
        say_into(check_trouble(checks, spare),
                 "%s was passed over after %" PRIu64 " ms for %s, which was due for %" PRIu64 " ms", passed_over,
                 most->was_overdue_ms, checks->names[least - checks->accounts].id, least->was_overdue_ms);
}

/* The runner asks what is due: all that were not checked for a while, also one whose check still runs. */
static int32_t say_what_is_due(void *ctx, reqbus_due_list *list) {
    struct checks *checks = ctx;
    bool is_running[ACCOUNTS] = {false};
    reqbus_status status = REQBUS_OK;
    pthread_mutex_lock(&checks->lock);
    size_t room = look_at_runner(checks, is_running); /* what is not in flight has ended, and is in the books */
    look_at_order(checks, is_running);
    checks->had_room = room;

    uint64_t now = now_ns();
    checks->asked++;
    checks->last_listed = 0;
    for (size_t i = 0; status == REQBUS_OK && i < ACCOUNTS; i++) {
        struct checked *account = &checks->accounts[i];
        account->was_due = account->due_ns <= now;
        account->was_running = is_running[i];
        account->was_begun = account->begun;
        if (!account->was_due) continue;
        account->was_overdue_ms = (now - account->due_ns) / 1000000;
        account->busy += is_running[i];
        checks->last_listed++;
        status = reqbus_due_list_add(list, checks->names[i].id, checks->names[i].key.id_len, account->was_overdue_ms);
        if (status != REQBUS_OK) fail_call(checks->demo, "reqbus_due_list_add", status, NULL);
    }
    checks->listed += checks->last_listed;
    pthread_mutex_unlock(&checks->lock);
    return status == REQBUS_OK;
}

/* Asks upstream, that is, sleeps until `until_ns`; false if it was told to end. */
static bool ask_upstream(struct checks *checks, const reqbus_permit *permit, uint64_t until_ns) {
    const uint64_t slice = 50000000; /* how late it may notice that it is to end */
    for (uint64_t now; (now = now_ns()) < until_ns;) {
        int32_t should_end = 0;
        reqbus_status status = reqbus_permit_should_end(permit, &should_end);
        if (status != REQBUS_OK) fail_call(checks->demo, "reqbus_permit_should_end", status, NULL);
        if (should_end && until_ns - now > slice) return false;
        struct timespec nap = {0, (long)(until_ns - now < slice ? until_ns - now : slice)};
        nanosleep(&nap, NULL);
    }
    return true;
}

static int32_t check_account(void *ctx, const reqbus_permit *permit) {
    struct checks *checks = ctx;
    size_t len = 0;
    const char *id = reqbus_permit_id(permit, &len);
    size_t at = checked_by_id(checks, id, len);
    if (at == ACCOUNTS) {
        fail(checks->demo, "a permit names no account");
        return 0;
    }
    struct checked *account = &checks->accounts[at];
    char spare[SENTENCE];

    pthread_mutex_lock(&checks->lock);
    uint64_t now = now_ns(), waited = now > account->due_ns ? now - account->due_ns : 0;
    if (account->running++ > 0)
        say_into(check_trouble(checks, spare), "%s was checked twice at once", checks->names[at].id);
    account->begun++;
    account->due_ns = now + check_ns(checks, CHECK_AGAIN_MS);
    account->waited_ns += waited;
    if (waited > account->longest_ns) account->longest_ns = waited;
    if (++checks->running > checks->peak) checks->peak = checks->running;
    bool is_running[ACCOUNTS] = {false};
    look_at_runner(checks, is_running);
    /* A fifth of a second to one second. */
    uint64_t until = now + check_ns(checks, 200 + mixed(account->begun * ACCOUNTS + at) % 800);
    while (at == HANGS && !checks->is_released) pthread_cond_wait(&checks->release, &checks->lock);
    pthread_mutex_unlock(&checks->lock);

    bool has_answered = at != HANGS && ask_upstream(checks, permit, until);
    bool is_well = has_answered && at != FAILS;

    pthread_mutex_lock(&checks->lock);
    account->running--;
    checks->running--;
    account->well += is_well;
    account->failed += !is_well;
    account->cut += !has_answered;
    pthread_mutex_unlock(&checks->lock);
    return is_well;
}

static void drop_checks(void *ctx) {
    struct checks *checks = ctx;
    pthread_mutex_lock(&checks->lock);
    checks->dropped++;
    pthread_mutex_unlock(&checks->lock);
}

#endif
