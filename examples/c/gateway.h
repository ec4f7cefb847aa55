/* The gateway: a few workers, each with one loop, one bell and as many requests at once as come.
 *
 * A request takes a slot of its user and one of its account, waits for them if it must, is served for as long as its
 * row says, and gives them back. No thread belongs to a request: its wait is attached to its worker's bell, and its
 * times stand on its worker's agenda. So a wait is looked at, cancelled and freed by one thread only: were a bell's
 * tokens taken by several, one could free a wait that another looks at. */
#ifndef GATEWAY_H
#define GATEWAY_H

#include "agenda.h"
#include "checking.h"
#include "feed.h"

enum {
    QUEUE = 6,      /* how many may wait for a key */
    PING_MS = 5000, /* of the trace: how often a client that waits is sent a ping */
    TOKENS = 64,
    ARRIVALS = 16 /* in one turn of the loop, so that a burst of them does not keep the others waiting */
};

/* A request of a worker's. It waits, or is served, or has not come yet or has ended. */
struct visit {
    reqbus_wait *wait;
    reqbus_slot *slot;
    uint64_t arrived_ns;
};

/* What a worker counted. */
struct tally {
    uint64_t begun, at_once, after_wait;
    uint64_t refused[SCOPES][REQBUS_OUTCOME_INVALID + 1]; /* by the scope that refused, and by outcome */
    uint64_t left_served; /* clients that left while they were served */
    uint64_t pings;
    uint64_t released;  /* slots that were given back, each told as such */
    uint64_t *waits_ns; /* of each request that got its slots after a wait */
};

struct worker {
    struct gateway *gateway;
    pthread_t thread;
    reqbus_bell *bell;
    size_t next;          /* the row that arrives next: each WORKERS-th is its own */
    size_t open;          /* requests that wait or are served */
    struct visit *visits; /* by row / WORKERS */
    struct agenda agenda;
    struct tally tally;
};

struct gateway {
    struct demo *demo;
    struct publisher *publishers; /* to whom a request goes that has ended */
    reqbus_pool *pool;
    struct limits limits;
    struct checks checks; /* of the accounts, beside the requests */
    struct worker workers[WORKERS];
    atomic_size_t waiting, served; /* for the progress line */
};

static struct visit *visit_of(struct worker *worker, size_t row) { return &worker->visits[row / WORKERS]; }

static void end_visit(struct worker *worker, size_t row, reqbus_request_status status) {
    struct demo *demo = worker->gateway->demo;
    double took_ns = (double)(now_ns() - visit_of(worker, row)->arrived_ns) * demo->options.speed;
    worker->open--;
    publisher_hand(worker->gateway->publishers, (struct ended){row, status, (int64_t)(took_ns / 1e6)});
}

/* Its slots are in hand. */
static void serve(struct worker *worker, size_t row, bool at_once) {
    struct gateway *gateway = worker->gateway;
    const struct request request = request_of_row(&gateway->demo->trace, row);
    uint64_t now = now_ns();
    limited_take(&gateway->limits.users[request.user]);
    limited_take(&gateway->limits.accounts[request.account]);
    if (at_once)
        worker->tally.at_once++;
    else
        worker->tally.waits_ns[worker->tally.after_wait++] = now - visit_of(worker, row)->arrived_ns;
    atomic_fetch_add(&gateway->served, 1);
    agenda_add(&worker->agenda, (struct due){now + scaled_ns(gateway->demo, request.service_ns), row, DUE_SERVED});
}

/* It was served, to the end or until its client left. One release gives both slots back, each to who waits for it. */
static void give_back(struct worker *worker, size_t row, reqbus_request_status ended) {
    struct gateway *gateway = worker->gateway;
    struct visit *visit = visit_of(worker, row);
    const struct request request = request_of_row(&gateway->demo->trace, row);
    limited_give(&gateway->limits.accounts[request.account]);
    limited_give(&gateway->limits.users[request.user]);
    reqbus_status status = reqbus_slot_release(visit->slot);
    if (status != REQBUS_OK) fail_call(gateway->demo, "reqbus_slot_release", status, NULL);
    worker->tally.released += status == REQBUS_OK;
    reqbus_slot_free(&visit->slot);
    atomic_fetch_sub(&gateway->served, 1);
    end_visit(worker, row, ended);
}

/* It got no slot: 429, unless its client has left. */
static void refuse(struct worker *worker, size_t row, reqbus_status status, const reqbus_refusal *refusal) {
    switch (refusal->outcome) {
    case REQBUS_OUTCOME_BUSY:
    case REQBUS_OUTCOME_QUEUE_FULL:
    case REQBUS_OUTCOME_TIMED_OUT:
    case REQBUS_OUTCOME_CANCELLED: {
        size_t scope = strcmp(refusal->scope, scope_names[USER]) == 0 ? USER : ACCOUNT;
        worker->tally.refused[scope][refusal->outcome]++;
        break;
    }
    default: /* nobody closes anything here, and nothing that is asked for is wrong */
        fail_call(worker->gateway->demo, "reqbus_wait_next", status, NULL);
    }
    bool has_left = refusal->outcome == REQBUS_OUTCOME_CANCELLED;
    end_visit(worker, row, has_left ? REQBUS_REQUEST_ERROR : REQBUS_REQUEST_RATE_LIMITED);
}

