/* reqbus demo: replays a trace of real traffic through slots and a bus, and checks what came of it.
 *
 *     cc -std=c11 -pthread replay.c $(pkg-config --cflags --libs reqbus) -o replay
 *     ./replay data/azure_llm_2023_conv_3000.csv
 *
 * Each row of the trace becomes a request at its (scaled) arrival time. It takes a slot of its user and
 * one of its account, waits for them if it must, and is served for its (scaled) time, in a few loops
 * that hold any number of requests each (gateway.h). When it has ended, one of four publisher threads
 * publishes it as an event (feed.h). Meanwhile a runner checks the accounts (checks.h), of which one
 * hangs and one fails. Five readers take part, each in its own thread and its own way
 * (readers.h). At the end everything is accounted for, in two ways that know nothing of each other: by
 * the statistics of bus (B2) and pool (S1, S2, S4), and by what each reader was told, event by event
 * (B3; ledger.h), each worker did (slot_report.h), and each check saw (check_report.h). */
#define _POSIX_C_SOURCE 200809L

#include <signal.h>
#include <sys/stat.h>

#include "check_report.h"
#include "slot_report.h"

enum { EXIT_USAGE = 2 };

static const char help[] =
    "Replays a trace of LLM requests through slots and a bus, with a runner that checks the accounts, and looks at what\n"
    "came of it.\n"
    "\n"
    "usage: replay [--speed X] [--limit ROWS] [--quiet] TRACE\n"
    "\n"
    "  TRACE          a CSV file with the columns " TRACE_HEADER "\n"
    "  --speed X      trace seconds per second (default 60: an hour takes a minute)\n"
    "  --limit ROWS   stop after so many rows\n"
    "  --quiet        no progress, only the tables at the end\n"
    "  --help         print this\n"
    "\n"
    "Ctrl-C ends the replay early, with the tables so far.\n"
    "Exit status: 0 if promises B2, B3, S1, S2 and S4 and those of the runner hold, 1 if not or if reqbus failed, 2 for a\n"
    "wrong option or trace.\n";

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number) {
    (void)signal_number;
    interrupted = 1;
}

/* The value of option `name` at `*at`, as `name VALUE` or `name=VALUE`; NULL if it is not that option. */
static const char *option_value(char **arguments, int count, int *at, const char *name) {
    const char *argument = arguments[*at];
    size_t len = strlen(name);
    if (strncmp(argument, name, len) != 0) return NULL;
    if (argument[len] == '=') return argument + len + 1;
    if (argument[len] != '\0') return NULL;
    return *at + 1 < count ? arguments[++*at] : "";
}

static void usage_error(const char *about, const char *advice) {
    fprintf(stderr, "replay: %s: %s; see replay --help\n", about, advice);
}

/* True with options; else the exit status is in `*status`. */
static bool read_options(int count, char **arguments, struct options *options, int *status) {
    *options = (struct options){.speed = 60};
    *status = EXIT_USAGE;
    bool only_paths = false;
    for (int at = 1; at < count; at++) {
        const char *argument = arguments[at], *value;
        char *end;
        if (only_paths || argument[0] != '-' || argument[1] == '\0') {
            if (options->path != NULL) {
                usage_error(argument, "one trace at a time");
                return false;
            }
            options->path = argument;
        } else if (strcmp(argument, "--") == 0) {
            only_paths = true;
        } else if (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0) {
            fputs(help, stdout);
            *status = EXIT_SUCCESS;
            return false;
        } else if (strcmp(argument, "--quiet") == 0) {
            options->quiet = true;
        } else if ((value = option_value(arguments, count, &at, "--speed")) != NULL) {
            options->speed = strtod(value, &end);
            if (*value == '\0' || *end != '\0' || !(options->speed >= 1e-3 && options->speed <= 1e9)) {
                usage_error("--speed", "give it a number from 0.001 to 1e9, for example --speed 60");
                return false;
            }
        } else if ((value = option_value(arguments, count, &at, "--limit")) != NULL) {
            errno = 0;
            unsigned long long limit = strtoull(value, &end, 10);
            if (value[0] < '0' || value[0] > '9' || *end != '\0' || errno != 0 || limit == 0 || limit > 100000000) {
                usage_error("--limit", "give it a number of rows from 1 to 100000000, for example --limit 1000");
                return false;
            }
            options->limit = (size_t)limit;
        } else {
            usage_error(argument, "no such option; leave it out, or write ./ before a file of that name");
            return false;
        }
    }
    if (options->path == NULL)
        usage_error("no trace", "name a CSV file, for example data/azure_llm_2023_conv_3000.csv");
    return options->path != NULL;
}

