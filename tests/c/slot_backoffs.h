/* The steps about backoffs. Only slots_conformance.c includes it. */
#ifndef REQBUS_TESTS_SLOT_BACKOFFS_H
#define REQBUS_TESTS_SLOT_BACKOFFS_H

#include "slot_lines.h"

typedef struct {
    char name[40];
    reqbus_backoff *backoff;
} named_backoff;

static named_backoff backoffs[32];
static size_t backoffs_count;

static reqbus_backoff *backoff_of(const line *l, const char *field_name) {
    const field *f = need(l, field_name);
    for (size_t i = 0; i < backoffs_count; i++)
        if (same(f->text, f->len, backoffs[i].name)) return backoffs[i].backoff;
    fprintf(stderr, "case %s, step %u: no backoff is called %.*s\n", case_name, step_number, (int)f->len, f->text);
    exit(1);
}

static void make_backoff(const line *l) {
    const field *as = need(l, "as"), *seed = find(l, "seed"), *random = find(l, "random");
    const field *first = find(l, "first_ms"), *cap = find(l, "cap_ms");
    named_backoff *made = &backoffs[backoffs_count];
    HOLDS(backoffs_count < sizeof backoffs / sizeof backoffs[0] && as->len < sizeof made->name);
    for (size_t i = 0; i < backoffs_count; i++) HOLDS(!same(as->text, as->len, backoffs[i].name));
    memset(made, 0, sizeof *made);
    memcpy(made->name, as->text, as->len);
    reqbus_backoff_options how;
    INIT(how);
    if (seed != NULL) {
        how.flags = REQBUS_BACKOFF_SEEDED;
        how.seed = (uint64_t)seed->number;
    } else if (random == NULL || random->number == 0) {
        how.flags = REQBUS_BACKOFF_EXACT;
    }
    if (first != NULL) how.first_ns = (uint64_t)first->number * MS;
    if (cap != NULL) how.cap_ns = (uint64_t)cap->number * MS;
    reqbus_error *error = NULL;
    reqbus_status got = reqbus_backoff_new(&how, &made->backoff, &error);
    HOLDS((got == REQBUS_OK) == (made->backoff != NULL));
    if (first != NULL && first->number == 0) {
        /* 0 is the default in C, which the cap of the case is below: wrong, and for another reason. */
        IS(REQBUS_INVALID_ARGUMENT, got);
        find(l, "expect");
        find(l, "context");
        OK(reqbus_error_free(&error));
        return;
    }
    backoffs_count += (size_t)answered(l, got, error);
}

static uint64_t next_delay(reqbus_backoff *backoff) {
    uint64_t delay_ns = 0;
    OK(reqbus_backoff_next(backoff, &delay_ns));
    return delay_ns / 1000;
}

static size_t distinct(const uint64_t *delays, size_t count) {
    size_t different = 0;
    for (size_t i = 0; i < count; i++) {
        size_t before = 0;
        while (before < i && delays[before] != delays[i]) before++;
        different += before == i;
    }
    return different;
}

static void take_delays(const line *l, FILE *from) {
    rows wants = read_rows(l, from, "numbers", "number");
    const field *said = find(l, "count");
    size_t count = said != NULL ? (size_t)said->number : wants.count;
    HOLDS(find(l, "numbers") == NULL || count == wants.count);
    uint64_t *got = (uint64_t *)space(count, sizeof *got), sum = 0;
    const field *least = find(l, "least_us"), *most = find(l, "most_us");
    for (size_t i = 0; i < count; i++) {
        got[i] = next_delay(backoff_of(l, "of"));
        sum += got[i];
        if (wants.count > 0) same_number(&wants.at[i], "value", got[i]);
        HOLDS(least == NULL || got[i] >= (uint64_t)least->number);
        HOLDS(most == NULL || got[i] <= (uint64_t)most->number);
    }
    const field *differ = find(l, "distinct_at_least"), *above = find(l, "mean_above_us"), *is_same = find(l, "is_same");
    HOLDS(differ == NULL || distinct(got, count) >= (size_t)differ->number);
    HOLDS(above == NULL || sum / count > (uint64_t)above->number);
    if (find(l, "same_as") != NULL) {
        size_t alike = 0;
        for (size_t i = 0; i < count; i++) alike += next_delay(backoff_of(l, "same_as")) == got[i];
        HOLDS((alike == count) == (is_same == NULL || is_same->number == 1));
    }
    free(got);
    free_rows(&wants);
}

static void reset_backoff(const line *l) { OK(reqbus_backoff_reset(backoff_of(l, "of"))); }

static void attempt(const line *l) {
    uint32_t taken = 77;
    OK(reqbus_backoff_attempt(backoff_of(l, "of"), &taken));
    same_number(l, "is", taken);
}

static void drop_backoffs(void) {
    for (; backoffs_count > 0; backoffs_count--) OK(reqbus_backoff_free(&backoffs[backoffs_count - 1].backoff));
}

#endif
