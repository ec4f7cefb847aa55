/* The feed: four threads that publish each request when it has ended. */
#ifndef FEED_H
#define FEED_H

#include "request.h"

/* A request that has ended, on its way to its publisher. */
struct ended {
    size_t row;
    reqbus_request_status status;
    int64_t latency_ms; /* of the trace */
};

struct publisher {
    struct demo *demo;
    const struct limits *limits;
    size_t number; /* its rows are this one and every PUBLISHERS-th after it */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct ended *inbox; /* with room for all its rows */
    size_t handed;       /* in the inbox, under the lock */
    bool is_last;        /* no more will be handed over, under the lock */
    size_t published;    /* of these */
    uint64_t ended_ns;   /* after its last call */
    uint64_t *took_ns;   /* of each publish call */
    uint64_t *seq;       /* that each got */
    uint64_t *content;   /* of each event, see content_of */
    char trouble[SENTENCE]; /* breach of B3 that a publisher sees; empty for none */
};

/* Hands over a request that has ended, from any thread. */
static void publisher_hand(struct publisher *publishers, struct ended ended) {
    struct publisher *publisher = &publishers[ended.row % PUBLISHERS];
    pthread_mutex_lock(&publisher->lock);
    publisher->inbox[publisher->handed++] = ended;
    pthread_cond_signal(&publisher->more);
    pthread_mutex_unlock(&publisher->lock);
}

/* Nothing more will be handed over. */
static void publisher_finish(struct publisher *publisher) {
    pthread_mutex_lock(&publisher->lock);
    publisher->is_last = true;
    pthread_cond_signal(&publisher->more);
    pthread_mutex_unlock(&publisher->lock);
}

/* Waits for the next request that ended; false after the last. */
static bool publisher_next(struct publisher *publisher, struct ended *ended) {
    pthread_mutex_lock(&publisher->lock);
    while (publisher->published == publisher->handed && !publisher->is_last)
        pthread_cond_wait(&publisher->more, &publisher->lock);
    bool is_there = publisher->published < publisher->handed;
    if (is_there) *ended = publisher->inbox[publisher->published];
    pthread_mutex_unlock(&publisher->lock);
    return is_there;
}

static void *publisher_run(void *argument) {
    struct publisher *publisher = argument;
    struct demo *demo = publisher->demo;
    uint64_t last_seq = 0;
    struct ended ended;
    while (publisher_next(publisher, &ended)) {
        struct message message;
        message_of_row(&demo->trace, publisher->limits, ended.row, ended.status, ended.latency_ms, &message);
        reqbus_id id;
        reqbus_error *error = NULL;
        uint64_t before = now_ns();
        reqbus_status status = reqbus_bus_publish_request_id(demo->bus, &message.event, &id, &error);
        uint64_t after = now_ns();
        if (status != REQBUS_OK) {
            fail_call(demo, "reqbus_bus_publish_request_id", status, error);
            break;
        }
        if (id.seq <= last_seq && publisher->trouble[0] == '\0')
            say_into(publisher->trouble, "publisher %zu got seq %" PRIu64 " after %" PRIu64, publisher->number + 1,
                     id.seq, last_seq);
        last_seq = id.seq;
        publisher->took_ns[publisher->published] = after - before;
        publisher->seq[publisher->published] = id.seq;
        publisher->content[publisher->published] = content_of(&message.event);
        publisher->published++;
        publisher->ended_ns = after;
        atomic_fetch_add_explicit(&demo->published, 1, memory_order_relaxed);
    }
    return NULL;
}

static bool publisher_new(struct publisher *publisher, struct demo *demo, const struct limits *limits, size_t number) {
    *publisher = (struct publisher){.demo = demo, .limits = limits, .number = number};
    pthread_mutex_init(&publisher->lock, NULL);
    pthread_cond_init(&publisher->more, NULL);
    size_t rows = demo->trace.len / PUBLISHERS + 1;
    publisher->inbox = calloc(rows, sizeof *publisher->inbox);
    publisher->took_ns = calloc(rows, sizeof *publisher->took_ns);
    publisher->seq = calloc(rows, sizeof *publisher->seq);
    publisher->content = calloc(rows, sizeof *publisher->content);
    return publisher->inbox != NULL && publisher->took_ns != NULL && publisher->seq != NULL &&
           publisher->content != NULL;
}

static void publisher_free(struct publisher *publisher) {
    if (publisher->demo == NULL) return; /* never made */
    free(publisher->inbox);
    free(publisher->took_ns);
    free(publisher->seq);
    free(publisher->content);
    pthread_cond_destroy(&publisher->more);
    pthread_mutex_destroy(&publisher->lock);
}

#endif
