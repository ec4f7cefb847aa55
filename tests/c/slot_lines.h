/*
 * What the cases of slots say, and how it is compared with what the library says. Only slots_conformance.c includes it.
 */
#ifndef REQBUS_TESTS_SLOT_LINES_H
#define REQBUS_TESTS_SLOT_LINES_H

#include "lines.h"
#include "slotting.h"

static const uint64_t MS = 1000000u;

static reqbus_pool *pool;
static char case_name[200];
static unsigned step_number;
static int is_timed; /* the case's clock stands still, so that times can be compared */
static int on_fault; /* the pool is on the store of tests */

/* As CHECK, and names the case. */
#define HOLDS(condition)                                                                          \
    do {                                                                                          \
        if (!(condition)) {                                                                       \
            fprintf(stderr, "%s:%d: case %s, step %u: %s\n", __FILE__, __LINE__, case_name,       \
                    step_number, #condition);                                                     \
            exit(1);                                                                              \
        }                                                                                         \
    } while (0)

/* Fails the program: field `name` is not what the case says. */
static void differs(const char *name, const char *got, size_t len) {
    fprintf(stderr, "case %s, step %u: %s is %.*s\n", case_name, step_number, name, (int)len, got);
    exit(1);
}

static void same_text(const line *l, const char *name, const char *text, size_t len) {
    if (!text_holds(l, name, text, len)) differs(name, text, len);
}

static void same_number(const line *l, const char *name, uint64_t got) {
    char text[24];
    int len = snprintf(text, sizeof text, "%llu", (unsigned long long)got);
    if (!number_holds(l, name, got)) differs(name, text, (size_t)len);
}

/* Whether the field is there and null: what is not there is 0 in C. */
static int is_null(const line *l, const char *name) {
    char no[40];
    snprintf(no, sizeof no, "no_%s", name);
    return find(l, no) != NULL;
}

static void same_or_null(const line *l, const char *name, uint64_t got) {
    if (is_null(l, name) && got != 0) differs(name, "there", 5);
    same_number(l, name, got);
}

/* A time, which means nothing where the clock runs. */
static void same_ms(const line *l, const char *name, uint64_t ns) {
    find(l, name);
    if (is_timed) same_or_null(l, name, ns / MS);
    else is_null(l, name);
}

/* The limit that a line asks with, or expects: a number, unlimited, or none. */
static int64_t limit_of(const line *l) {
    const field *limit = find(l, "limit");
    if (find(l, "unlimited") != NULL) return REQBUS_UNLIMITED;
    return limit != NULL ? limit->number : REQBUS_LIMIT_NOT_GIVEN;
}

static void same_limit(const line *l, int64_t got) {
    int64_t want = limit_of(l);
    int is_said = is_null(l, "limit") || want != REQBUS_LIMIT_NOT_GIVEN;
    HOLDS(!is_said || got == want);
}

/* The lines that follow a step's own. */
typedef struct {
    line *at;
    size_t count;
} rows;

static void *space(size_t count, size_t size) {
    void *made = calloc(count + 1, size); /* never NULL for nothing */
    CHECK(made != NULL);
    return made;
}

/* As many lines `word` as field `name` says; none if it is not there. */
static rows read_rows(const line *l, FILE *from, const char *name, const char *word) {
    const field *f = find(l, name);
    rows all;
    all.count = f == NULL ? 0 : (size_t)f->number;
    all.at = (line *)space(all.count, sizeof *all.at);
    for (size_t i = 0; i < all.count; i++) HOLDS(next_line(from, &all.at[i]) && is_word(&all.at[i], word));
    return all;
}

/* Every field that a case gives is asked or compared, or the runner does less than it says. */
static void all_read(const line *l) {
    const char *name = unread(l);
    if (name == NULL) return;
    fprintf(stderr, "case %s, step %u: nobody reads %s of %s\n", case_name, step_number, name, l->word);
    exit(1);
}

static void free_rows(rows *all) {
    for (size_t i = 0; i < all->count; i++) {
        all_read(&all->at[i]);
        free(all->at[i].buffer);
    }
    free(all->at);
}

static reqbus_key key_of(const line *l) {
    reqbus_key key;
    key.scope = need(l, "scope")->text;
    key.scope_len = need(l, "scope")->len;
    key.id = need(l, "id")->text;
    key.id_len = need(l, "id")->len;
    return key;
}

static reqbus_key *keys_of(const rows *all) {
    reqbus_key *keys = (reqbus_key *)space(all->count, sizeof *keys);
    for (size_t i = 0; i < all->count; i++) keys[i] = key_of(&all->at[i]);
    return keys;
}

/* Compares an answer with fields `expect`, the name of its status, and `context`; frees the error. Whether it is OK. */
static int answered(const line *l, reqbus_status got, reqbus_error *error) {
    const char *name = reqbus_status_name((int32_t)got);
    same_text(l, "expect", name, strlen(name));
    size_t len = 0;
    const char *context = reqbus_error_context(error, &len);
    HOLDS((got == REQBUS_OK) == (error == NULL) && (error == NULL || reqbus_error_kind(error) == got));
    same_text(l, "context", context, len);
    OK(reqbus_error_free(&error));
    return got == REQBUS_OK;
}

/* How a request for a slot ends. */
typedef struct {
    reqbus_slot *slot;
    reqbus_status status;
    reqbus_refusal why;
    reqbus_error *error;
    int is_early; /* refused by the call that begins the wait: there is no refusal to compare */
} end_of;

static const struct {
    const char *name;
    reqbus_status status;
    uint32_t outcome;
} OUTCOMES[] = {
    {"granted", REQBUS_OK, REQBUS_OUTCOME_NONE},
    {"nothing", REQBUS_TIMEOUT, REQBUS_OUTCOME_NONE},
    {"ping", REQBUS_PING_DUE, REQBUS_OUTCOME_NONE},
    {"busy", REQBUS_SLOT_BUSY, REQBUS_OUTCOME_BUSY},
    {"queue_full", REQBUS_SLOT_QUEUE_FULL, REQBUS_OUTCOME_QUEUE_FULL},
    {"timed_out", REQBUS_SLOT_TIMED_OUT, REQBUS_OUTCOME_TIMED_OUT},
    {"cancelled", REQBUS_SLOT_CANCELLED, REQBUS_OUTCOME_CANCELLED},
    {"closed", REQBUS_SLOT_CLOSED, REQBUS_OUTCOME_CLOSED},
    {"store_unavailable", REQBUS_STORE_UNAVAILABLE, REQBUS_OUTCOME_STORE_UNAVAILABLE},
    {"invalid", REQBUS_INVALID_ARGUMENT, REQBUS_OUTCOME_INVALID},
    {"invalid", REQBUS_TOO_LARGE, REQBUS_OUTCOME_INVALID},
};

/* Compares the name of what came, and that status and refusal say the same. */
static void same_outcome(const line *l, const char *field_name, const end_of *end) {
    size_t count = sizeof OUTCOMES / sizeof OUTCOMES[0], i = 0;
    while (i < count && OUTCOMES[i].status != end->status) i++;
    const char *name = i < count ? OUTCOMES[i].name : reqbus_status_name((int32_t)end->status);
    same_text(l, field_name, name, strlen(name));
    HOLDS(i < count && (end->is_early || OUTCOMES[i].outcome == end->why.outcome));
    HOLDS((end->status == REQBUS_OK) == (end->slot != NULL));
    HOLDS((end->why.outcome != REQBUS_OUTCOME_NONE || end->is_early) == (end->error != NULL));
}

/* How its key stood: a wait that gives up does not ask a store far away. */
static void same_standing(const line *want, const reqbus_refusal *why) {
    int gave_up = why->outcome == REQBUS_OUTCOME_TIMED_OUT || why->outcome == REQBUS_OUTCOME_CANCELLED;
    if (on_fault && gave_up) {
        static const char *const names[] = {"limit", "unlimited", "in_use", "waiting", "position", "retry_after_s"};
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
            find(want, names[i]);
            is_null(want, names[i]);
        }
        return;
    }
    same_limit(want, why->limit);
    same_number(want, "in_use", why->in_use);
    same_number(want, "waiting", why->waiting);
    same_number(want, "position", why->position);
    same_or_null(want, "retry_after_s", why->retry_after_s);
}

