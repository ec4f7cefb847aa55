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

static reqbus_bus *bus;
static reqbus_batch *batch;
static named subs[32];
static size_t subs_count;
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
    subs_count = 0;
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
    return event;
}

static void publish(const line *l) {
    reqbus_new_event event = event_of(l);
    for (long long i = number(l, "times"); i > 0; i--)
        expect(l, reqbus_bus_publish(bus, &event, NULL, NULL));
}

static void publish_many(const line *l, FILE *from) {
    size_t count = (size_t)number(l, "count");
    line lines[8];
    reqbus_new_event events[8];
    memset(events, 0, sizeof events);
    HOLDS(count <= 8);
    for (size_t i = 0; i < count; i++) {
        memset(&lines[i], 0, sizeof lines[i]);
        HOLDS(next_line(from, &lines[i]) && is_word(&lines[i], "event"));
        events[i] = event_of(&lines[i]);
    }
    expect(l, reqbus_bus_publish_many(bus, events, count, sizeof events[0], NULL, NULL));
    for (size_t i = 0; i < count; i++) free(lines[i].buffer);
}

/* The text `f` with {epoch} and {other} filled in; the caller frees it. */
static char *fill_in(const field *f, size_t *len) {
    uint64_t epoch = 0;
    OK(reqbus_bus_epoch(bus, &epoch));
    char *out = (char *)malloc(f->len + 32);
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

static void do_subscribe(const line *l, FILE *from) {
    reqbus_subscribe_options how;
    INIT(how);
    how.start = (uint32_t)number(l, "start");
    how.overflow = (uint32_t)number(l, "overflow");
    how.capacity = (size_t)number(l, "capacity");
    how.capacity_bytes = (size_t)number(l, "capacity_bytes");
    how.audience = need(l, "audience")->text;
    how.audience_len = need(l, "audience")->len;
    char *after = fill_in(need(l, "after"), &how.after_len);
    how.after = after;
    how.keys_count = (size_t)number(l, "keys");
    how.kinds_count = (size_t)number(l, "kinds");
    line lines[8];
    reqbus_text names[8];
    size_t count = how.keys_count + how.kinds_count;
    HOLDS(count <= 8 && subs_count < sizeof subs / sizeof subs[0]);
    for (size_t i = 0; i < count; i++) {
        memset(&lines[i], 0, sizeof lines[i]);
        HOLDS(next_line(from, &lines[i]) && is_word(&lines[i], "name"));
        names[i].ptr = need(&lines[i], "name")->text;
        names[i].len = need(&lines[i], "name")->len;
    }
    how.keys = names;
    how.kinds = names + how.keys_count;

    named *to = &subs[subs_count];
    const field *as = need(l, "as");
    HOLDS(as->len < sizeof to->name);
    memcpy(to->name, as->text, as->len);
    to->name[as->len] = '\0';
    reqbus_status status = reqbus_bus_subscribe(bus, &how, &to->sub, NULL);
    expect(l, status);
    HOLDS((status == REQBUS_OK) == (to->sub != NULL));
    if (status == REQBUS_OK) {
        int32_t is_first = 0;
        OK(reqbus_subscription_is_first(to->sub, &is_first));
        HOLDS(number_holds(l, "is_first", (uint64_t)is_first));
        subs_count++;
    }
    for (size_t i = 0; i < count; i++) free(lines[i].buffer);
    free(after);
}

/* What is left to be compared, across batches. */
typedef struct {
    size_t at; /* in the batch */
    reqbus_subscription *sub;
    reqbus_status last; /* what the last read said */
    size_t max_items, max_bytes;
    int once, reads;
} stream;

/* The next item; 0 when there is none. */
static int next_item(stream *s, reqbus_item *item) {
    while (s->at == reqbus_batch_len(batch)) {
        if (s->once && s->reads > 0) return 0;
        s->last = reqbus_subscription_recv(s->sub, batch, s->max_items, s->max_bytes, 0);
        s->reads++;
        s->at = 0;
        if (s->last != REQBUS_OK) return 0;
    }
    *item = item_at(batch, s->at++);
    return 1;
}

static void same_event(const line *l, const reqbus_item *item, long long seq) {
    uint64_t epoch = 0;
    OK(reqbus_bus_epoch(bus, &epoch));
    HOLDS(item->tag == REQBUS_ITEM_EVENT);
    HOLDS(item->id.epoch == epoch && item->id.seq == (uint64_t)seq);
    const field *n = find(l, "n");
    HOLDS(n == NULL || item->n == (uint64_t)(n->number + seq - number(l, "first")));
    HOLDS(text_holds(l, "kind", item->kind, item->kind_len));
    HOLDS(text_holds(l, "key", item->key, item->key_len));
    HOLDS(number_holds(l, "sort", item->payload_sort));
    HOLDS(text_holds(l, "payload", item->payload, item->payload_len));
}

static void recv_items(const line *l, FILE *from) {
    stream s;
    memset(&s, 0, sizeof s);
    OK(reqbus_batch_clear(batch));
    s.sub = sub_of(l, "from")->sub;
    s.once = (int)number(l, "limited");
    s.max_items = find(l, "max_items") ? (size_t)number(l, "max_items") : 256;
    s.max_bytes = find(l, "max_bytes") ? (size_t)number(l, "max_bytes") : (size_t)BYTES;
    reqbus_item item;
    line want;
    memset(&want, 0, sizeof want);
    for (long long left = number(l, "count"); left > 0; left--) {
        HOLDS(next_line(from, &want));
        if (is_word(&want, "item.event")) {
            for (long long seq = number(&want, "first"); seq <= number(&want, "last"); seq++) {
                HOLDS(next_item(&s, &item));
                same_event(&want, &item, seq);
            }
            continue;
        }
        HOLDS(next_item(&s, &item));
        if (is_word(&want, "item.lost")) {
            HOLDS(item.tag == REQBUS_ITEM_LOST);
            HOLDS(number_holds(&want, "missed", item.missed));
            HOLDS(number_holds(&want, "next_n", item.next_n));
            HOLDS(text_holds(&want, "reason", item.reason_name, item.reason_name_len));
        } else if (is_word(&want, "item.resync")) {
            HOLDS(item.tag == REQBUS_ITEM_RESYNC);
            HOLDS(number_holds(&want, "head", item.id.seq));
            HOLDS(text_holds(&want, "reason", item.reason_name, item.reason_name_len));
        } else {
            HOLDS(is_word(&want, "item.status") && item.tag == REQBUS_ITEM_STATUS);
            HOLDS(text_holds(&want, "source", item.source, item.source_len));
            HOLDS(text_holds(&want, "state", item.state, item.state_len));
            HOLDS(text_holds(&want, "detail", item.detail, item.detail_len));
        }
    }
    free(want.buffer);
    HOLDS(!next_item(&s, &item));
    if (!s.once) HOLDS(s.last == (number(l, "closed") ? REQBUS_CLOSED : REQBUS_TIMEOUT));
}

static void stats(const line *l) {
    reqbus_subscription_stats s = stats_of(sub_of(l, "of")->sub);
    HOLDS(number_holds(l, "matched", s.matched) && number_holds(l, "delivered", s.delivered));
    HOLDS(number_holds(l, "lost_full", s.lost_full) && number_holds(l, "lost_window", s.lost_window));
    HOLDS(number_holds(l, "lost_evicted", s.lost_evicted) && number_holds(l, "pending", s.pending));
    HOLDS(number_holds(l, "resyncs", s.resyncs) && adds_up(&s));
}

static void totals(const line *l) {
    reqbus_bus_stats s;
    INIT(s);
    OK(reqbus_bus_get_stats(bus, &s));
    HOLDS(number_holds(l, "matched", s.matched) && number_holds(l, "delivered", s.delivered));
    HOLDS(number_holds(l, "lost_full", s.lost_full) && number_holds(l, "lost_window", s.lost_window));
    HOLDS(number_holds(l, "lost_evicted", s.lost_evicted) && number_holds(l, "pending", s.pending));
    HOLDS(number_holds(l, "abandoned", s.abandoned));
    HOLDS(s.matched ==
          s.delivered + s.lost_full + s.lost_window + s.lost_evicted + s.pending + s.abandoned);
}

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

static void step(const line *l, FILE *from) {
    reqbus_id id;
    if (is_word(l, "publish")) publish(l);
    else if (is_word(l, "publish_many")) publish_many(l, from);
    else if (is_word(l, "subscribe")) do_subscribe(l, from);
    else if (is_word(l, "recv")) recv_items(l, from);
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

#include "encodings.h"

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
    printf("conformance: ok, %u cases, %u skipped for want of a test clock\n", cases_run, cases_skipped);
    return 0;
}
