/* What the Go files call: each one call into C for what would be several, with Go strings as plain arguments, so that
 * no Go memory that holds Go pointers is ever passed. Nothing here keeps a pointer of its caller. */
#ifndef REQBUS_GO_SHIM_H
#define REQBUS_GO_SHIM_H

#include <reqbus.h>
#include <stdlib.h>
#include <string.h>

#if REQBUS_ABI_VERSION != 0
#error "this version of the Go package reqbus is for interface 0 of libreqbus; install a libreqbus and a package that agree"
#endif

/* Texts of a call come packed: one behind the other in `bytes`, lens[i] bytes each. */
static inline reqbus_text rb_next(const char **at, const size_t **len) {
    reqbus_text text = {*at, **len};
    *at += **len;
    *len += 1;
    return text;
}

/* What a thread that serves `bell` by itself found ready there. */
enum { RB_TOKENS = 16 };
typedef struct rb_tokens {
    uint64_t token[RB_TOKENS];
    size_t count;
} rb_tokens;

static inline void rb_leave(reqbus_bell *bell, rb_tokens *tokens) {
    reqbus_bell_leave(bell, tokens->token, RB_TOKENS, &tokens->count);
}

/* ---- errors ---- */

/* An error as Go reads it: copied out and freed in two calls. */
static inline void rb_error_texts(const reqbus_error *error, reqbus_text *message, reqbus_text *context) {
    message->ptr = reqbus_error_message(error, &message->len);
    context->ptr = reqbus_error_context(error, &context->len);
}

/* ---- bus ---- */

static inline reqbus_status rb_publish_request(reqbus_bus *bus, const char *method, size_t method_len, const char *path,
                                               size_t path_len, const char *model, size_t model_len, int64_t account_id,
                                               int64_t latency_ms, uint32_t status, uint32_t flags, uint64_t time_ns,
                                               const char *key, size_t key_len, const char *extra, size_t extra_len) {
    reqbus_request_event e = {.size = sizeof e, .method = method, .method_len = method_len, .path = path,
                              .path_len = path_len, .model = model, .model_len = model_len, .account_id = account_id,
                              .latency_ms = latency_ms, .status = status, .flags = flags, .timestamp_ns = time_ns,
                              .key = key, .key_len = key_len, .extra = extra, .extra_len = extra_len};
    return reqbus_bus_publish_request(bus, &e);
}

static inline reqbus_status rb_publish_request_id(reqbus_bus *bus, const char *method, size_t method_len,
                                                  const char *path, size_t path_len, const char *model,
                                                  size_t model_len, int64_t account_id, int64_t latency_ms,
                                                  uint32_t status, uint32_t flags, uint64_t time_ns, const char *key,
                                                  size_t key_len, const char *extra, size_t extra_len, reqbus_id *id,
                                                  reqbus_error **error) {
    reqbus_request_event e = {.size = sizeof e, .method = method, .method_len = method_len, .path = path,
                              .path_len = path_len, .model = model, .model_len = model_len, .account_id = account_id,
                              .latency_ms = latency_ms, .status = status, .flags = flags, .timestamp_ns = time_ns,
                              .key = key, .key_len = key_len, .extra = extra, .extra_len = extra_len};
    return reqbus_bus_publish_request_id(bus, &e, id, error);
}

static inline reqbus_status rb_publish(reqbus_bus *bus, const char *kind, size_t kind_len, const char *key,
                                       size_t key_len, const void *payload, size_t payload_len, uint32_t sort,
                                       uint32_t flags, uint64_t time_ns, reqbus_id *id, reqbus_error **error) {
    reqbus_new_event e = {.size = sizeof e, .kind = kind, .kind_len = kind_len, .key = key, .key_len = key_len,
                          .payload = payload, .payload_len = payload_len, .payload_sort = sort, .flags = flags,
                          .timestamp_ns = time_ns};
    return reqbus_bus_publish(bus, &e, id, error);
}

