/* The runner by example: callbacks that check, fail, hang, and stop or free their own runner; starts, stops and forks. */
#include "check.h"

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#define ADD(counter) __atomic_add_fetch(&(counter), 1, __ATOMIC_SEQ_CST)
#define GET(counter) __atomic_load_n(&(counter), __ATOMIC_SEQ_CST)
#define SET(counter, to) __atomic_store_n(&(counter), (to), __ATOMIC_SEQ_CST)

/* What both callbacks share, and what they are to do. */
typedef struct {
    const char *ids[8];
    size_t ids_count;
    reqbus_runner *runner;
    int rounds, fails_first, checked, inside, ended, told, due_dropped, check_dropped, go, due_stops;
    int32_t due_status, check_status;
} host;

static void until(const int *flag) {
    while (!__atomic_load_n(flag, __ATOMIC_SEQ_CST)) sched_yield();
}

static int32_t list_due(void *ctx, reqbus_due_list *list) {
    host *h = (host *)ctx;
    int round = ADD(h->rounds);
    if (round <= h->fails_first) return 0;
    for (size_t i = 0; i < h->ids_count; i++)
        OK(reqbus_due_list_add(list, h->ids[i], strlen(h->ids[i]), 1000));
    if (round == 1) {
        char longest[256];
        memset(longest, 'x', sizeof longest);
        IS(REQBUS_INVALID_ARGUMENT, reqbus_due_list_add(list, NULL, 0, 0));
        IS(REQBUS_TOO_LARGE, reqbus_due_list_add(list, longest, sizeof longest, 0));
        IS(REQBUS_INVALID_UTF8, reqbus_due_list_add(list, LIT("\xff"), 0));
        IS(REQBUS_NULL_WITH_LENGTH, reqbus_due_list_add(list, NULL, 1, 0));
        IS(REQBUS_NULL_ARGUMENT, reqbus_due_list_add(NULL, LIT("a"), 0));
    }
    if (h->due_stops) {
        SET(h->due_status, (int32_t)reqbus_runner_stop(h->runner, -1, NULL, NULL));
        OK(reqbus_due_list_add(list, LIT("late"), 0));
        ADD(h->ended);
    }
    return 1;
}

static int is_id(const reqbus_permit *permit, const char *id) {
    size_t len = 0;
    const char *text = reqbus_permit_id(permit, &len);
    return same(text, len, id);
}

static int32_t check_one(void *ctx, const reqbus_permit *permit) {
    host *h = (host *)ctx;
    CHECK(!is_id(permit, "late"));
    ADD(h->checked);
    if (is_id(permit, "hangs")) {
        ADD(h->inside);
        until(&h->go);
        int32_t should_end = 0;
        OK(reqbus_permit_should_end(permit, &should_end));
        SET(h->told, should_end);
        ADD(h->ended);
    } else if (is_id(permit, "stops")) {
        reqbus_flights *left = NULL;
        SET(h->check_status, (int32_t)reqbus_runner_stop(h->runner, -1, &left, NULL));
        CHECK(reqbus_flights_len(left) == 0);
        OK(reqbus_flights_free(&left));
        ADD(h->ended);
    } else if (is_id(permit, "frees")) {
        until(&h->go);
        OK(reqbus_runner_free(&h->runner));
        ADD(h->ended);
    } else if (is_id(permit, "keeps")) {
        /* A lent permit is not the host's to give back. */
        reqbus_permit *mine = (reqbus_permit *)permit;
        IS(REQBUS_INVALID_ARGUMENT, reqbus_permit_finish(&mine, REQBUS_VERDICT_SUCCEEDED));
        IS(REQBUS_INVALID_ARGUMENT, reqbus_permit_free(&mine));
        uint64_t left_ns = 0;
        OK(reqbus_permit_time_left(permit, &left_ns));
        CHECK(left_ns > 0);
    }
    return !is_id(permit, "ill");
}

