/*
 * The cases of slots in tests/conformance, as C sees them. Run in the repository root: cases.py turns the files into
 * lines. Cases that move the clock need a library with the test clock (slots_conformance_testclock.c), where each case
 * runs on the memory store and then on the store of tests, over a good line.
 */
#include "slot_acting.h"
#include "slot_backoffs.h"
#include "slot_keys.h"

#ifdef REQBUS_TEST_CLOCK
#include "reqbus_test.h"
static reqbus_test_clock *driver;
#endif

static int is_watched;
static unsigned cases_run, cases_skipped;

static void make_pool(const reqbus_pool_options *options) {
#ifdef REQBUS_TEST_CLOCK
    OK(reqbus_test_clock_new(&driver));
    if (!on_fault) {
        OK(reqbus_test_pool_new(options, driver, &pool, NULL));
        return;
    }
    reqbus_test_fault *fault = NULL;
    OK(reqbus_test_fault_new(&fault));
    OK(reqbus_test_pool_new_on_fault(options, driver, NULL, fault, &pool, NULL));
    OK(reqbus_test_fault_free(&fault));
#else
    OK(reqbus_pool_new(options, &pool, NULL));
#endif
}

static void begin(const line *l, FILE *from) {
    const field *name = need(l, "name");
    snprintf(case_name, sizeof case_name, "%.*s%s", (int)name->len, name->text, on_fault ? " (on the store of tests)" : "");
    step_number = 0;
    is_watched = (int)number(l, "watched");
    rows first = read_rows(l, from, "first", "text"), last = read_rows(l, from, "last", "text");
    reqbus_text scopes[2][8];
    const rows *both[2] = {&first, &last};
    for (size_t i = 0; i < 2; i++)
        for (size_t at = 0; at < both[i]->count; at++) {
            HOLDS(at < 8);
            scopes[i][at].ptr = need(&both[i]->at[at], "text")->text;
            scopes[i][at].len = need(&both[i]->at[at], "text")->len;
        }
    reqbus_pool_options options;
    INIT(options);
    options.first = scopes[0];
    options.first_count = first.count;
    options.last = scopes[1];
    options.last_count = last.count;
    HOLDS(number(l, "ranks") == (first.count + last.count > 0)); /* C has no word for no ranks at all */
    options.processes = (uint32_t)number(l, "processes");
    options.leak_sink.ctx = leaks;
    options.leak_sink.call = hear_of_leak;
    make_pool(&options);
    free_rows(&first);
    free_rows(&last);
}

/* Promise S1, after every step and for each key: the count is that of the set of holders. */
static void keys_add_up(void) {
    for (size_t i = 0; is_watched && pool != NULL && i < noted_count; i++) {
        reqbus_key key = noted_key(i);
        reqbus_holders *holders = NULL;
        OK(reqbus_pool_holders(pool, &key, 0, &holders, NULL));
        HOLDS(load_of(pool, &key).in_use == reqbus_holders_len(holders));
        OK(reqbus_holders_free(&holders));
    }
}

/* Promise S2, in the end: whatever was granted has been given back, and nobody waits. */
static void end(void) {
    for (size_t round = 0; round < 2; round++) /* waits before slots in one case, after them in the next */
        for (size_t i = 0; i < things_count; i++)
            if (!things[i].is_gone && (things[i].slot == NULL) == ((round + cases_run) % 2 == 0)) drop(&things[i]);
    things_count = 0;
    for (size_t i = 0; i < noted_count; i++) {
        reqbus_key key = noted_key(i);
        if (pool != NULL) {
            reqbus_load load = load_of(pool, &key);
            HOLDS(load.in_use == 0 && load.waiting == 0);
        }
        free(noted[i][0]);
        free(noted[i][1]);
    }
    noted_count = named_holders_count = 0;
    drop_backoffs();
    OK(reqbus_pool_free(&pool));
    forget_leaks();
#ifdef REQBUS_TEST_CLOCK
    /* What is still to come, like a store far away that has not heard, holds on to a clock that stands still for ever. */
    OK(reqbus_test_clock_advance(driver, 60000 * MS));
    OK(reqbus_test_clock_free(&driver));
#endif
    cases_run++;
}