/* Of each event: kind, key and payload in `bytes`; sort and flags in `words`; its time in `times`. */
static inline reqbus_status rb_publish_many(reqbus_bus *bus, const char *bytes, const size_t *lens,
                                            const uint32_t *words, const uint64_t *times, size_t count, reqbus_id *last,
                                            reqbus_error **error) {
    reqbus_new_event *events = calloc(count ? count : 1, sizeof *events);
    if (!events) return REQBUS_SYSTEM;
    for (size_t i = 0; i < count; i++) {
        reqbus_text kind = rb_next(&bytes, &lens), key = rb_next(&bytes, &lens), payload = rb_next(&bytes, &lens);
        events[i] = (reqbus_new_event){.size = sizeof *events, .kind = kind.ptr, .kind_len = kind.len, .key = key.ptr,
                                       .key_len = key.len, .payload = payload.ptr, .payload_len = payload.len,
                                       .payload_sort = words[2 * i], .flags = words[2 * i + 1],
                                       .timestamp_ns = times[i]};
    }
    reqbus_status status = reqbus_bus_publish_many(bus, events, count, sizeof *events, last, error);
    free(events);
    return status;
}

/* ---- subscriptions ---- */

/* Plain values of a subscription's options; its texts are packed: after, label, audience, keys, kinds. */
typedef struct rb_subscribe {
    size_t keys, kinds, capacity, capacity_bytes;
    uint64_t audience_wait_ms;
    uint32_t start, overflow, pid, flags;
} rb_subscribe;

static inline reqbus_status rb_join(reqbus_bus *bus, const rb_subscribe *how, const char *bytes, const size_t *lens,
                                    reqbus_bell *bell, uint64_t token, reqbus_join **join, reqbus_subscription **sub,
                                    reqbus_error **error) {
    reqbus_text after = rb_next(&bytes, &lens), label = rb_next(&bytes, &lens), audience = rb_next(&bytes, &lens);
    size_t filters = how->keys + how->kinds;
    reqbus_text *texts = calloc(filters ? filters : 1, sizeof *texts);
    if (!texts) return REQBUS_SYSTEM;
    for (size_t i = 0; i < filters; i++) texts[i] = rb_next(&bytes, &lens);
    reqbus_subscribe_options o = {.size = sizeof o, .start = how->start, .overflow = how->overflow, .after = after.ptr,
                                  .after_len = after.len, .keys = texts, .keys_count = how->keys,
                                  .kinds = texts + how->keys, .kinds_count = how->kinds, .capacity = how->capacity,
                                  .capacity_bytes = how->capacity_bytes, .label = label.ptr, .label_len = label.len,
                                  .audience = audience.ptr, .audience_len = audience.len,
                                  .audience_wait_ms = how->audience_wait_ms, .pid = how->pid, .flags = how->flags};
    reqbus_status status = reqbus_bus_join(bus, &o, bell, token, join, error);
    free(texts);
    if (status == REQBUS_OK) status = reqbus_join_finish(*join, sub, error);
    if (status != REQBUS_TIMEOUT) reqbus_join_free(join);
    return status;
}

/* Where a read goes: a batch, and what Go looks at of it. Reused from read to read. */
typedef struct rb_reader {
    reqbus_batch *batch;
    reqbus_item *items;
    reqbus_request_event *requests; /* as many as there are request items, in their order */
    size_t room, len, events, texts, requests_len;
    reqbus_id settled;
    reqbus_texts text;
    rb_tokens tokens; /* of others, that came along with our own */
} rb_reader;

static inline rb_reader *rb_reader_new(void) {
    rb_reader *reader = calloc(1, sizeof *reader);
    if (reader && reqbus_batch_new(&reader->batch, NULL) != REQBUS_OK) {
        free(reader);
        reader = NULL;
    }
    return reader;
}

static inline int rb_reader_grow(rb_reader *reader, size_t len) {
    if (len <= reader->room) return 1;
    reqbus_item *items = realloc(reader->items, len * sizeof *items);
    if (items) reader->items = items;
    reqbus_request_event *requests = realloc(reader->requests, len * sizeof *requests);
    if (requests) reader->requests = requests;
    if (items && requests) reader->room = len;
    return items && requests;
}

/* Lets go of what was read. */
static inline void rb_reader_clear(rb_reader *reader) {
    reqbus_batch_clear(reader->batch);
    reader->len = reader->events = reader->texts = reader->requests_len = 0;
}

/* Rings `bell` under `token` from now on. The token is ready at once: taken here, it rings nobody. */
static inline void rb_attach(reqbus_subscription *sub, reqbus_bell *bell, uint64_t token, rb_tokens *tokens) {
    reqbus_bell_enter(bell);
    reqbus_subscription_attach(sub, bell, token);
    rb_leave(bell, tokens);
}

/* Tries once, and lays out what was read. A read that takes something leaves its token ready, for loops that may stop
 * there; ours looks again before it sleeps, so the token is taken back instead of rung. `bell` may be NULL. */