static void drop_due(void *ctx) { ADD(((host *)ctx)->due_dropped); }

static void drop_check(void *ctx) { ADD(((host *)ctx)->check_dropped); }

/* A runner with a round each millisecond. */
static reqbus_runner *new_runner(host *h) {
    reqbus_runner_options options;
    INIT(options);
    options.every_ms = 1;
    reqbus_due_callback due = {h, list_due, drop_due};
    reqbus_check_callback check = {h, check_one, drop_check};
    OK(reqbus_runner_new(&options, &due, &check, &h->runner, NULL));
    return h->runner;
}

static host host_of(const char *first, const char *second, const char *third) {
    host h;
    memset(&h, 0, sizeof h);
    h.ids[0] = first;
    h.ids[1] = second;
    h.ids[2] = third;
    while (h.ids_count < 3 && h.ids[h.ids_count] != NULL) h.ids_count++;
    h.due_status = h.check_status = -1;
    return h;
}

static void dropped_once(host *h) { CHECK(GET(h->due_dropped) == 1 && GET(h->check_dropped) == 1); }

static reqbus_runner_stats counted(const reqbus_runner *runner) {
    reqbus_runner_stats stats;
    INIT(stats);
    OK(reqbus_runner_get_stats(runner, &stats));
    return stats;
}

static void by_example(void) {
    host h = host_of("well", "ill", "keeps");
    h.fails_first = 2; /* a round that fails does not end it */
    reqbus_runner *runner = new_runner(&h);
    OK(reqbus_runner_start(runner, NULL));
    OK(reqbus_runner_start(runner, NULL)); /* twice is once */
    while (counted(runner).succeeded < 20 || counted(runner).failed < 10) sleep_ms(1);
    int32_t paused = 7;
    OK(reqbus_runner_is_paused(runner, &paused));
    CHECK(paused == 0);
    OK(reqbus_runner_pause(runner, 1));
    OK(reqbus_runner_is_paused(runner, &paused));
    CHECK(paused == 1);
    uint64_t rounds = counted(runner).paused_rounds;
    while (counted(runner).paused_rounds < rounds + 3) sleep_ms(1);
    OK(reqbus_runner_pause(runner, 0));
    rounds = counted(runner).rounds - counted(runner).paused_rounds;
    while (counted(runner).rounds - counted(runner).paused_rounds < rounds + 3) sleep_ms(1);

    reqbus_flights *left = NULL;
    OK(reqbus_runner_stop(runner, -1, &left, NULL));
    CHECK(left != NULL && reqbus_flights_len(left) == 0);
    OK(reqbus_flights_free(&left));
    OK(reqbus_runner_stop(runner, 0, NULL, NULL)); /* twice is fine */
    reqbus_error *error = NULL;
    told(REQBUS_CLOSED, reqbus_runner_start(runner, &error), &error, "runner");
    reqbus_runner_stats stats = counted(runner);
    CHECK(stats.failed_rounds == 2 && stats.panicked == 0);
    CHECK(stats.run == stats.succeeded + stats.failed && stats.run == (uint64_t)GET(h.checked));
    CHECK(GET(h.due_dropped) == 0 && GET(h.check_dropped) == 0);
    OK(reqbus_runner_free(&runner));
    CHECK(runner == NULL);
    dropped_once(&h); /* it had ended: by the free, not later */
}

