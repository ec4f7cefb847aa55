/* The feed: four threads that publish the rows of the trace at their scaled arrival times. */
#ifndef FEED_H
#define FEED_H

#include "demo.h"

struct publisher {
    struct demo *demo;
    size_t first; /* its rows are this one and every PUBLISHERS-th after it, so each thread keeps the order */
    pthread_t thread;
    size_t published;
    uint64_t ended_ns;  /* after its last call */
    uint64_t *took_ns;  /* of each publish call */
    uint64_t *seq;      /* that each got */
    uint64_t *content;  /* of each event, see content_of */
    char trouble[SENTENCE]; /* breach of B3 that a publisher sees; empty for none */
};

/* What a row becomes. The texts live here; `event` points to them. */
struct request {
    reqbus_request_event event;
    char key[24];
    char extra[80];
};

static uint64_t mixed(uint64_t value) { /* splitmix64 */
    value += 0x9e3779b97f4a7c15u;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
}

static uint64_t mixed_text(uint64_t seed, const char *text, size_t len) { /* FNV-1a */
    for (size_t i = 0; i < len; i++) seed = (seed ^ (unsigned char)text[i]) * 0x100000001b3u;
    return mixed(seed ^ len);
}

/* A number for the whole content of an event, to compare what was read with what was published. */
static uint64_t content_of(const reqbus_request_event *event) {
    uint64_t hash = mixed(event->timestamp_ns ^ event->status);
    hash = mixed(hash ^ (uint64_t)event->account_id);
    hash = mixed(hash ^ (uint64_t)event->latency_ms);
    hash = mixed_text(hash, event->method, event->method_len);
    hash = mixed_text(hash, event->path, event->path_len);
    hash = mixed_text(hash, event->model, event->model_len);
    hash = mixed_text(hash, event->key, event->key_len);
    return mixed_text(hash, event->extra, event->extra_len);
}

/* The trace has times and token counts; the rest is derived from the row, the same in every run. */
static void request_of_row(const struct trace *trace, size_t index, struct request *request) {
    static const char *const models[] = {"claude-haiku", "claude-sonnet", "claude-opus", "gpt-large", "gpt-small"};
    const struct row *row = &trace->rows[index];
    uint64_t hash = mixed(row->at_ns ^ (uint64_t)index << 40);
    const char *model = models[hash % (sizeof models / sizeof models[0])];
    uint64_t percent = (hash >> 8) % 100;

    int key_len = snprintf(request->key, sizeof request->key, "user-%" PRIu64, (hash >> 16) % 200 + 1);
    int extra_len = snprintf(request->extra, sizeof request->extra,
                             "{\"input_tokens\":%" PRIu32 ",\"output_tokens\":%" PRIu32 "}", row->input_tokens,
                             row->output_tokens);
    request->event = (reqbus_request_event){
        .size = sizeof request->event,
        .method = "POST",
        .method_len = strlen("POST"),
        .path = "/v1/messages",
        .path_len = strlen("/v1/messages"),
        .model = model,
        .model_len = strlen(model),
        .account_id = (int64_t)((hash >> 32) % 12 + 1),
        .latency_ms = (int64_t)row->output_tokens * 20,
        .status = percent < 3   ? REQBUS_REQUEST_ERROR
                  : percent < 8 ? REQBUS_REQUEST_RATE_LIMITED
                                : REQBUS_REQUEST_SUCCESS,
        .timestamp_ns = row->at_ns,
        .key = request->key,
        .key_len = (size_t)key_len,
        .extra = request->extra,
        .extra_len = (size_t)extra_len,
    };
}

static void *publisher_run(void *argument) {
    struct publisher *publisher = argument;
    struct demo *demo = publisher->demo;
    const struct trace *trace = &demo->trace;
    uint64_t last_seq = 0;
    for (size_t index = publisher->first; index < trace->len; index += PUBLISHERS) {
        uint64_t after_ns = trace->rows[index].at_ns - trace->rows[0].at_ns;
        sleep_until(demo, demo->started_ns + scaled_ns(demo, after_ns), NULL);
        if (atomic_load(&demo->stopping)) break;

        struct request request;
        request_of_row(trace, index, &request);
        reqbus_id id;
        reqbus_error *error = NULL;
        uint64_t before = now_ns();
        reqbus_status status = reqbus_bus_publish_request_id(demo->bus, &request.event, &id, &error);
        uint64_t after = now_ns();
        if (status != REQBUS_OK) {
            fail_call(demo, "reqbus_bus_publish_request_id", status, error);
            break;
        }
        if (id.seq <= last_seq && publisher->trouble[0] == '\0')
            say_into(publisher->trouble, "publisher %zu got seq %" PRIu64 " after %" PRIu64, publisher->first + 1,
                     id.seq, last_seq);
        last_seq = id.seq;
        publisher->took_ns[publisher->published] = after - before;
        publisher->seq[publisher->published] = id.seq;
        publisher->content[publisher->published] = content_of(&request.event);
        publisher->published++;
        publisher->ended_ns = after;
        atomic_fetch_add_explicit(&demo->published, 1, memory_order_relaxed);
    }
    return NULL;
}

static bool publisher_new(struct publisher *publisher, struct demo *demo, size_t first) {
    *publisher = (struct publisher){.demo = demo, .first = first};
    size_t rows = demo->trace.len / PUBLISHERS + 1;
    publisher->took_ns = calloc(rows, sizeof *publisher->took_ns);
    publisher->seq = calloc(rows, sizeof *publisher->seq);
    publisher->content = calloc(rows, sizeof *publisher->content);
    return publisher->took_ns != NULL && publisher->seq != NULL && publisher->content != NULL;
}

static void publisher_free(struct publisher *publisher) {
    free(publisher->took_ns);
    free(publisher->seq);
    free(publisher->content);
}

#endif
