/*
 * The runner cases of tests/conformance (runner_*.json), as C sees them: one admission on a clock that the test drives.
 * Run in the repository root: cases.py turns the files into lines, which runner_cases.py describes.
 */
#include "lines.h"

#include "reqbus_test.h"

enum { MOST = 64 };

static reqbus_test_clock *driver;
static reqbus_admission *admission;
static reqbus_permit *permits[MOST];
static size_t permits_count;
static uint64_t listed; /* items in the lists of rounds that were neither refused nor passed over */
static char case_name[200];
static unsigned cases_run;

/* As CHECK, and names the case. */
#define HOLDS(condition)                                                                          \
    do {                                                                                          \
        if (!(condition)) {                                                                       \
            fprintf(stderr, "case %s: %s\n", case_name, #condition);                              \
            exit(1);                                                                              \
        }                                                                                         \
    } while (0)

/* The status and the context of the error are those that the line names; frees the error. */
static void expect(const line *l, reqbus_status got, reqbus_error **error) {
    const char *name = reqbus_status_name((int32_t)got);
    size_t len = 0;
    const char *context = reqbus_error_context(*error, &len);
    if (!text_holds(l, "expect", name, strlen(name)) || !text_holds(l, "context", context, len)) {
        fprintf(stderr, "case %s: %s answers %s about %.*s\n", case_name, l->word, name, (int)len, context);
        exit(1);
    }
    OK(reqbus_error_free(error));
}

static uint64_t number_or_zero(const line *l, const char *name) {
    const field *f = find(l, name);
    return f == NULL ? 0 : (uint64_t)f->number;
}

static void begin(const line *l) {
    const field *name = need(l, "name");
    snprintf(case_name, sizeof case_name, "%.*s", (int)name->len, name->text);
    reqbus_runner_options options;
    INIT(options);
    options.every_ms = number_or_zero(l, "every_ms");
    options.limit_ms = number_or_zero(l, "limit_ms");
    options.jitter_ms = number_or_zero(l, "jitter_ms");
    options.at_once = (uint32_t)number_or_zero(l, "at_once");
    options.seed = number_or_zero(l, "seed");
    options.flags = find(l, "seed") != NULL ? REQBUS_RUNNER_SEEDED : 0;
    OK(reqbus_test_clock_new(&driver));
    reqbus_error *error = NULL;
    reqbus_status status = reqbus_test_admission_new(&options, driver, &admission, &error);
    HOLDS((status == REQBUS_OK) == (admission != NULL));
    expect(l, status, &error);
    listed = 0;
}

static reqbus_runner_stats counted(void) {
    reqbus_runner_stats stats;
    INIT(stats);
    OK(reqbus_admission_get_stats(admission, &stats));
    return stats;
}

static size_t permit_of(const line *l, const char *field_name) {
    const field *f = need(l, field_name);
    for (size_t i = 0; i < permits_count; i++) {
        size_t len = 0;
        const char *id = reqbus_permit_id(permits[i], &len);
        if (len == f->len && memcmp(id, f->text, len) == 0) return i;
    }
    fprintf(stderr, "case %s: no permit of %.*s\n", case_name, (int)f->len, f->text);
    exit(1);
}

/* Takes a permit out of the list, which stays without holes. */
static reqbus_permit *take(const line *l) {
    size_t at = permit_of(l, "id");
    reqbus_permit *permit = permits[at];
    permits[at] = permits[--permits_count];
    return permit;
}

static void do_round(const line *l, FILE *from) {
    size_t due_count = (size_t)number(l, "due"), count = 77, capacity = MOST - permits_count;
    reqbus_due due[MOST];
    line lines[MOST];
    HOLDS(due_count <= MOST);
    for (size_t i = 0; i < due_count; i++) {
        memset(&lines[i], 0, sizeof lines[i]);
        HOLDS(next_line(from, &lines[i]) && is_word(&lines[i], "due"));
        due[i].id = need(&lines[i], "id")->text;
        due[i].id_len = need(&lines[i], "id")->len;
        due[i].overdue_ms = (uint64_t)number(&lines[i], "overdue_ms");
    }
    const field *most = find(l, "at_most");
    if (most != NULL && (size_t)most->number < capacity) capacity = (size_t)most->number;
    reqbus_error *error = NULL;
    reqbus_permit **given = permits + permits_count;
    reqbus_status status = reqbus_admission_admit(admission, due, due_count, given, capacity, &count, &error);
    expect(l, status, &error);
    for (size_t i = 0; i < due_count; i++) free(lines[i].buffer);
    HOLDS(count <= capacity && (status == REQBUS_OK || count == 0));
    permits_count += count;
    int32_t paused = 7;
    OK(reqbus_admission_is_paused(admission, &paused));
    if (status == REQBUS_OK && !paused) listed += due_count;

    const field *wanted = find(l, "permits");
    if (wanted == NULL) return;
    HOLDS((size_t)wanted->number == count);
    line w;
    memset(&w, 0, sizeof w);
    for (size_t i = 0; i < count; i++) {
        HOLDS(next_line(from, &w) && is_word(&w, "id"));
        size_t len = 0;
        const char *id = reqbus_permit_id(given[i], &len);
        HOLDS(text_holds(&w, "id", id, len));
    }
    free(w.buffer);
}

static void in_flight(const line *l, FILE *from) {
    reqbus_flights *flights = NULL;
    OK(reqbus_admission_in_flight(admission, &flights, NULL));
    HOLDS(number_holds(l, "wants", reqbus_flights_len(flights)));
    line w;
    memset(&w, 0, sizeof w);
    for (size_t i = 0; i < reqbus_flights_len(flights); i++) {
        reqbus_flight flight;
        INIT(flight);
        OK(reqbus_flights_item(flights, i, &flight));
        HOLDS(next_line(from, &w) && is_word(&w, "want"));
        HOLDS(text_holds(&w, "id", flight.id, flight.id_len));
        HOLDS(number_holds(&w, "age_ms", flight.age_ns / 1000000u));
        HOLDS(number_holds(&w, "is_stuck", flight.stuck));
    }
    free(w.buffer);
    OK(reqbus_flights_free(&flights));
}

static void permit_step(const line *l) {
    const reqbus_permit *permit = permits[permit_of(l, "of")];
    int32_t should_end = 7;
    uint64_t left_ns = 7;
    OK(reqbus_permit_should_end(permit, &should_end));
    OK(reqbus_permit_time_left(permit, &left_ns));
    HOLDS(number_holds(l, "should_end", (uint64_t)should_end));
    HOLDS(number_holds(l, "left_ms", left_ns / 1000000u));
}

static void until_next_round(const line *l) {
    uint64_t wait_ns = 7;
    OK(reqbus_admission_until_next_round(admission, &wait_ns));
    HOLDS(number_holds(l, "ms", wait_ns / 1000000u));
    const field *most = find(l, "at_most_ms");
    HOLDS(most == NULL || wait_ns / 1000000u <= (uint64_t)most->number);
}

static void stats(const line *l) {
    reqbus_runner_stats s = counted();
    HOLDS(number_holds(l, "rounds", s.rounds));
    HOLDS(number_holds(l, "failed_rounds", s.failed_rounds));
    HOLDS(number_holds(l, "paused_rounds", s.paused_rounds));
    HOLDS(number_holds(l, "run", s.run));
    HOLDS(number_holds(l, "succeeded", s.succeeded));
    HOLDS(number_holds(l, "failed", s.failed));
    HOLDS(number_holds(l, "panicked", s.panicked));
    HOLDS(number_holds(l, "stuck", s.stuck));
    HOLDS(number_holds(l, "skipped_busy", s.skipped_busy));
    HOLDS(number_holds(l, "skipped_full", s.skipped_full));
    HOLDS(number_holds(l, "late", s.late));
}

static void step(const line *l, FILE *from) {
    if (is_word(l, "runner.round")) do_round(l, from);
    else if (is_word(l, "runner.fail_round")) OK(reqbus_admission_fail_round(admission));
    else if (is_word(l, "runner.pause")) OK(reqbus_admission_pause(admission, (int32_t)number(l, "paused")));
    else if (is_word(l, "runner.stop")) OK(reqbus_admission_stop(admission));
    else if (is_word(l, "runner.advance")) OK(reqbus_test_clock_advance(driver, (uint64_t)number(l, "ms") * 1000000u));
    else if (is_word(l, "runner.until_next_round")) until_next_round(l);
    else if (is_word(l, "runner.in_flight")) in_flight(l, from);
    else if (is_word(l, "runner.permit")) permit_step(l);
    else if (is_word(l, "runner.stats")) stats(l);
    else if (is_word(l, "runner.paused")) {
        int32_t answer = 7;
        OK(reqbus_admission_is_paused(admission, &answer));
        HOLDS(number_holds(l, "answer", (uint64_t)answer));
    } else if (is_word(l, "runner.finish")) {
        reqbus_permit *permit = take(l);
        OK(reqbus_permit_finish(&permit, (uint32_t)number(l, "verdict")));
        HOLDS(permit == NULL);
    } else if (is_word(l, "runner.drop")) {
        reqbus_permit *permit = take(l);
        OK(reqbus_permit_free(&permit));
    } else {
        fprintf(stderr, "case %s: unknown step %s\n", case_name, l->word);
        exit(1);
    }
}

/* After every step: each permit is in flight and nothing else is, and each item and each check is counted once. */
static void account(void) {
    reqbus_flights *flights = NULL;
    OK(reqbus_admission_in_flight(admission, &flights, NULL));
    HOLDS(reqbus_flights_len(flights) == permits_count);
    OK(reqbus_flights_free(&flights));
    reqbus_runner_stats s = counted();
    HOLDS(s.run == s.succeeded + s.failed + s.panicked + permits_count);
    HOLDS(listed == s.run + s.skipped_busy + s.skipped_full);
}

/* Frees permits before the admission, or after it, by turns. */
static void end(void) {
    if (admission != NULL) {
        if (cases_run % 2) OK(reqbus_admission_free(&admission));
        for (; permits_count > 0; permits_count--) {
            if (admission == NULL) {
                int32_t should_end = 0;
                OK(reqbus_permit_should_end(permits[permits_count - 1], &should_end));
                HOLDS(should_end == 1);
            }
            OK(reqbus_permit_free(&permits[permits_count - 1]));
        }
        if (admission != NULL) account();
    }
    OK(reqbus_admission_free(&admission));
    OK(reqbus_test_clock_free(&driver));
    cases_run++;
}

int main(void) {
    FILE *from = popen("python3 tests/c/cases.py --runner tests/conformance/*.json", "r");
    CHECK(from != NULL);
    line l;
    memset(&l, 0, sizeof l);
    int done = 0;
    while (next_line(from, &l)) {
        if (is_word(&l, "done")) done = 1;
        else if (is_word(&l, "file")) continue;
        else if (is_word(&l, "runner")) begin(&l);
        else if (is_word(&l, "end")) end();
        else {
            HOLDS(admission != NULL);
            step(&l, from);
            account();
        }
    }
    CHECK(pclose(from) == 0 && done); /* cases.py went through */
    free(l.buffer);
    CHECK(cases_run > 25);
    threads_end();
    printf("runner_conformance: ok, %u cases\n", cases_run);
    return 0;
}