static inline reqbus_status rb_recv(reqbus_subscription *sub, rb_reader *reader, size_t max_items, size_t max_bytes,
                                    reqbus_bell *bell) {
    reader->tokens.count = 0;
    if (bell) reqbus_bell_enter(bell);
    reqbus_status status = reqbus_subscription_recv(sub, reader->batch, max_items, max_bytes, 0);
    if (bell) rb_leave(bell, &reader->tokens);
    reader->len = reader->events = reader->texts = reader->requests_len = 0;
    if (status != REQBUS_OK) return status;
    size_t len = reqbus_batch_len(reader->batch);
    if (!rb_reader_grow(reader, len)) return REQBUS_SYSTEM;
    for (size_t i = 0; i < len; i++) {
        reqbus_item *item = &reader->items[i];
        item->size = sizeof *item;
        reqbus_batch_item(reader->batch, i, item);
        if (item->tag == REQBUS_ITEM_EVENT) {
            reader->events++;
            reader->texts += item->kind_len + item->key_len + item->payload_len;
            if (item->payload_sort == REQBUS_PAYLOAD_REQUEST) {
                reqbus_request_event *request = &reader->requests[reader->requests_len++];
                request->size = sizeof *request;
                reqbus_batch_request(reader->batch, i, request);
                reader->texts += request->method_len + request->path_len + request->model_len + request->extra_len;
            }
        } else {
            reader->texts += item->source_len + item->state_len + item->detail_len;
        }
    }
    reader->len = len;
    reqbus_batch_settled(reader->batch, &reader->settled);
    return status;
}

static inline reqbus_status rb_recv_texts(reqbus_subscription *sub, rb_reader *reader, uint32_t form, size_t max_items,
                                          size_t max_bytes, reqbus_bell *bell) {
    reader->tokens.count = 0;
    if (bell) reqbus_bell_enter(bell);
    reqbus_status status = reqbus_subscription_recv_texts(sub, reader->batch, form, max_items, max_bytes, 0);
    if (bell) rb_leave(bell, &reader->tokens);
    reader->text = (reqbus_texts){.size = sizeof reader->text};
    if (status != REQBUS_OK) return status;
    reqbus_batch_texts(reader->batch, &reader->text);
    reqbus_batch_settled(reader->batch, &reader->settled);
    return status;
}

/* ---- listings ---- */

static inline void rb_consumer(const reqbus_consumers *list, size_t at, reqbus_consumer *consumer) {
    consumer->size = sizeof *consumer;
    reqbus_consumers_item(list, at, consumer);
}

static inline void rb_consumer_text(const reqbus_consumers *list, size_t at, size_t number, int is_kind,
                                    reqbus_text *text) {
    if (is_kind)
        reqbus_consumers_kind(list, at, number, text);
    else
        reqbus_consumers_key(list, at, number, text);
}

static inline void rb_holder(const reqbus_holders *list, size_t at, reqbus_holder *holder) {
    holder->size = sizeof *holder;
    reqbus_holders_item(list, at, holder);
}

/* ---- slots ---- */

/* What a call about slots came to; what is not there is NULL. `refusal` is malloc'ed. */
typedef struct rb_out {
    reqbus_slot *slot;
    reqbus_wait *wait;
    reqbus_refusal *refusal;
    reqbus_error *error;
    size_t which;
} rb_out;

static inline void rb_refused(rb_out *out, const reqbus_refusal *refusal) {
    if (refusal->outcome == REQBUS_OUTCOME_NONE) return;
    out->refusal = malloc(sizeof *refusal);
    if (out->refusal) *out->refusal = *refusal;
}

typedef struct rb_wait_how {
    int64_t timeout_ms;
    uint64_t ping_every_ms;
    uint32_t max_waiting, flags;
} rb_wait_how;

static inline reqbus_wait_options rb_wait_options(const rb_wait_how *how, const char *label, size_t label_len) {
    return (reqbus_wait_options){.size = sizeof(reqbus_wait_options), .label = label, .label_len = label_len,
                                 .timeout_ms = how->timeout_ms, .ping_every_ms = how->ping_every_ms,
                                 .max_waiting = how->max_waiting, .flags = how->flags};
}

/* The common call: one key, all defaults. What it came to is returned, so that no pointer has to be checked. */
typedef struct rb_begun {
    reqbus_slot *slot;
    reqbus_wait *wait;
    reqbus_error *error;
    reqbus_status status;
} rb_begun;

