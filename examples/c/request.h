/* What a row of the trace becomes. The trace has times and token counts; the rest is derived from the row, the same in
 * every run. */
#ifndef REQUEST_H
#define REQUEST_H

#include "limits.h"

enum { PATIENCE_S = 30 }; /* how long most requests may wait for their slots */

/* Times are the trace's. */
struct request {
    size_t user, account; /* from 0 */
    uint64_t service_ns;  /* how long it is served, once it has its slots */
    uint64_t patience_ns; /* how long it may wait for them; 0 if it would rather be refused at once */
    uint64_t leaves_ns;   /* when its client goes away, counted from its arrival; UINT64_MAX if it stays */
    bool fails;           /* upstream */
};

/* The event that tells of a finished request. The texts live here; `event` points to them. */
struct message {
    reqbus_request_event event;
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

static uint64_t hash_of_row(const struct trace *trace, size_t index) {
    return mixed(trace->rows[index].at_ns ^ (uint64_t)index << 40);
}

static struct request request_of_row(const struct trace *trace, size_t index) {
    const uint64_t ms = 1000000, second = 1000 * ms;
    uint64_t hash = hash_of_row(trace, index), more = mixed(hash);
    uint64_t patience = more % 100, loyalty = (more >> 8) % 100;
    return (struct request){
        /* Every fourth request is of one of a few users who ask for more than they may have at once. */
        .user = hash % 4 == 0 ? (hash >> 16) % BUSY_USERS : BUSY_USERS + (hash >> 16) % (USERS - BUSY_USERS),
        .account = (hash >> 32) % ACCOUNTS,
        .service_ns = (trace->rows[index].output_tokens + 1) * 20 * ms,
        .patience_ns = patience < 5 ? 0 : patience < 20 ? 4 * second : PATIENCE_S * second,
        .leaves_ns = loyalty < 6 ? (more >> 16) % (8 * second) : UINT64_MAX,
        .fails = (hash >> 8) % 100 < 3,
    };
}

/* What is published of a request that has ended. */
static void message_of_row(const struct trace *trace, const struct limits *limits, size_t index,
                           reqbus_request_status ended, int64_t latency_ms, struct message *message) {
    static const char *const models[] = {"claude-haiku", "claude-sonnet", "claude-opus", "gpt-large", "gpt-small"};
    const struct row *row = &trace->rows[index];
    const struct request request = request_of_row(trace, index);
    const struct limited *user = &limits->users[request.user];
    const char *model = models[hash_of_row(trace, index) / 4 % (sizeof models / sizeof models[0])];

    int extra_len = snprintf(message->extra, sizeof message->extra,
                             "{\"input_tokens\":%" PRIu32 ",\"output_tokens\":%" PRIu32 "}", row->input_tokens,
                             row->output_tokens);
    message->event = (reqbus_request_event){
        .size = sizeof message->event,
        .method = "POST",
        .method_len = strlen("POST"),
        .path = "/v1/messages",
        .path_len = strlen("/v1/messages"),
        .model = model,
        .model_len = strlen(model),
        .account_id = (int64_t)request.account + 1,
        .latency_ms = latency_ms,
        .status = ended,
        .timestamp_ns = row->at_ns,
        .key = user->key.id,
        .key_len = user->key.id_len,
        .extra = message->extra,
        .extra_len = (size_t)extra_len,
    };
}

#endif
