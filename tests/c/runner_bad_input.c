/* Wrong calls of admissions, permits and runners: each answers what the header says, and changes nothing. */
#include "slotting.h"

static int calls, drops;

static int32_t list_due(void *ctx, reqbus_due_list *list) {
    (void)ctx, (void)list;
    calls++;
    return 1;
}

static int32_t check_one(void *ctx, const reqbus_permit *permit) {
    (void)ctx, (void)permit;
    calls++;
    return 1;
}

static void count_drop(void *ctx) {
    (void)ctx;
    drops++;
}

static void options(void) {
    reqbus_admission *admission = NULL;
    reqbus_runner_options how;
    reqbus_error *error = NULL;
    IS(REQBUS_NULL_ARGUMENT, reqbus_admission_new(NULL, NULL, NULL));
    INIT(how);
    how.size = 7;
    told(REQBUS_INVALID_SIZE, reqbus_admission_new(&how, &admission, &error), &error, "reqbus_runner_options");
    INIT(how);
    how.flags = 2;
    told(REQBUS_UNKNOWN_OPTION, reqbus_admission_new(&how, &admission, &error), &error, "flags");
    struct {
        const char *context;
        reqbus_runner_options how;
    } bad[4];
    memset(bad, 0, sizeof bad);
    bad[0].context = "every";
    bad[0].how.every_ms = 86400001;
    bad[1].context = "limit";
    bad[1].how.limit_ms = UINT64_MAX;
    bad[2].context = "jitter";
    bad[2].how.jitter_ms = 86400001;
    bad[3].context = "at_once";
    bad[3].how.at_once = UINT32_MAX;
    for (int i = 0; i < 4; i++) {
        bad[i].how.size = sizeof bad[i].how;
        told(REQBUS_INVALID_ARGUMENT, reqbus_admission_new(&bad[i].how, &admission, &error), &error, bad[i].context);
        CHECK(admission == NULL);
    }
    /* An older caller's struct ends earlier: what it lacks is a default. */
    INIT(how);
    how.size = sizeof(size_t);
    how.at_once = UINT32_MAX;
    OK(reqbus_admission_new(&how, &admission, NULL));
    OK(reqbus_admission_free(&admission));
    OK(reqbus_admission_free(&admission));
    OK(reqbus_admission_free(NULL));
}