/* Looks at a wait: writes the pings that are due, and goes on with a request whose wait is over. */
static void look(struct worker *worker, size_t row, bool at_once) {
    struct visit *visit = visit_of(worker, row);
    reqbus_refusal refusal = {.size = sizeof refusal};
    reqbus_status status;
    /* A real one writes `data: {"type": "ping"}` or the like to its client, and cancels the wait if that fails. */
    while ((status = reqbus_wait_next(visit->wait, 0, &visit->slot, &refusal, NULL)) == REQBUS_PING_DUE)
        worker->tally.pings++;
    if (status == REQBUS_TIMEOUT) return; /* nothing new: bells may ring for nothing */
    reqbus_wait_free(&visit->wait);
    atomic_fetch_sub(&worker->gateway->waiting, 1);
    if (status == REQBUS_OK)
        serve(worker, row, at_once);
    else
        refuse(worker, row, status, &refusal);
}

static void arrive(struct worker *worker, size_t row) {
    struct gateway *gateway = worker->gateway;
    struct demo *demo = gateway->demo;
    struct visit *visit = visit_of(worker, row);
    const struct request request = request_of_row(&demo->trace, row);
    const reqbus_ask asks[SCOPES] = {ask_for(&gateway->limits.users[request.user]),
                                     ask_for(&gateway->limits.accounts[request.account])};
    char label[32];
    int label_len = snprintf(label, sizeof label, "row %zu", row + 1);
    reqbus_wait_options options = {
        .size = sizeof options,
        .label = label,
        .label_len = (size_t)label_len,
        .timeout_ms = (int64_t)scaled_ms(demo, request.patience_ns),
        .ping_every_ms = scaled_ms(demo, (uint64_t)PING_MS * 1000000),
        .max_waiting = QUEUE,
        .flags = request.patience_ns == 0 ? REQBUS_WAIT_TRY : 0,
    };
    reqbus_error *error = NULL;
    reqbus_status status = reqbus_pool_wait(gateway->pool, asks, SCOPES, &options, &visit->wait, &error);
    if (status != REQBUS_OK) {
        fail_call(demo, "reqbus_pool_wait", status, error);
        return;
    }
    visit->arrived_ns = now_ns();
    worker->tally.begun++;
    worker->open++;
    atomic_fetch_add(&gateway->waiting, 1);
    if (request.leaves_ns != UINT64_MAX)
        agenda_add(&worker->agenda,
                   (struct due){visit->arrived_ns + scaled_ns(demo, request.leaves_ns), row, DUE_CLIENT_LEAVES});
    look(worker, row, true);
    if (visit->wait == NULL) return;
    status = reqbus_wait_attach(visit->wait, worker->bell, row);
    if (status != REQBUS_OK) fail_call(demo, "reqbus_wait_attach", status, NULL);
}

/* The client of a request hangs up: what the request has is given back at once. */
static void client_leaves(struct worker *worker, size_t row) {
    struct visit *visit = visit_of(worker, row);
    if (visit->slot != NULL) {
        worker->tally.left_served++;
        give_back(worker, row, REQBUS_REQUEST_ERROR);
    } else if (visit->wait != NULL) {
        static const char cause[] = "the client went away";
        reqbus_status status = reqbus_wait_cancel(visit->wait, cause, sizeof cause - 1);
        if (status != REQBUS_OK) fail_call(worker->gateway->demo, "reqbus_wait_cancel", status, NULL);
        /* If its time is up just now, another thread is ending it: then it is over a moment later. */
        const uint64_t until = now_ns() + (uint64_t)END_SECONDS * 1000000000u;
        look(worker, row, false);
        while (visit->wait != NULL && now_ns() < until) {
            struct timespec tick = {0, 1000000};
            nanosleep(&tick, NULL);
            look(worker, row, false);
        }
        if (visit->wait != NULL || visit->slot != NULL)
            fail(worker->gateway->demo, "a wait went on after it was cancelled");
    }
}

/* What was due by now. What is about a request that has ended meanwhile is passed over. */
static void do_due(struct worker *worker) {
    struct due due;
    while (agenda_take(&worker->agenda, now_ns(), &due)) {
        if (due.what == DUE_CLIENT_LEAVES) {
            client_leaves(worker, due.index);
        } else if (visit_of(worker, due.index)->slot != NULL) {
            const struct request request = request_of_row(&worker->gateway->demo->trace, due.index);
            give_back(worker, due.index, request.fails ? REQBUS_REQUEST_ERROR : REQBUS_REQUEST_SUCCESS);
        }
    }
}

static uint64_t arrival_ns(const struct worker *worker) {
    const struct demo *demo = worker->gateway->demo;
    const struct trace *trace = &demo->trace;
    if (worker->next >= trace->len) return UINT64_MAX;
    return demo->started_ns + scaled_ns(demo, trace->rows[worker->next].at_ns - trace->rows[0].at_ns);
}