static inline rb_begun rb_acquire_one(reqbus_pool *pool, const char *scope, size_t scope_len, const char *id,
                                      size_t id_len, int64_t limit) {
    reqbus_ask ask = {{scope, scope_len, id, id_len}, limit};
    rb_begun begun;
    begun.status = reqbus_pool_acquire(pool, &ask, 1, NULL, &begun.slot, &begun.wait, &begun.error);
    return begun;
}

/* Keys, packed as scope, id, scope, id ... */
static inline reqbus_key *rb_keys(const char *bytes, const size_t *lens, size_t count) {
    reqbus_key *keys = calloc(count ? count : 1, sizeof *keys);
    for (size_t i = 0; keys && i < count; i++) {
        reqbus_text scope = rb_next(&bytes, &lens), id = rb_next(&bytes, &lens);
        keys[i] = (reqbus_key){scope.ptr, scope.len, id.ptr, id.len};
    }
    return keys;
}

static inline reqbus_ask *rb_asks(const char *bytes, const size_t *lens, const int64_t *limits, size_t count) {
    reqbus_ask *asks = calloc(count ? count : 1, sizeof *asks);
    for (size_t i = 0; asks && i < count; i++) {
        reqbus_text scope = rb_next(&bytes, &lens), id = rb_next(&bytes, &lens);
        asks[i] = (reqbus_ask){{scope.ptr, scope.len, id.ptr, id.len}, limits[i]};
    }
    return asks;
}

enum { RB_ACQUIRE, RB_WAIT, RB_TRY, RB_FIRST_OF, RB_ON_TOP };

static inline reqbus_status rb_ask(int what, reqbus_pool *pool, const char *bytes, const size_t *lens,
                                   const int64_t *limits, size_t count, const char *label, size_t label_len,
                                   const rb_wait_how *how, const reqbus_slot *on, rb_out *out) {
    reqbus_ask *asks = rb_asks(bytes, lens, limits, count);
    if (!asks) return REQBUS_SYSTEM;
    reqbus_refusal refusal = {.size = sizeof refusal};
    reqbus_status status = REQBUS_INVALID_ARGUMENT;
    reqbus_wait_options options;
    switch (what) {
    case RB_TRY:
        status = reqbus_pool_try_acquire(pool, asks, count, label, label_len, &out->slot, &refusal, &out->error);
        break;
    case RB_FIRST_OF:
        status = reqbus_pool_try_first_of(pool, asks, count, label, label_len, &out->which, &out->slot, &refusal,
                                          &out->error);
        break;
    case RB_ACQUIRE:
        options = rb_wait_options(how, label, label_len);
        status = reqbus_pool_acquire(pool, asks, count, &options, &out->slot, &out->wait, &out->error);
        break;
    case RB_WAIT:
        options = rb_wait_options(how, label, label_len);
        status = reqbus_pool_wait(pool, asks, count, &options, &out->wait, &out->error);
        break;
    case RB_ON_TOP:
        options = rb_wait_options(how, label, label_len);
        status = reqbus_pool_wait_on_top(pool, on, asks, count, &options, &out->wait, &out->error);
        break;
    }
    rb_refused(out, &refusal);
    free(asks);
    return status;
}

static inline reqbus_status rb_wait_next(reqbus_wait *wait, rb_out *out) {
    reqbus_refusal refusal = {.size = sizeof refusal};
    reqbus_status status = reqbus_wait_next(wait, 0, &out->slot, &refusal, &out->error);
    rb_refused(out, &refusal);
    return status;
}

/* Rings `bell` under `token` from now on. The token is ready at once: taken here, it rings nobody. */
static inline void rb_wait_attach(reqbus_wait *wait, reqbus_bell *bell, uint64_t token, rb_tokens *tokens) {
    reqbus_bell_enter(bell);
    reqbus_wait_attach(wait, bell, token);
    rb_leave(bell, tokens);
}

/* Frees the wait. What it had goes to the next, who is among the tokens. */
static inline void rb_wait_end(reqbus_wait *wait, reqbus_bell *bell, rb_tokens *tokens) {
    reqbus_bell_enter(bell);
    reqbus_wait_free(&wait);
    rb_leave(bell, tokens);
}

static inline reqbus_status rb_slot_end(reqbus_slot *slot) { return reqbus_slot_end(&slot); }

static inline reqbus_status rb_slot_end_ringing(reqbus_slot *slot, reqbus_bell *bell, rb_tokens *tokens) {
    reqbus_bell_enter(bell);
    reqbus_status status = rb_slot_end(slot);
    rb_leave(bell, tokens);
    return status;
}