static void advance(const line *l) {
#ifdef REQBUS_TEST_CLOCK
    OK(reqbus_test_clock_advance(driver, (uint64_t)number(l, "ms") * MS));
#else
    HOLDS(find(l, "ms") == NULL);
#endif
}

static void step(const line *l, FILE *from) {
    static const char words[] = "slots.";
    HOLDS(strncmp(l->word, words, sizeof words - 1) == 0);
    const char *word = l->word + sizeof words - 1;
    const struct {
        const char *word;
        void (*alone)(const line *l);
        void (*with_rows)(const line *l, FILE *from);
    } steps[] = {
        {"try", NULL, do_try}, {"try_first_of", NULL, do_try}, {"wait", NULL, do_wait}, {"wait_on_top", NULL, do_wait},
        {"look", NULL, do_look}, {"position", do_position, NULL}, {"cancel", do_cancel, NULL},
        {"release", do_release, NULL}, {"release_scope", do_release, NULL}, {"join", do_join, NULL},
        {"keys", NULL, do_keys}, {"lost", do_lost, NULL}, {"leak", do_leak, NULL}, {"drop", do_drop, NULL},
        {"advance", advance, NULL}, {"set_limit", change_key, NULL}, {"clear_limit", change_key, NULL},
        {"close_key", change_key, NULL}, {"open_key", change_key, NULL}, {"load", NULL, do_load},
        {"order_by_load", NULL, order_by_load}, {"holders", NULL, do_holders}, {"held_longer_than", NULL, do_holders},
        {"holder", name_holder, NULL}, {"force", do_force, NULL}, {"key_stats", NULL, do_stats},
        {"scope_stats", NULL, do_stats}, {"known_keys", known_keys, NULL}, {"touch", touch, NULL},
        {"leaked", leaked, NULL}, {"told_leaks", NULL, told_leaks},
        {"nonpositive_is_unlimited", nonpositive_is_unlimited, NULL}, {"backoff", make_backoff, NULL},
        {"delays", NULL, take_delays}, {"reset", reset_backoff, NULL}, {"attempt", attempt, NULL},
    };
    step_number++;
    if (strcmp(word, "close") == 0) {
        OK(reqbus_pool_close(pool));
        return keys_add_up();
    }
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        if (strcmp(word, steps[i].word) != 0) continue;
        if (steps[i].alone != NULL) steps[i].alone(l);
        else steps[i].with_rows(l, from);
        all_read(l);
        return keys_add_up();
    }
    fprintf(stderr, "case %s: unknown step %s\n", case_name, l->word);
    exit(1);
}

/* Runs every case that can be run here. */
static void run_all(void) {
    FILE *from = popen("python3 tests/c/cases.py --slots tests/conformance/*.json", "r");
    CHECK(from != NULL);
    line l;
    memset(&l, 0, sizeof l);
    int done = 0, skip = 0;
    while (next_line(from, &l)) {
        if (is_word(&l, "done")) done = 1;
        else if (is_word(&l, "file")) continue;
        else if (is_word(&l, "pool")) {
            is_timed = (int)number(&l, "clock");
            skip = on_fault && number(&l, "memory_only");
#ifndef REQBUS_TEST_CLOCK
            skip = is_timed;
#endif
            if (!skip) begin(&l, from);
        } else if (is_word(&l, "end")) {
            if (skip) cases_skipped++;
            else end();
            skip = 0;
        } else if (!skip) step(&l, from);
    }
    CHECK(pclose(from) == 0 && done); /* cases.py went through */
    free(l.buffer);
}

int main(void) {
    run_all();
    CHECK(cases_run > 100);
    threads_end();
    printf("slots_conformance: ok, %u cases from memory, %u skipped for want of a test clock\n", cases_run, cases_skipped);
#ifdef REQBUS_TEST_CLOCK
    CHECK(cases_skipped == 0);
    unsigned before = cases_run;
    on_fault = 1;
    run_all();
    CHECK(cases_run - before == before - cases_skipped && cases_skipped * 10 < before);
    printf("slots_conformance: ok, %u cases on the store of tests, %u skipped as memory's own\n", cases_run - before,
           cases_skipped);
#endif
    return 0;
}