static void let_in(struct worker *worker) {
    struct demo *demo = worker->gateway->demo;
    for (int i = 0; i < ARRIVALS && arrival_ns(worker) <= now_ns() && !atomic_load(&demo->stopping); i++) {
        arrive(worker, worker->next);
        worker->next += WORKERS;
    }
}

/* Sleeps until a wait has news or something is due, and looks at the waits whose bell rang. How many those were. */
static size_t listen(struct worker *worker) {
    const uint64_t slice = 50000000; /* how late it may notice the end */
    struct demo *demo = worker->gateway->demo;
    uint64_t tokens[TOKENS];
    uint64_t now = now_ns(), until = now + slice;
    if (arrival_ns(worker) < until) until = arrival_ns(worker);
    if (agenda_next_ns(&worker->agenda) < until) until = agenda_next_ns(&worker->agenda);
    int64_t ms = until <= now ? 0 : (int64_t)((until - now + 999999) / 1000000);
    size_t taken = 0;
    reqbus_status status = reqbus_bell_wait(worker->bell, tokens, TOKENS, ms, &taken);
    if (status != REQBUS_OK && status != REQBUS_TIMEOUT) fail_call(demo, "reqbus_bell_wait", status, NULL);
    for (size_t i = 0; i < taken; i++) /* one may have ended since its token was made ready */
        if (visit_of(worker, (size_t)tokens[i])->wait != NULL) look(worker, (size_t)tokens[i], false);
    return taken;
}

static void *worker_run(void *argument) {
    struct worker *worker = argument;
    struct demo *demo = worker->gateway->demo;
    /* The longest that a wait can be without news, which its timeout is. */
    uint64_t patience_ns = scaled_ns(demo, (uint64_t)PATIENCE_S * 1000000000u) + (uint64_t)END_SECONDS * 1000000000u;
    uint64_t news_ns = now_ns();
    while ((worker->open > 0 || worker->next < demo->trace.len) && !atomic_load(&demo->stopping)) {
        let_in(worker);
        do_due(worker);
        bool is_busy = arrival_ns(worker) != UINT64_MAX || worker->agenda.len > 0;
        if (listen(worker) > 0 || is_busy) news_ns = now_ns();
        if (now_ns() - news_ns > patience_ns) fail(demo, "a request waits beyond its time: a wake was missed");
    }
    /* Only if the demo ends early. */
    for (size_t row = (size_t)(worker - worker->gateway->workers); row < worker->next; row += WORKERS)
        client_leaves(worker, row);
    return NULL;
}

static bool worker_new(struct worker *worker, struct gateway *gateway) {
    size_t number = (size_t)(worker - gateway->workers), rows = gateway->demo->trace.len / WORKERS + 1;
    *worker = (struct worker){.gateway = gateway, .next = number};
    worker->visits = calloc(rows, sizeof *worker->visits);
    worker->tally.waits_ns = calloc(rows, sizeof *worker->tally.waits_ns);
    if (!agenda_new(&worker->agenda, rows * 2) || worker->visits == NULL || worker->tally.waits_ns == NULL) {
        fail(gateway->demo, "there is no memory for the workers");
        return false;
    }
    reqbus_error *error = NULL;
    reqbus_status status = reqbus_bell_new(&worker->bell, &error);
    if (status != REQBUS_OK) fail_call(gateway->demo, "reqbus_bell_new", status, error);
    return status == REQBUS_OK;
}

/* `gateway` is all zero, and stays where it is. */
static bool gateway_new(struct gateway *gateway, struct demo *demo, struct publisher *publishers) {
    gateway->demo = demo;
    gateway->publishers = publishers;
    limits_new(&gateway->limits);
    checks_new(&gateway->checks, demo, gateway->limits.accounts);
    reqbus_error *error = NULL;
    reqbus_status status = reqbus_pool_new(NULL, &gateway->pool, &error);
    if (status != REQBUS_OK) {
        fail_call(demo, "reqbus_pool_new", status, error);
        return false;
    }
    for (size_t i = 0; i < WORKERS; i++)
        if (!worker_new(&gateway->workers[i], gateway)) return false;
    return true;
}

/* How many of its threads run; all, or the system refused one. */
static size_t gateway_start(struct gateway *gateway) {
    size_t running = 0;
    checks_start(&gateway->checks);
    while (running < WORKERS &&
           pthread_create(&gateway->workers[running].thread, NULL, worker_run, &gateway->workers[running]) == 0)
        running++;
    return running;
}

/* Waits until every request has ended, and then every check. */
static void gateway_join(struct gateway *gateway, size_t running) {
    for (size_t i = 0; i < running; i++) pthread_join(gateway->workers[i].thread, NULL);
    checks_join(&gateway->checks);
}

static void gateway_free(struct gateway *gateway) {
    for (size_t i = 0; i < WORKERS; i++) {
        struct worker *worker = &gateway->workers[i];
        reqbus_bell_free(&worker->bell);
        agenda_free(&worker->agenda);
        free(worker->visits);
        free(worker->tally.waits_ns);
    }
    checks_free(&gateway->checks);
    reqbus_pool_free(&gateway->pool);
}

#endif