static bool all_published(const struct demo *demo) { return atomic_load(&demo->published) == demo->trace.len; }

/* Shows progress until all is published or the demo ends early. */
static void watch(struct demo *demo, struct gateway *gateway, struct reader *readers, struct progress *progress) {
    while (!all_published(demo) && !atomic_load(&demo->stopping)) {
        struct timespec tick = {0, 50000000};
        nanosleep(&tick, NULL);
        if (interrupted) atomic_store(&demo->stopping, true);
        if (!demo->options.quiet) progress_show(progress, demo, gateway, readers);
    }
}

/* After the bus was closed every reader comes to its end; one that does not was not woken. */
static void await_readers(struct reader *readers, size_t count) {
    uint64_t until = now_ns() + (uint64_t)END_SECONDS * 1000000000u;
    for (size_t i = 0; i < count; i++) {
        while (!atomic_load(&readers[i].ended)) {
            struct timespec tick = {0, 1000000};
            nanosleep(&tick, NULL);
            if (now_ns() < until) continue;
            fprintf(stderr, "replay: reader %s did not end within %d s after the bus was closed: a wake was missed\n",
                    readers[i].plan->name, END_SECONDS);
            _Exit(EXIT_FAILURE); /* its thread cannot be joined */
        }
        pthread_join(readers[i].thread, NULL);
    }
}

/* Starts everybody, waits for the end of all requests and of the feed, closes the bus, waits for the readers. */
static void run(struct demo *demo, struct gateway *gateway, struct publisher *publishers, struct reader *readers,
                struct progress *progress) {
    size_t reading = 0, publishing = 0, working = 0;
    while (reading < READERS && reader_start(&readers[reading]) == 0) reading++;
    demo->started_ns = now_ns();
    atomic_store(&demo->publishing, true);
    while (reading == READERS && publishing < PUBLISHERS &&
           pthread_create(&publishers[publishing].thread, NULL, publisher_run, &publishers[publishing]) == 0)
        publishing++;
    if (publishing == PUBLISHERS) working = gateway_start(gateway);
    if (working == WORKERS)
        watch(demo, gateway, readers, progress);
    else
        fail(demo, "the system refused a thread");
    gateway_join(gateway, working);
    for (size_t i = 0; i < publishing; i++) publisher_finish(&publishers[i]);
    for (size_t i = 0; i < publishing; i++) pthread_join(publishers[i].thread, NULL);
    atomic_store(&demo->publishing, false);

    pthread_mutex_lock(&demo->door);
    demo->closed = true;
    reqbus_status status = reqbus_bus_close(demo->bus);
    pthread_mutex_unlock(&demo->door);
    if (status != REQBUS_OK) fail_call(demo, "reqbus_bus_close", status, NULL);
    await_readers(readers, reading);
}

/* Prints everything; true if all promises hold. */
static bool report(struct demo *demo, struct gateway *gateway, struct publisher *publishers, struct reader *readers) {
    struct account accounts[READERS];
    struct tally tally;
    uint64_t published = 0, ended_ns = demo->started_ns + 1;
    for (size_t i = 0; i < PUBLISHERS; i++) {
        published += publishers[i].published;
        if (publishers[i].ended_ns > ended_ns) ended_ns = publishers[i].ended_ns;
    }
    accounts_get(demo, readers, accounts);
    if (!tally_sum(gateway, &tally)) {
        fail(demo, "there is no memory for the report");
        return false;
    }

    double seconds = (double)(ended_ns - demo->started_ns) / 1e9;
    print_slots(gateway, &tally);
    print_checks(&gateway->checks);
    printf("published  %" PRIu64 " of %zu events from %d threads in %.*f s: %.0f events/s\n", published,
           demo->trace.len, PUBLISHERS, seconds < 1 ? 4 : 1, seconds, (double)published / seconds);
    publish_times(publishers, (size_t)published);
    table(readers, accounts);
    bool slots = slots_hold(gateway, &tally);
    bool checks = checks_hold(&gateway->checks);
    bool b2 = b2_holds(readers, accounts, published);
    bool b3 = b3_holds(readers, publishers, demo->trace.len, published);
    free(tally.waits_ns);
    return slots && checks && b2 && b3;
}