static void one_that_hangs(void) {
    host h = host_of("hangs", "well", NULL);
    reqbus_runner *runner = new_runner(&h);
    OK(reqbus_runner_start(runner, NULL));
    until(&h.inside);
    while (counted(runner).succeeded < 5) sleep_ms(1); /* the others go on */
    reqbus_flights *left = NULL, *flights = NULL;
    IS(REQBUS_TIMEOUT, reqbus_runner_stop(runner, 20, &left, NULL));
    reqbus_flight flight;
    INIT(flight);
    int hanging = 0;
    for (size_t i = 0; i < reqbus_flights_len(left); i++) {
        OK(reqbus_flights_item(left, i, &flight));
        hanging += same(flight.id, flight.id_len, "hangs") && flight.age_ns > 0 && flight.stuck == 0;
    }
    CHECK(hanging == 1);
    IS(REQBUS_NO_SUCH_ITEM, reqbus_flights_item(left, reqbus_flights_len(left), &flight));
    OK(reqbus_flights_free(&left));
    OK(reqbus_runner_in_flight(runner, &flights, NULL));
    CHECK(reqbus_flights_len(flights) >= 1);
    OK(reqbus_flights_free(&flights));
    CHECK(GET(h.ended) == 0);
    SET(h.go, 1);
    OK(reqbus_runner_stop(runner, -1, NULL, NULL));
    CHECK(GET(h.ended) == 1 && GET(h.told) == 1);
    OK(reqbus_runner_free(&runner));
    dropped_once(&h);

    /* Freed while it hangs: what it uses is dropped when it returns. */
    h = host_of("hangs", NULL, NULL);
    runner = new_runner(&h);
    OK(reqbus_runner_start(runner, NULL));
    until(&h.inside);
    OK(reqbus_runner_free(&runner));
    CHECK(GET(h.check_dropped) == 0);
    SET(h.go, 1);
    until(&h.check_dropped);
    until(&h.due_dropped);
    CHECK(GET(h.told) == 1);
    threads_end();
    dropped_once(&h);
}

static void from_inside(void) {
    host h = host_of("stops", "well", NULL);
    reqbus_runner *runner = new_runner(&h);
    OK(reqbus_runner_start(runner, NULL));
    until(&h.ended);
    OK(reqbus_runner_stop(runner, -1, NULL, NULL));
    CHECK(GET(h.check_status) == REQBUS_OK);
    OK(reqbus_runner_free(&runner));
    dropped_once(&h);

    h = host_of("well", NULL, NULL);
    h.due_stops = 1;
    runner = new_runner(&h);
    OK(reqbus_runner_start(runner, NULL));
    until(&h.ended);
    OK(reqbus_runner_stop(runner, -1, NULL, NULL));
    CHECK(GET(h.due_status) == REQBUS_OK && GET(h.checked) == 0 && counted(runner).run == 0);
    OK(reqbus_runner_free(&runner));
    dropped_once(&h);

    h = host_of("frees", NULL, NULL);
    OK(reqbus_runner_start(new_runner(&h), NULL));
    SET(h.go, 1);
    until(&h.check_dropped);
    until(&h.due_dropped);
    threads_end();
    CHECK(h.runner == NULL && h.ended == 1);
    dropped_once(&h);
}

static void many_times(void) {
    int fds = entries("/proc/self/fd");
    for (int round = 0; round < 2000; round++) {
        host h = host_of("a", NULL, NULL);
        reqbus_runner *runner = new_runner(&h);
        if (round % 8 != 7) OK(reqbus_runner_start(runner, NULL));
        if (round % 4 == 1) until(&h.checked);
        OK(reqbus_runner_stop(runner, -1, NULL, NULL));
        OK(reqbus_runner_free(&runner));
        dropped_once(&h);
    }
    CHECK(entries("/proc/self/fd") == fds);
    threads_end();
}

