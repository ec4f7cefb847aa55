/* The report on the checks: the table, and whether the runner kept its promises by the demo's books and by its own. */
#ifndef CHECK_REPORT_H
#define CHECK_REPORT_H

#include "checking.h"

/* What the books of all accounts sum up to. */
static struct checked checked_sum(const struct checks *checks) {
    struct checked sum = {0};
    for (size_t i = 0; i < ACCOUNTS; i++) {
        const struct checked *account = &checks->accounts[i];
        sum.begun += account->begun;
        sum.well += account->well;
        sum.failed += account->failed;
        sum.cut += account->cut;
        sum.stuck += account->stuck;
        sum.busy += account->busy;
        sum.waited_ns += account->waited_ns;
        if (i != HANGS && account->longest_ns > sum.longest_ns) sum.longest_ns = account->longest_ns;
    }
    return sum;
}

static void print_checks(const struct checks *checks) {
    const reqbus_runner_stats *stats = &checks->stats;
    const double ms = 1e6; /* in ns */
    printf("checks     %" PRIu64 " rounds, one every %.0f ms: %" PRIu64 " run, of which %" PRIu64 " ended well, %" PRIu64
           " failed, %" PRIu64 " broke down;\n           %" PRIu64 " stuck\n",
           stats->rounds, (double)checks->round_ns / ms, stats->run, stats->succeeded, stats->failed, stats->panicked,
           stats->stuck);
    printf("skipped    %" PRIu64 " busy (being checked), %" PRIu64 " full (no room); %" PRIu64
           " late (begun more than a round after they\n           were due)\n",
           stats->skipped_busy, stats->skipped_full, stats->late);
    if (checks->is_named)
        printf("stop       named %s, whose check hung for %.1f ms, %.1f rounds, and was then released\n",
               checks->names[HANGS].id, (double)checks->hung.age_ns / ms,
               (double)checks->hung.age_ns / (double)checks->round_ns);

    printf("\n%63s\n%-11s %8s %7s %7s %7s %7s %8s %8s\n", "ms from due to begun:", "account", "checked", "well",
           "failed", "stuck", "busy", "mean", "longest");
    for (size_t i = 0; i < ACCOUNTS; i++) {
        const struct checked *account = &checks->accounts[i];
        double mean_ns = account->begun == 0 ? 0 : (double)account->waited_ns / (double)account->begun;
        printf("%-11s %8" PRIu64 " %7" PRIu64 " %7" PRIu64 " %7" PRIu64 " %7" PRIu64 " %8.1f %8.1f%s\n",
               checks->names[i].id, account->begun, account->well, account->failed, account->stuck, account->busy,
               mean_ns / ms, (double)account->longest_ns / ms,
               i == HANGS ? "  hangs" : i == FAILS ? "  fails" : "");
    }
    printf("\n");
}

/* NULL, or what the runner counted otherwise than the demo. */
static const char *count_breach(const struct checks *checks, char sentence[SENTENCE]) {
    const reqbus_runner_stats *stats = &checks->stats;
    const struct checked sum = checked_sum(checks);
    const struct checked *hangs = &checks->accounts[HANGS], *fails = &checks->accounts[FAILS];
    uint64_t counted = stats->run + stats->skipped_busy + stats->skipped_full;
    if (stats->run != sum.begun || stats->succeeded != sum.well || stats->failed != sum.failed || stats->panicked != 0)
        say_into(sentence,
                 "the runner counted %" PRIu64 " run, %" PRIu64 " well, %" PRIu64 " failed and %" PRIu64
                 " broken; the checks were %" PRIu64 ", %" PRIu64 ", %" PRIu64 " and 0",
                 stats->run, stats->succeeded, stats->failed, stats->panicked, sum.begun, sum.well, sum.failed);
    /* The stop may have come between a question and its round. */
    else if (counted != checks->listed && counted != checks->listed - checks->last_listed)
        say_into(sentence, "%" PRIu64 " items were said to be due, and %" PRIu64 " were run or skipped", checks->listed,
                 counted);
    else if ((stats->rounds != checks->asked && stats->rounds != checks->asked - 1) || stats->failed_rounds != 0 ||
             stats->paused_rounds != 0)
        say_into(sentence, "%" PRIu64 " rounds, of which %" PRIu64 " failed and %" PRIu64 " were paused; it asked %" PRIu64
                 " times", stats->rounds, stats->failed_rounds, stats->paused_rounds, checks->asked);
    else if (fails->well != 0 || sum.failed - sum.cut != fails->failed - fails->cut)
        say_into(sentence, "%s alone fails, but %" PRIu64 " of its checks ended well", checks->names[FAILS].id,
                 fails->well);
    else if (hangs->begun > 1 || sum.stuck > stats->stuck || stats->skipped_busy + checks->last_listed < hangs->busy)
        say_into(sentence, "%s hung, was checked %" PRIu64 " times, and was passed over for it %" PRIu64 " times",
                 checks->names[HANGS].id, hangs->begun, hangs->busy);
    else if (checks->has_hung && checks->hung.age_ns > check_ns(checks, CHECK_LIMIT_MS) && !checks->hung.stuck)
        say_into(sentence, "%s hung beyond its time and was not counted as stuck", checks->names[HANGS].id);
    else
        return NULL;
    return sentence;
}

/* NULL, or what the runner did that it must not. */
static const char *check_breach(const struct checks *checks, char sentence[SENTENCE]) {
    uint64_t stuck = checks->stats.stuck < CHECKS_AT_ONCE ? checks->stats.stuck : CHECKS_AT_ONCE;
    uint64_t longest_ns = checked_sum(checks).longest_ns;
    if (checks->trouble[0] != '\0') return checks->trouble;
    if (checks->peak > CHECKS_AT_ONCE + stuck)
        say_into(sentence, "%u ran at once, of at most %d and %" PRIu64 " that were stuck", checks->peak, CHECKS_AT_ONCE,
                 stuck);
    else if (longest_ns > on_time_ns(checks))
        say_into(sentence, "an account was checked, or not yet, %.1f ms after it was due; on time is within %.1f ms",
                 (double)longest_ns / 1e6, (double)on_time_ns(checks) / 1e6);
    else if (checks->running != 0 || checks->dropped != 2)
        say_into(sentence, "at the end %u checks run, and %u of 2 callbacks were dropped", checks->running,
                 checks->dropped);
    else
        return count_breach(checks, sentence);
    return sentence;
}

static bool checks_hold(const struct checks *checks) {
    char sentence[SENTENCE];
    const char *breach = check_breach(checks, sentence);
    if (breach != NULL)
        printf("The runner's promises do not hold: %s.\n", breach);
    else
        printf("The runner's promises hold: no account was checked twice at once; never more than %zu ran and %zu were\n"
               "          stuck (of %d each); the longest overdue came first, and none waited while there was room, so that\n"
               "          all but %s were checked on time; each of %" PRIu64 " permits came back.\n",
               checks->most_running, checks->most_stuck, CHECKS_AT_ONCE, checks->names[HANGS].id,
               checks->stats.run);
    return breach == NULL;
}

#endif
