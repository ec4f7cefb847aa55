/* Starts the checks (checks.h), and ends them: so that what is due is still checked, so that a check which hangs is named,
 * and so that every permit comes back. */
#ifndef CHECKING_H
#define CHECKING_H

#include "checks.h"

/* `checks` is all zero, and stays where it is. */
static void checks_new(struct checks *checks, struct demo *demo, const struct limited *names) {
    uint64_t round_ms = scaled_ms(demo, (uint64_t)CHECK_ROUND_MS * 1000000);
    if (round_ms < CHECK_ROUND_LEAST_MS) round_ms = CHECK_ROUND_LEAST_MS;
    checks->demo = demo;
    checks->names = names;
    checks->round_ns = round_ms * 1000000;
    pthread_mutex_init(&checks->lock, NULL);
    pthread_cond_init(&checks->release, NULL);
}

static void checks_start(struct checks *checks) {
    const reqbus_runner_options options = {
        .size = sizeof options,
        .every_ms = checks->round_ns / 1000000,
        .limit_ms = check_ns(checks, CHECK_LIMIT_MS) / 1000000,
        .at_once = CHECKS_AT_ONCE,
    };
    const reqbus_due_callback due = {checks, say_what_is_due, drop_checks};
    const reqbus_check_callback check = {checks, check_account, drop_checks};
    for (size_t i = 0; i < ACCOUNTS; i++) checks->accounts[i].due_ns = now_ns();
    reqbus_error *error = NULL;
    reqbus_status status = reqbus_runner_new(&options, &due, &check, &checks->runner, &error);
    if (status != REQBUS_OK) {
        fail_call(checks->demo, "reqbus_runner_new", status, error);
        return;
    }
    status = reqbus_runner_start(checks->runner, &error);
    if (status != REQBUS_OK) fail_call(checks->demo, "reqbus_runner_start", status, error);
}

/* Waits until no account is due since `since_ns` or before, but for the one that hangs; or until one is late. */
static void await_due(struct checks *checks, uint64_t since_ns) {
    bool is_due = true;
    while (is_due && !atomic_load(&checks->demo->stopping)) {
        struct timespec tick = {0, 5000000};
        nanosleep(&tick, NULL);
        is_due = false;
        pthread_mutex_lock(&checks->lock);
        for (size_t i = 0; i < ACCOUNTS; i++) {
            struct checked *account = &checks->accounts[i];
            if (account->due_ns > since_ns || (i == HANGS && account->begun > 0)) continue;
            is_due = true;
            uint64_t waited = now_ns() - account->due_ns;
            if (waited <= on_time_ns(checks)) continue;
            account->longest_ns = waited; /* which the report says is too long */
            atomic_store(&checks->demo->stopping, true);
        }
        pthread_mutex_unlock(&checks->lock);
    }
}

/* Stops the runner; how many checks it says are left. */
static size_t stop_checks(struct checks *checks, int64_t timeout_ms, reqbus_status *status) {
    reqbus_flights *left = NULL;
    reqbus_error *error = NULL;
    *status = reqbus_runner_stop(checks->runner, timeout_ms, &left, &error);
    if (*status != REQBUS_OK && *status != REQBUS_TIMEOUT)
        fail_call(checks->demo, "reqbus_runner_stop", *status, error);
    size_t len = reqbus_flights_len(left);
    bool is_running[ACCOUNTS] = {false};
    pthread_mutex_lock(&checks->lock);
    look_at_flights(checks, left, is_running);
    for (size_t i = 0; i < len; i++) {
        reqbus_flight flight = {.size = sizeof flight};
        if (reqbus_flights_item(left, i, &flight) != REQBUS_OK ||
            checked_by_id(checks, flight.id, flight.id_len) != HANGS)
            continue;
        checks->is_named = true;
        checks->hung = flight;
        checks->hung.id = NULL; /* it goes with the list */
    }
    pthread_mutex_unlock(&checks->lock);
    reqbus_flights_free(&left);
    return len;
}

/* When all requests have ended: the checks end, too. First while one hangs, then for good. */
static void checks_join(struct checks *checks) {
    if (checks->runner == NULL) return;
    await_due(checks, now_ns());
    pthread_mutex_lock(&checks->lock);
    checks->has_hung = checks->accounts[HANGS].running > 0;
    pthread_mutex_unlock(&checks->lock);
    reqbus_status status;
    stop_checks(checks, CHECK_STOP_MS, &status);

    pthread_mutex_lock(&checks->lock);
    char spare[SENTENCE];
    if (checks->has_hung && (status != REQBUS_TIMEOUT || !checks->is_named))
        say_into(check_trouble(checks, spare), "a stop answered %s and did not name %s, which hung",
                 reqbus_status_name(status), checks->names[HANGS].id);
    checks->is_released = true;
    pthread_cond_broadcast(&checks->release);
    pthread_mutex_unlock(&checks->lock);

    size_t left = stop_checks(checks, (int64_t)END_SECONDS * 1000, &status);
    if (status == REQBUS_TIMEOUT) {
        fprintf(stderr, "replay: %zu permits did not come back within %d s after the runner was stopped\n", left,
                END_SECONDS);
        _Exit(EXIT_FAILURE); /* its threads may still call what would be freed */
    }
    checks->stats.size = sizeof checks->stats;
    status = reqbus_runner_get_stats(checks->runner, &checks->stats);
    if (status != REQBUS_OK) fail_call(checks->demo, "reqbus_runner_get_stats", status, NULL);
    reqbus_runner_free(&checks->runner);
}

static void checks_free(struct checks *checks) {
    if (checks->demo == NULL) return; /* never made */
    reqbus_runner_free(&checks->runner); /* only if it was made and never joined */
    pthread_cond_destroy(&checks->release);
    pthread_mutex_destroy(&checks->lock);
}

#endif