/* ---- leaks ---- */

/* A leak that the library told, until Go takes it. The texts stand behind it: scope, id, label. */
typedef struct rb_leak {
    struct rb_leak *next;
    uint64_t age_ns;
    size_t scope_len, id_len, label_len;
    char texts[];
} rb_leak;

/* Held by the library, until it has nothing more to tell, and by Go. */
typedef struct rb_leaks {
    rb_leak *head;
    int users;
} rb_leaks;

static void rb_leaks_tell(void *ctx, const reqbus_leak *told) {
    rb_leaks *leaks = ctx;
    rb_leak *leak = malloc(sizeof *leak + told->scope_len + told->id_len + told->label_len);
    if (!leak) return;
    leak->age_ns = told->age_ns;
    leak->scope_len = told->scope_len;
    leak->id_len = told->id_len;
    leak->label_len = told->label_len;
    memcpy(leak->texts, told->scope, told->scope_len);
    memcpy(leak->texts + told->scope_len, told->id, told->id_len);
    if (told->label_len) memcpy(leak->texts + told->scope_len + told->id_len, told->label, told->label_len);
    leak->next = __atomic_load_n(&leaks->head, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&leaks->head, &leak->next, leak, 1, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
    }
}

static inline rb_leak *rb_leaks_take(rb_leaks *leaks) { return __atomic_exchange_n(&leaks->head, NULL, __ATOMIC_ACQUIRE); }

static void rb_leaks_drop(void *ctx) {
    rb_leaks *leaks = ctx;
    if (__atomic_sub_fetch(&leaks->users, 1, __ATOMIC_ACQ_REL)) return;
    for (rb_leak *leak = rb_leaks_take(leaks), *next; leak; leak = next) {
        next = leak->next;
        free(leak);
    }
    free(leaks);
}

static inline void rb_leaks_release(rb_leaks *leaks) { rb_leaks_drop(leaks); }

/* The options of a pool. `texts`: first, then last, packed. */
typedef struct rb_pool_how {
    size_t first, last;
    uint32_t processes;
    const reqbus_teller *teller;
    uint64_t held_long_ms;
} rb_pool_how;

typedef reqbus_status (*rb_pool_maker)(const reqbus_pool_options *, void *with, reqbus_pool **, reqbus_error **);

static inline reqbus_status rb_pool_plain(const reqbus_pool_options *options, void *with, reqbus_pool **pool,
                                          reqbus_error **error) {
    (void)with;
    return reqbus_pool_new(options, pool, error);
}

static inline reqbus_status rb_pool_new_with(rb_pool_maker make, void *with, const rb_pool_how *how, const char *bytes,
                                             const size_t *lens, reqbus_pool **pool, rb_leaks **leaks,
                                             reqbus_error **error) {
    size_t count = how->first + how->last;
    reqbus_text *texts = calloc(count ? count : 1, sizeof *texts);
    *leaks = calloc(1, sizeof **leaks);
    if (!texts || !*leaks) {
        free(texts);
        free(*leaks);
        return REQBUS_SYSTEM;
    }
    (*leaks)->users = 2;
    for (size_t i = 0; i < count; i++) texts[i] = rb_next(&bytes, &lens);
    reqbus_pool_options options = {.size = sizeof options, .first = texts, .first_count = how->first,
                                   .last = texts + how->first, .last_count = how->last, .processes = how->processes,
                                   .leak_sink = {*leaks, rb_leaks_tell, rb_leaks_drop},
                                   .teller = how->teller, .held_long_ms = how->held_long_ms};
    reqbus_status status = make(&options, with, pool, error);
    free(texts);
    if (status != REQBUS_OK) free(*leaks);
    return status;
}

static inline reqbus_status rb_pool_new(const rb_pool_how *how, const char *bytes, const size_t *lens,
                                        reqbus_pool **pool, rb_leaks **leaks, reqbus_error **error) {
    return rb_pool_new_with(rb_pool_plain, NULL, how, bytes, lens, pool, leaks, error);
}

/* ---- keys of a pool ---- */

enum { RB_SET_LIMIT, RB_CLEAR_LIMIT, RB_CLOSE_KEY, RB_OPEN_KEY, RB_FORCE };