static void child(reqbus_runner *runner, reqbus_admission *admission, reqbus_permit *permit, reqbus_flights *flights,
                  host *h) {
    reqbus_runner_stats stats;
    INIT(stats);
    reqbus_flight flight;
    INIT(flight);
    reqbus_flights *left = NULL;
    reqbus_permit *permits[1];
    int32_t flag = 0;
    uint64_t ns = 0;
    size_t n = 0;
    IS(REQBUS_FORKED, reqbus_runner_start(runner, NULL));
    IS(REQBUS_FORKED, reqbus_runner_stop(runner, -1, &left, NULL));
    IS(REQBUS_FORKED, reqbus_runner_pause(runner, 1));
    IS(REQBUS_FORKED, reqbus_runner_is_paused(runner, &flag));
    IS(REQBUS_FORKED, reqbus_runner_in_flight(runner, &left, NULL));
    IS(REQBUS_FORKED, reqbus_runner_get_stats(runner, &stats));
    IS(REQBUS_FORKED, reqbus_admission_until_next_round(admission, &ns));
    IS(REQBUS_FORKED, reqbus_admission_admit(admission, NULL, 0, permits, 1, &n, NULL));
    IS(REQBUS_FORKED, reqbus_admission_fail_round(admission));
    IS(REQBUS_FORKED, reqbus_admission_pause(admission, 1));
    IS(REQBUS_FORKED, reqbus_admission_is_paused(admission, &flag));
    IS(REQBUS_FORKED, reqbus_admission_stop(admission));
    IS(REQBUS_FORKED, reqbus_admission_in_flight(admission, &left, NULL));
    IS(REQBUS_FORKED, reqbus_admission_get_stats(admission, &stats));
    IS(REQBUS_FORKED, reqbus_permit_should_end(permit, &flag));
    IS(REQBUS_FORKED, reqbus_permit_time_left(permit, &ns));
    CHECK(reqbus_permit_id(permit, &n) != NULL && n == 0);
    IS(REQBUS_FORKED, reqbus_permit_finish(&permit, REQBUS_VERDICT_SUCCEEDED));
    CHECK(permit != NULL && left == NULL);
    CHECK(reqbus_flights_len(flights) == 0);
    IS(REQBUS_FORKED, reqbus_flights_item(flights, 0, &flight));
    OK(reqbus_permit_free(&permit));
    OK(reqbus_admission_free(&admission));
    OK(reqbus_flights_free(&flights));
    OK(reqbus_runner_free(&runner));
    CHECK(h->due_dropped == 0 && h->check_dropped == 0);

    /* New ones work. */
    host own = host_of("a", NULL, NULL);
    runner = new_runner(&own);
    OK(reqbus_runner_start(runner, NULL));
    until(&own.checked);
    OK(reqbus_runner_stop(runner, -1, NULL, NULL));
    OK(reqbus_runner_free(&runner));
    dropped_once(&own);
    /* Not exit: memcheck would rightly find here that what is the parent's was leaked. */
    execl("/bin/sh", "sh", "-c", "exit 0", (char *)NULL);
    _exit(1);
}

static void forks(void) {
    host h = host_of("hangs", NULL, NULL);
    reqbus_runner *runner = new_runner(&h);
    OK(reqbus_runner_start(runner, NULL));
    until(&h.inside);
    reqbus_admission *admission = NULL;
    OK(reqbus_admission_new(NULL, &admission, NULL));
    reqbus_due due = {LIT("a"), 0};
    reqbus_permit *permit = NULL;
    size_t count = 0;
    OK(reqbus_admission_admit(admission, &due, 1, &permit, 1, &count, NULL));
    CHECK(count == 1 && is_id(permit, "a"));
    reqbus_flights *flights = NULL;
    OK(reqbus_admission_in_flight(admission, &flights, NULL));
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) child(runner, admission, permit, flights, &h);
    int status = 0;
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);

    /* The parent is as it was. */
    OK(reqbus_permit_finish(&permit, REQBUS_VERDICT_SUCCEEDED));
    CHECK(reqbus_flights_len(flights) == 1);
    OK(reqbus_flights_free(&flights));
    OK(reqbus_admission_free(&admission));
    IS(REQBUS_TIMEOUT, reqbus_runner_stop(runner, 0, NULL, NULL));
    SET(h.go, 1);
    OK(reqbus_runner_stop(runner, -1, NULL, NULL));
    OK(reqbus_runner_free(&runner));
    dropped_once(&h);
}

int main(void) {
    by_example();
    one_that_hangs();
    from_inside();
    many_times();
    forks();
    threads_end();
    puts("runner: ok");
    return 0;
}
