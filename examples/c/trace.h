/* The trace: reads TIMESTAMP,ContextTokens,GeneratedTokens, and refuses what it does not understand
 * with the number of the line. */
#ifndef TRACE_H
#define TRACE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

struct row {
    uint64_t at_ns; /* arrival, nanoseconds since 1970 UTC */
    uint32_t input_tokens;
    uint32_t output_tokens;
};

struct trace {
    struct row *rows; /* in the order of time */
    size_t len;
};

#define TRACE_HEADER "TIMESTAMP,ContextTokens,GeneratedTokens"

/* Takes between `least` and `most` digits off `*text`. */
static bool take_digits(const char **text, int least, int most, uint32_t *value) {
    int digits = 0;
    *value = 0;
    while (digits < most && **text >= '0' && **text <= '9') {
        *value = *value * 10 + (uint32_t)(**text - '0');
        (*text)++;
        digits++;
    }
    return digits >= least;
}

static bool take_char(const char **text, char wanted) {
    if (**text != wanted) return false;
    (*text)++;
    return true;
}

/* Days from 1970-01-01 to a date of the Gregorian calendar, from 1970 on. */
static uint64_t days_since_1970(uint32_t year, uint32_t month, uint32_t day) {
    /* Counted in years that begin in March, so that a leap day is the last day of its year. */
    uint64_t y = month <= 2 ? year - 1 : year;
    uint64_t m = month <= 2 ? month + 9 : month - 3;
    return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

static uint32_t days_in_month(uint32_t year, uint32_t month) {
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (uint32_t)(month == 2 && leap);
}

/* 2023-11-16 18:15:46.6805900, UTC, with up to nine digits of a fraction or none. */
static bool take_time(const char **text, uint64_t *at_ns) {
    uint32_t year, month, day, hour, minute, second, fraction = 0;
    if (!(take_digits(text, 4, 4, &year) && take_char(text, '-') && take_digits(text, 2, 2, &month) &&
          take_char(text, '-') && take_digits(text, 2, 2, &day) && take_char(text, ' ') &&
          take_digits(text, 2, 2, &hour) && take_char(text, ':') && take_digits(text, 2, 2, &minute) &&
          take_char(text, ':') && take_digits(text, 2, 2, &second)))
        return false;
    if (take_char(text, '.')) {
        const char *begin = *text;
        if (!take_digits(text, 1, 9, &fraction)) return false;
        for (ptrdiff_t digits = *text - begin; digits < 9; digits++) fraction *= 10;
    }
    if (year < 1970 || year > 2261 || month < 1 || month > 12) return false;
    if (day < 1 || day > days_in_month(year, month) || hour > 23 || minute > 59 || second > 59) return false;
    uint64_t seconds = days_since_1970(year, month, day) * 86400u + hour * 3600u + minute * 60u + second;
    *at_ns = seconds * 1000000000u + fraction;
    return true;
}

/* NULL, or what is wrong with the line. */
static const char *parse_row(const char *text, struct row *row) {
    if (!take_time(&text, &row->at_ns)) return "expected a time like 2023-11-16 18:15:46.6805900";
    if (!take_char(&text, ',')) return "expected a comma after the time";
    if (!take_digits(&text, 1, 9, &row->input_tokens))
        return "expected ContextTokens, a number of at most 9 digits, after the time";
    if (!take_char(&text, ',')) return "expected a comma after ContextTokens";
    if (!take_digits(&text, 1, 9, &row->output_tokens))
        return "expected GeneratedTokens, a number of at most 9 digits, as the last column";
    if (*text != '\0') return "expected the line to end after GeneratedTokens";
    return NULL;
}

static bool add_row(struct trace *trace, size_t *capacity, const struct row *row) {
    if (trace->len == *capacity) {
        size_t wanted = *capacity ? *capacity * 2 : 4096;
        struct row *rows = realloc(trace->rows, wanted * sizeof *rows);
        if (rows == NULL) return false;
        trace->rows = rows;
        *capacity = wanted;
    }
    trace->rows[trace->len++] = *row;
    return true;
}

/* NULL, or what is wrong; `*number` is the line it is wrong in, 0 if it is none. */
static const char *read_rows(FILE *file, size_t limit, struct trace *trace, size_t *number) {
    char *line = NULL;
    size_t room = 0, capacity = 0;
    ssize_t got;
    const char *wrong = NULL;
    *number = 0;
    errno = 0;
    while (wrong == NULL && (limit == 0 || trace->len < limit) && (got = getline(&line, &room, file)) >= 0) {
        ++*number;
        size_t len = (size_t)got;
        if (strlen(line) != len) {
            wrong = "it holds a NUL byte, so this is no text file";
            break;
        }
        if (len > 0 && line[len - 1] == '\n') line[--len] = '\0';
        if (len > 0 && line[len - 1] == '\r') line[--len] = '\0';
        if (*number == 1) {
            if (strcmp(line, TRACE_HEADER) != 0) wrong = "expected the header line " TRACE_HEADER;
            continue;
        }
        struct row row;
        wrong = parse_row(line, &row);
        if (wrong == NULL && trace->len > 0 && row.at_ns < trace->rows[trace->len - 1].at_ns)
            wrong = "it is earlier than the line before; sort the rows by time";
        if (wrong == NULL && !add_row(trace, &capacity, &row)) wrong = "there is no memory for more rows";
    }
    free(line);
    if (wrong == NULL && ferror(file)) {
        *number = 0;
        return strerror(errno);
    }
    if (wrong == NULL && trace->len == 0) {
        *number = 0;
        return "it holds no rows";
    }
    return wrong;
}

/* Reads at most `limit` rows (0 is all), or says on stderr why it cannot. */
static bool trace_read(const char *path, size_t limit, struct trace *trace) {
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        fprintf(stderr, "replay: cannot open the trace %s: %s\n", path, strerror(errno));
        return false;
    }
    size_t number;
    const char *wrong = read_rows(file, limit, trace, &number);
    if (wrong != NULL && number > 0)
        fprintf(stderr, "replay: %s, line %zu: %s\n", path, number, wrong);
    else if (wrong != NULL)
        fprintf(stderr, "replay: cannot use the trace %s: %s\n", path, wrong);
    fclose(file);
    return wrong == NULL;
}

#endif