static void admissions(void) {
    reqbus_admission *admission = NULL;
    OK(reqbus_admission_new(NULL, &admission, NULL));
    reqbus_error *error = NULL;
    reqbus_permit *permits[4] = {NULL, NULL, NULL, NULL};
    reqbus_due due[2] = {{LIT("a"), 0}, {LIT("b"), 0}};
    size_t count = 7;
    told(REQBUS_NULL_ARGUMENT, reqbus_admission_admit(NULL, due, 2, permits, 4, &count, &error), &error, "admission");
    CHECK(count == 0);
    told(REQBUS_NULL_ARGUMENT, reqbus_admission_admit(admission, due, 2, permits, 4, NULL, &error), &error, "count");
    told(REQBUS_NULL_WITH_LENGTH, reqbus_admission_admit(admission, NULL, 2, permits, 4, &count, &error), &error, "due");
    told(REQBUS_NULL_WITH_LENGTH, reqbus_admission_admit(admission, due, 2, NULL, 4, &count, &error), &error, "permits");
    told(REQBUS_LENGTH_OVERFLOW, reqbus_admission_admit(admission, due, SIZE_MAX, permits, 4, &count, &error), &error, "due");
    due[1].id = NULL;
    told(REQBUS_NULL_WITH_LENGTH, reqbus_admission_admit(admission, due, 2, permits, 4, &count, &error), &error, "id");
    due[1].id = "\xff";
    told(REQBUS_INVALID_UTF8, reqbus_admission_admit(admission, due, 2, permits, 4, &count, &error), &error, "id");
    due[1].id_len = 0;
    told(REQBUS_INVALID_ARGUMENT, reqbus_admission_admit(admission, due, 2, permits, 4, &count, &error), &error, "id");
    char longest[256];
    memset(longest, 'x', sizeof longest);
    due[1].id = longest;
    due[1].id_len = sizeof longest;
    told(REQBUS_TOO_LARGE, reqbus_admission_admit(admission, due, 2, permits, 4, &count, &error), &error, "id");
    CHECK(count == 0 && permits[0] == NULL);

    reqbus_runner_stats stats;
    INIT(stats);
    OK(reqbus_admission_get_stats(admission, &stats));
    CHECK(stats.rounds == 0 && stats.run == 0);
    stats.size = 3;
    IS(REQBUS_INVALID_SIZE, reqbus_admission_get_stats(admission, &stats));
    IS(REQBUS_NULL_ARGUMENT, reqbus_admission_get_stats(admission, NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_admission_get_stats(NULL, &stats));
    int32_t flag = 0;
    uint64_t ns = 0;
    reqbus_flights *flights = NULL;
    IS(REQBUS_NULL_ARGUMENT, reqbus_admission_until_next_round(NULL, &ns));
    IS(REQBUS_NULL_ARGUMENT, reqbus_admission_until_next_round(admission, NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_admission_fail_round(NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_admission_pause(NULL, 1));
    IS(REQBUS_NULL_ARGUMENT, reqbus_admission_is_paused(NULL, &flag));
    IS(REQBUS_NULL_ARGUMENT, reqbus_admission_is_paused(admission, NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_admission_stop(NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_admission_in_flight(admission, NULL, NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_admission_in_flight(NULL, &flights, NULL));
    CHECK(flights == NULL);

    /* Permits. */
    OK(reqbus_admission_admit(admission, due, 1, permits, 4, &count, NULL));
    CHECK(count == 1 && permits[1] == NULL);
    size_t len = 7;
    CHECK(reqbus_permit_id(NULL, &len) != NULL && len == 0);
    CHECK(reqbus_permit_id(permits[0], NULL) != NULL);
    IS(REQBUS_NULL_ARGUMENT, reqbus_permit_should_end(NULL, &flag));
    IS(REQBUS_NULL_ARGUMENT, reqbus_permit_should_end(permits[0], NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_permit_time_left(NULL, &ns));
    IS(REQBUS_NULL_ARGUMENT, reqbus_permit_time_left(permits[0], NULL));
    IS(REQBUS_INVALID_ARGUMENT, reqbus_permit_finish(&permits[0], 3));
    CHECK(permits[0] != NULL);
    OK(reqbus_admission_in_flight(admission, &flights, NULL));
    reqbus_flight flight;
    INIT(flight);
    IS(REQBUS_NULL_ARGUMENT, reqbus_flights_item(flights, 0, NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_flights_item(NULL, 0, &flight));
    IS(REQBUS_NO_SUCH_ITEM, reqbus_flights_item(flights, 1, &flight));
    CHECK(reqbus_flights_len(flights) == 1 && reqbus_flights_len(NULL) == 0);
    OK(reqbus_flights_free(&flights));
    OK(reqbus_flights_free(&flights));
    OK(reqbus_flights_free(NULL));

    /* A permit outlives its admission, is told of its end, and is given back once. */
    OK(reqbus_admission_free(&admission));
    OK(reqbus_permit_should_end(permits[0], &flag));
    CHECK(flag == 1);
    OK(reqbus_permit_finish(&permits[0], REQBUS_VERDICT_PANICKED));
    IS(REQBUS_NULL_ARGUMENT, reqbus_permit_finish(&permits[0], REQBUS_VERDICT_PANICKED));
    IS(REQBUS_NULL_ARGUMENT, reqbus_permit_finish(NULL, REQBUS_VERDICT_PANICKED));
    OK(reqbus_permit_free(&permits[0]));
    OK(reqbus_permit_free(NULL));
}

static void runners(void) {
    reqbus_runner *runner = NULL;
    reqbus_error *error = NULL;
    reqbus_due_callback due = {NULL, list_due, count_drop}, no_due = {NULL, NULL, count_drop};
    reqbus_check_callback check = {NULL, check_one, count_drop}, no_check = {NULL, NULL, count_drop};
    IS(REQBUS_NULL_ARGUMENT, reqbus_runner_new(NULL, &due, &check, NULL, NULL));
    told(REQBUS_NULL_ARGUMENT, reqbus_runner_new(NULL, NULL, &check, &runner, &error), &error, "due");
    told(REQBUS_NULL_ARGUMENT, reqbus_runner_new(NULL, &due, NULL, &runner, &error), &error, "check");
    told(REQBUS_NULL_ARGUMENT, reqbus_runner_new(NULL, &no_due, &check, &runner, &error), &error, "due");
    told(REQBUS_NULL_ARGUMENT, reqbus_runner_new(NULL, &due, &no_check, &runner, &error), &error, "check");
    reqbus_runner_options how;
    INIT(how);
    how.at_once = 1025;
    told(REQBUS_INVALID_ARGUMENT, reqbus_runner_new(&how, &due, &check, &runner, &error), &error, "at_once");
    CHECK(runner == NULL && drops == 0); /* not taken over */

    OK(reqbus_runner_new(NULL, &due, &check, &runner, NULL));
    reqbus_runner_stats stats;
    INIT(stats);
    int32_t flag = 0;
    reqbus_flights *flights = NULL;
    IS(REQBUS_NULL_ARGUMENT, reqbus_runner_start(NULL, NULL));
    told(REQBUS_INVALID_ARGUMENT, reqbus_runner_stop(runner, -2, &flights, &error), &error, "timeout_ms");
    CHECK(flights == NULL);
    OK(reqbus_runner_start(runner, NULL)); /* so it was not stopped */
    IS(REQBUS_NULL_ARGUMENT, reqbus_runner_stop(NULL, 0, &flights, NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_runner_pause(NULL, 0));
    IS(REQBUS_NULL_ARGUMENT, reqbus_runner_is_paused(NULL, &flag));
    IS(REQBUS_NULL_ARGUMENT, reqbus_runner_is_paused(runner, NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_runner_in_flight(runner, NULL, NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_runner_in_flight(NULL, &flights, NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_runner_get_stats(runner, NULL));
    IS(REQBUS_NULL_ARGUMENT, reqbus_runner_get_stats(NULL, &stats));
    OK(reqbus_runner_stop(runner, -1, NULL, NULL));
    OK(reqbus_runner_free(&runner));
    CHECK(drops == 2 && calls <= 1);
    OK(reqbus_runner_free(&runner));
    OK(reqbus_runner_free(NULL));

    /* One that never began. Drops may be left out. */
    due.drop = NULL;
    OK(reqbus_runner_new(NULL, &due, &check, &runner, NULL));
    OK(reqbus_runner_free(&runner));
    CHECK(drops == 3);
}

int main(void) {
    options();
    admissions();
    runners();
    threads_end();
    puts("runner_bad_input: ok");
    return 0;
}
