/*
 * The cases of tests/conformance, as C sees them. Run in the repository root: cases.py turns the files into
 * lines. Cases that move the clock need a library with the test clock (conformance_testclock.c).
 */
#include "lines.h"

#ifdef REQBUS_TEST_CLOCK
#include "reqbus_test.h"
#endif

typedef struct {
    char name[40];
    reqbus_subscription *sub;
} named;

typedef struct {
    char name[40];
    reqbus_guard *guard;
} named_guard;

static reqbus_bus *bus;
static reqbus_batch *batch;
static named subs[32];
static size_t subs_count;
static named_guard guards[8];
static size_t guards_count;
static char case_name[200];
static unsigned cases_run, cases_skipped;
#ifdef REQBUS_TEST_CLOCK
static reqbus_test_clock *driver;
#endif

/* As CHECK, and names the case. */
#define HOLDS(condition)                                                                          \
    do {                                                                                          \
        if (!(condition)) {                                                                       \
            fprintf(stderr, "case %s: %s\n", case_name, #condition);                              \
            exit(1);                                                                              \
        }                                                                                         \
    } while (0)

static void expect(const line *l, reqbus_status got) {
    const char *name = reqbus_status_name((int32_t)got);
    if (!text_holds(l, "expect", name, strlen(name))) {
        fprintf(stderr, "case %s: %s answers %s\n", case_name, l->word, name);
        exit(1);
    }
}

static named *sub_of(const line *l, const char *field_name) {
    const field *f = need(l, field_name);
    for (size_t i = 0; i < subs_count; i++)
        if (same(f->text, f->len, subs[i].name)) return &subs[i];
    fprintf(stderr, "case %s: no subscription %.*s\n", case_name, (int)f->len, f->text);
    exit(1);
}

static void begin(const line *l) {
    const field *name = need(l, "name");
    snprintf(case_name, sizeof case_name, "%.*s", (int)name->len, name->text);
    reqbus_bus_options options;
    INIT(options);
    options.log_events = (size_t)number(l, "log_events");
    options.log_bytes = (size_t)number(l, "log_bytes");
    options.resume_age_ms = (uint64_t)number(l, "resume_age_ms");
    options.flags = (uint32_t)number(l, "flags");
#ifdef REQBUS_TEST_CLOCK
    OK(reqbus_test_clock_new(&driver));
    OK(reqbus_test_bus_new(&options, driver, &bus, NULL));
#else
    OK(reqbus_bus_new(&options, &bus, NULL));
#endif
}

static void end(void) {
    for (size_t i = 0; i < subs_count; i++) OK(reqbus_subscription_free(&subs[i].sub));
    for (size_t i = 0; i < guards_count; i++) OK(reqbus_guard_free(&guards[i].guard));
    subs_count = guards_count = 0;
    OK(reqbus_bus_free(&bus));
#ifdef REQBUS_TEST_CLOCK
    OK(reqbus_test_clock_free(&driver));
#endif
    cases_run++;
}

static reqbus_new_event event_of(const line *l) {
    reqbus_new_event event;
    INIT(event);
    event.kind = need(l, "kind")->text;
    event.kind_len = need(l, "kind")->len;
    event.key = need(l, "key")->text;
    event.key_len = need(l, "key")->len;
    event.payload = need(l, "payload")->text;
    event.payload_len = need(l, "payload")->len;
    event.payload_sort = (uint32_t)number(l, "sort");
    const field *time = find(l, "time");
    if (time != NULL) {
        event.timestamp_ns = (uint64_t)time->number;
        event.flags = REQBUS_EVENT_TIME_SET;
    }
    return event;
}

/* The text `f` with {epoch} and {other} filled in; the caller frees it. */
static char *fill_in(const field *f, size_t *len) {
    uint64_t epoch = 0;
    OK(reqbus_bus_epoch(bus, &epoch));
    char *out = (char *)malloc(f->len * 3 + 1);
    size_t n = 0;
    for (size_t i = 0; i < f->len;) {
        size_t left = f->len - i;
        int own = left >= 7 && memcmp(f->text + i, "{epoch}", 7) == 0;
        int other = left >= 7 && memcmp(f->text + i, "{other}", 7) == 0;
        if (own || other) {
            snprintf(out + n, 17, "%016llx", (unsigned long long)(other ? epoch ^ 1 : epoch));
            n += 16;
            i += 7;
        } else {
            out[n++] = f->text[i++];
        }
    }
    *len = n;
    return out;
}

#include "encodings.h"
#include "acting.h"
#include "reading.h"

static void set_status(const line *l) {
    const field *source = need(l, "source"), *state = need(l, "state"), *detail = need(l, "detail");
    expect(l, reqbus_bus_set_status(bus, source->text, source->len, state->text, state->len,
                                    detail->text, detail->len, NULL));
}

static void close_step(const line *l) {
    const field *what = need(l, "what");
    if (same(what->text, what->len, "bus")) {
        OK(reqbus_bus_close(bus));
        return;
    }
    int32_t was_last = 7;
    OK(reqbus_subscription_close(sub_of(l, "what")->sub, &was_last));
    const field *wanted = find(l, "was_last");
    HOLDS(wanted == NULL || wanted->number == was_last);
}

static reqbus_guard **guard_of(const line *l, const char *field_name) {
    const field *f = need(l, field_name);
    for (size_t i = 0; i < guards_count; i++)
        if (same(f->text, f->len, guards[i].name)) return &guards[i].guard;
    fprintf(stderr, "case %s: no guard %.*s\n", case_name, (int)f->len, f->text);
    exit(1);
}

static void take_guard(const line *l) {
    HOLDS(guards_count < sizeof guards / sizeof guards[0]);
    named_guard *to = &guards[guards_count];
    const field *as = need(l, "as");
    HOLDS(as->len < sizeof to->name);
    memcpy(to->name, as->text, as->len);
    to->name[as->len] = '\0';
    int taken = (int)number(l, "taken");
    IS(taken ? REQBUS_OK : REQBUS_NOT_SOLE_MEMBER,
       reqbus_subscription_cleanup_guard(sub_of(l, "of")->sub, &to->guard));
    HOLDS(taken == (to->guard != NULL));
    guards_count++;
}

static void end_guard(const line *l) {
    int32_t answer = 7;
    reqbus_guard **guard = guard_of(l, "what");
    OK(is_word(l, "abort") ? reqbus_guard_abort(guard, &answer) : reqbus_guard_release(guard, &answer));
    HOLDS(number_holds(l, "answer", (uint64_t)answer) && *guard == NULL);
}

static void expired(const line *l) {
    int32_t answer = 7;
    OK(reqbus_guard_is_expired(*guard_of(l, "of"), &answer));
    HOLDS(number_holds(l, "answer", (uint64_t)answer));
}

static void wanted(const line *l) {
    uint32_t kind = 99;
    const field *name = need(l, "kind");
    OK(reqbus_bus_kind(bus, name->text, name->len, &kind, NULL));
    HOLDS(number_holds(l, "answer", (uint64_t)reqbus_bus_wanted(bus, kind)));
}

static void step(const line *l, FILE *from) {
    reqbus_id id;
    if (is_word(l, "publish")) publish(l);
    else if (is_word(l, "publish_many")) publish_many(l, from);
    else if (is_word(l, "subscribe")) do_subscribe(l, from);
    else if (is_word(l, "publish_request")) publish_request(l);
    else if (is_word(l, "recv") || is_word(l, "recv_texts")) recv_items(l, from);
    else if (is_word(l, "heartbeat")) heartbeat(l);
    else if (is_word(l, "consumers")) consumers(l, from);
    else if (is_word(l, "guard")) take_guard(l);
    else if (is_word(l, "release") || is_word(l, "abort")) end_guard(l);
    else if (is_word(l, "expired")) expired(l);
    else if (is_word(l, "wanted")) wanted(l);
    else if (is_word(l, "stats")) stats(l);
    else if (is_word(l, "totals")) totals(l);
    else if (is_word(l, "status")) set_status(l);
    else if (is_word(l, "close")) close_step(l);
    else if (is_word(l, "free")) OK(reqbus_subscription_free(&sub_of(l, "what")->sub));
    else if (is_word(l, "settled")) {
        OK(reqbus_subscription_settled(sub_of(l, "of")->sub, &id));
        HOLDS(number_holds(l, "seq", id.seq));
    } else if (is_word(l, "newest")) {
        OK(reqbus_bus_newest(bus, &id));
        HOLDS(number_holds(l, "seq", id.seq));
    } else if (is_word(l, "audience")) {
        size_t count = 0;
        OK(reqbus_bus_audience_count(bus, need(l, "name")->text, need(l, "name")->len, &count));
        HOLDS(number_holds(l, "count", count));
    } else if (is_word(l, "advance")) {
#ifdef REQBUS_TEST_CLOCK
        OK(reqbus_test_clock_advance(driver, (uint64_t)number(l, "ms") * 1000000u));
#else
        HOLDS(!"a case that moves the clock was not skipped");
#endif
    } else {
        fprintf(stderr, "case %s: unknown step %s\n", case_name, l->word);
        exit(1);
    }
}

int main(void) {
    FILE *from = popen("python3 tests/c/cases.py tests/conformance/*.json", "r");
    CHECK(from != NULL);
    batch = new_batch();
    line l;
    memset(&l, 0, sizeof l);
    int done = 0, skip = 0;
    while (next_line(from, &l)) {
        if (is_word(&l, "done")) done = 1;
        else if (is_word(&l, "file")) continue;
        else if (is_word(&l, "encoding")) encoding(&l);
        else if (is_word(&l, "encoding.status")) status_encoding(&l);
        else if (is_word(&l, "case")) {
#ifndef REQBUS_TEST_CLOCK
            skip = (int)number(&l, "clock");
#endif
            if (!skip) begin(&l);
        } else if (is_word(&l, "end")) {
            if (skip) cases_skipped++;
            else end();
            skip = 0;
        } else if (!skip) step(&l, from);
    }
    CHECK(pclose(from) == 0 && done); /* cases.py went through */
    free(l.buffer);
    reqbus_batch_free(&batch);
    CHECK(cases_run > 40);
    threads_end();
    printf("conformance: ok, %u cases, %u skipped for want of a test clock\n", cases_run, cases_skipped);
    return 0;
}
