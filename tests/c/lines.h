/* Reads the lines of cases.py: a word, then fields. Only the conformance programs include it. */
#ifndef REQBUS_TESTS_LINES_H
#define REQBUS_TESTS_LINES_H

#include "check.h"

typedef struct {
    const char *name;
    const char *text; /* NULL for a number */
    size_t len;
    long long number;
    int is_read;
} field;

typedef struct {
    char *buffer;
    size_t capacity;
    const char *word;
    field fields[40];
    size_t count;
} line;

static inline int hex_digit(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

/* Undoes the hexadecimal text from `hex` to `end`, in place. */
static inline size_t unhex(char *hex, const char *end) {
    char *out = hex;
    for (const char *at = hex; at < end; at += 2)
        *out++ = (char)(hex_digit(at[0]) * 16 + hex_digit(at[1]));
    return (size_t)(out - hex);
}

/* The next line of `from`; 0 at its end. */
static inline int next_line(FILE *from, line *l) {
    ssize_t got = getline(&l->buffer, &l->capacity, from);
    if (got <= 0) return 0;
    char *end = l->buffer + got;
    if (end[-1] == '\n') *--end = '\0';
    l->count = 0;
    char *at = strchr(l->buffer, ' ');
    l->word = l->buffer;
    while (at != NULL) {
        *at++ = '\0';
        char *stop = strchr(at, ' ');
        char *value = strchr(at, '=');
        CHECK(value != NULL && l->count < sizeof l->fields / sizeof l->fields[0]);
        *value++ = '\0';
        field *f = &l->fields[l->count++];
        f->name = at;
        f->text = NULL;
        f->len = 0;
        f->number = 0;
        f->is_read = 0;
        if (*value == 'x') {
            f->text = value + 1;
            f->len = unhex(value + 1, stop != NULL ? stop : end);
        } else {
            CHECK(*value == 'd');
            f->number = strtoll(value + 1, NULL, 10);
        }
        at = stop;
    }
    return 1;
}

static inline const field *find(const line *l, const char *name) {
    for (size_t i = 0; i < l->count; i++) {
        if (strcmp(l->fields[i].name, name) != 0) continue;
        ((line *)l)->fields[i].is_read = 1; /* no line is const where it is kept */
        return &l->fields[i];
    }
    return NULL;
}

static inline const field *need(const line *l, const char *name) {
    const field *f = find(l, name);
    if (f == NULL) fprintf(stderr, "%s has no %s\n", l->word, name);
    CHECK(f != NULL);
    return f;
}

static inline long long number(const line *l, const char *name) { return need(l, name)->number; }

static inline int is_word(const line *l, const char *word) { return strcmp(l->word, word) == 0; }

/* Whether the field is absent, or equal to this text. */
static inline int text_holds(const line *l, const char *name, const void *text, size_t len) {
    const field *f = find(l, name);
    return f == NULL || (f->len == len && (len == 0 || memcmp(f->text, text, len) == 0));
}

/* Whether the field is absent, or equal to this number. */
static inline int number_holds(const line *l, const char *name, uint64_t value) {
    const field *f = find(l, name);
    return f == NULL || (uint64_t)f->number == value;
}

/* The first field that nobody has looked for; NULL if there is none. */
static inline const char *unread(const line *l) {
    for (size_t i = 0; i < l->count; i++)
        if (!l->fields[i].is_read) return l->fields[i].name;
    return NULL;
}

#endif