static bool make(struct demo *demo, struct gateway *gateway, struct publisher *publishers, struct reader *readers) {
    reqbus_bus_options options = {.size = sizeof options, .log_events = LOG_EVENTS};
    reqbus_error *error = NULL;
    reqbus_status status = reqbus_bus_new(&options, &demo->bus, &error);
    if (status != REQBUS_OK) {
        fail_call(demo, "reqbus_bus_new", status, error);
        return false;
    }
    for (size_t i = 0; i < PUBLISHERS; i++) {
        if (publisher_new(&publishers[i], demo, &gateway->limits, i)) continue;
        fail(demo, "there is no memory for the publishers");
        return false;
    }
    for (size_t i = 0; i < READERS; i++)
        if (!reader_new(&readers[i], demo, i)) return false;
    return gateway_new(gateway, demo, publishers);
}

/* Everything is freed, and the threads of reqbus end a moment later. A host need not wait for that; the demo checks. */
static void await_threads(struct demo *demo) {
    uint64_t until = now_ns() + (uint64_t)END_SECONDS * 1000000000u;
    struct stat tasks; /* has a link of its own, one from its parent, and one from each thread */
    while (stat("/proc/self/task", &tasks) == 0 && tasks.st_nlink > 3) {
        struct timespec tick = {0, 10000000};
        nanosleep(&tick, NULL);
        if (now_ns() < until) continue;
        fail(demo, "a thread is left after everything was freed");
        return;
    }
}

static int replay(struct demo *demo) {
    struct publisher publishers[PUBLISHERS] = {{0}};
    static struct gateway gateway;
    static struct reader readers[READERS];
    struct progress progress = {.terminal = isatty(STDERR_FILENO) == 1};
    bool holds = false;
    if (make(demo, &gateway, publishers, readers)) {
        run(demo, &gateway, publishers, readers, &progress);
        if (!demo->options.quiet) progress_end(&progress);
        holds = report(demo, &gateway, publishers, readers);
    }
    gateway_free(&gateway);
    for (size_t i = 0; i < READERS; i++) reader_free(&readers[i]);
    for (size_t i = 0; i < PUBLISHERS; i++) publisher_free(&publishers[i]);
    reqbus_bus_free(&demo->bus);
    await_threads(demo);
    if (demo->failure[0] != '\0') fprintf(stderr, "replay: %s\n", demo->failure);
    if (interrupted) fprintf(stderr, "replay: ended early by Ctrl-C\n");
    return holds && demo->failure[0] == '\0' ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int count, char **arguments) {
    static struct demo demo;
    int status;
    if (!read_options(count, arguments, &demo.options, &status)) return status;
    if (reqbus_abi_version() != REQBUS_ABI_VERSION) {
        fprintf(stderr, "replay: compiled for reqbus %s, but the library that runs is %s: compile it anew\n",
                REQBUS_VERSION_STRING, reqbus_version());
        return EXIT_FAILURE;
    }
    if (!trace_read(demo.options.path, demo.options.limit, &demo.trace)) {
        free(demo.trace.rows);
        return EXIT_USAGE;
    }
    pthread_mutex_init(&demo.door, NULL);
    pthread_mutex_init(&demo.lock, NULL);
    /* Once: a second Ctrl-C ends the program at once. */
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);

    status = replay(&demo);
    free(demo.trace.rows);
    pthread_mutex_destroy(&demo.door);
    pthread_mutex_destroy(&demo.lock);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "replay: cannot write the tables: %s\n", strerror(errno));
        return EXIT_FAILURE;
    }
    return status;
}