/* Changes a key. Whom that gave a slot, or took one from, is among the tokens. */
static inline reqbus_status rb_change_key(int what, reqbus_pool *pool, const char *scope, size_t scope_len,
                                          const char *id, size_t id_len, int64_t number, int64_t timeout_ms,
                                          int32_t *was_held, reqbus_bell *bell, rb_tokens *tokens,
                                          reqbus_error **error) {
    reqbus_key key = {scope, scope_len, id, id_len};
    reqbus_status status = REQBUS_INVALID_ARGUMENT;
    if (timeout_ms == 0) reqbus_bell_enter(bell);
    switch (what) {
    case RB_SET_LIMIT: status = reqbus_pool_set_limit(pool, &key, number, timeout_ms, error); break;
    case RB_CLEAR_LIMIT: status = reqbus_pool_clear_limit(pool, &key, timeout_ms, error); break;
    case RB_CLOSE_KEY: status = reqbus_pool_close_key(pool, &key, timeout_ms, error); break;
    case RB_OPEN_KEY: status = reqbus_pool_open_key(pool, &key, timeout_ms, error); break;
    case RB_FORCE: status = reqbus_pool_force(pool, &key, (uint64_t)number, timeout_ms, was_held, error); break;
    }
    rb_leave(bell, tokens);
    return status;
}

static inline reqbus_status rb_load(reqbus_pool *pool, const char *bytes, const size_t *lens, size_t count,
                                    reqbus_load *loads, size_t *order, int64_t timeout_ms, reqbus_error **error) {
    reqbus_key *keys = rb_keys(bytes, lens, count);
    if (!keys) return REQBUS_SYSTEM;
    reqbus_status status = order ? reqbus_pool_order_by_load(pool, keys, count, order, timeout_ms, error)
                                 : reqbus_pool_load(pool, keys, count, loads, sizeof *loads, timeout_ms, error);
    free(keys);
    return status;
}

static inline reqbus_status rb_holders(reqbus_pool *pool, const char *scope, size_t scope_len, const char *id,
                                       size_t id_len, int64_t timeout_ms, reqbus_holders **holders,
                                       reqbus_error **error) {
    reqbus_key key = {scope, scope_len, id, id_len};
    return reqbus_pool_holders(pool, &key, timeout_ms, holders, error);
}

static inline reqbus_status rb_key_stats(reqbus_pool *pool, const char *scope, size_t scope_len, const char *id,
                                         size_t id_len, reqbus_slot_stats *stats) {
    reqbus_key key = {scope, scope_len, id, id_len};
    stats->size = sizeof *stats;
    return reqbus_pool_key_stats(pool, &key, stats);
}

/* ---- tellers ---- */

/* The options of a teller. Its texts are packed: kinds, then secret scopes. */
typedef struct rb_teller_how {
    size_t kinds, secrets;
    uint32_t flags;
} rb_teller_how;

static inline reqbus_status rb_teller_new(const reqbus_bus *bus, const rb_teller_how *how, const char *bytes,
                                          const size_t *lens, reqbus_teller **teller, reqbus_error **error) {
    size_t count = how->kinds + how->secrets;
    reqbus_text *texts = calloc(count ? count : 1, sizeof *texts);
    if (!texts) return REQBUS_SYSTEM;
    for (size_t i = 0; i < count; i++) texts[i] = rb_next(&bytes, &lens);
    reqbus_teller_options options = {.size = sizeof options, .kinds = texts, .kinds_count = how->kinds,
                                     .secret_scopes = texts + how->kinds, .secret_scopes_count = how->secrets,
                                     .flags = how->flags};
    reqbus_status status = reqbus_teller_new(bus, &options, teller, error);
    free(texts);
    return status;
}

/* ---- runners ---- */

/* Of each item: its id in `bytes`, and for how long it has been due. */
static inline reqbus_status rb_admit(reqbus_admission *admission, const char *bytes, const size_t *lens,
                                     const uint64_t *overdue_ms, size_t due_count, reqbus_permit **permits,
                                     size_t capacity, size_t *count, reqbus_error **error) {
    reqbus_due *due = calloc(due_count ? due_count : 1, sizeof *due);
    if (!due) return REQBUS_SYSTEM;
    for (size_t i = 0; i < due_count; i++) {
        reqbus_text id = rb_next(&bytes, &lens);
        due[i] = (reqbus_due){id.ptr, id.len, overdue_ms[i]};
    }
    reqbus_status status = reqbus_admission_admit(admission, due, due_count, permits, capacity, count, error);
    free(due);
    return status;
}

static inline void rb_flight(const reqbus_flights *list, size_t at, reqbus_flight *flight) {
    flight->size = sizeof *flight;
    reqbus_flights_item(list, at, flight);
}

#endif