/* What caused it: of a wrong call kind and context, of others the end of the error's sentence. */
static void same_cause(const line *want, const end_of *end) {
    size_t len = 0;
    const char *text = reqbus_error_context(end->error, &len);
    if (end->why.outcome == REQBUS_OUTCOME_INVALID || end->is_early) {
        const char *kind = reqbus_status_name((int32_t)reqbus_error_kind(end->error));
        same_text(want, "error", kind, strlen(kind));
        same_text(want, "context", text, len);
        return;
    }
    const field *cause = find(want, "cause");
    int is_none = is_null(want, "cause") | is_null(want, "error") | is_null(want, "context");
    text = reqbus_error_message(end->error, &len);
    HOLDS(!is_none || text[len - 1] != ')');
    if (cause == NULL) return;
    HOLDS(len > cause->len + 2 && text[len - 1] == ')');
    HOLDS(memcmp(text + len - 1 - cause->len, cause->text, cause->len) == 0);
}

/* Compares how a request ended with field `expect` and with the line that says more, if there is one. */
static void same_end(const line *l, const rows *wants, const end_of *end) {
    same_outcome(l, "expect", end);
    if (wants->count == 0) return;
    const line *want = &wants->at[0];
    same_outcome(want, "outcome", end);
    same_cause(want, end);
    if (end->is_early) {
        find(want, "scope"); /* the error names the argument alone */
        return;
    }
    same_standing(want, &end->why);
    same_text(want, "scope", end->why.scope, end->why.scope_len);
    same_ms(want, "waited_ms", end->why.waited_ns);
    same_number(want, "pings", end->why.pings);
}

#endif
