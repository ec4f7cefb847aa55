/* The steps that read and compare. Only conformance.c includes it. */

/* What is left to be compared, across batches. */
typedef struct {
    size_t at; /* in the batch */
    reqbus_subscription *sub;
    reqbus_status last; /* what the last read said */
    size_t max_items, max_bytes;
    int once, reads;
    long long form; /* -1: items, no texts */
    uint64_t settled; /* of the last batch that held something */
} stream;

/* Whether there is one more in the batch, reading the next batch if need be. */
static int more(stream *s) {
    while (s->at == reqbus_batch_len(batch)) {
        if (s->once && s->reads > 0) return 0;
        s->last = s->form < 0 ? reqbus_subscription_recv(s->sub, batch, s->max_items, s->max_bytes, 0)
                              : reqbus_subscription_recv_texts(s->sub, batch, (uint32_t)s->form,
                                                               s->max_items, s->max_bytes, 0);
        s->reads++;
        s->at = 0;
        if (s->last != REQBUS_OK) return 0;
        reqbus_id id;
        OK(reqbus_batch_settled(batch, &id));
        s->settled = id.seq;
    }
    return 1;
}

/* The next item; 0 when there is none. */
static int next_item(stream *s, reqbus_item *item) {
    if (!more(s)) return 0;
    *item = item_at(batch, s->at++);
    return 1;
}

/* Compares two texts, `wanted` with its epochs filled in. */
static void same_words(const field *wanted, const char *text, size_t len) {
    size_t want_len;
    char *want = fill_in(wanted, &want_len);
    if (len != want_len || memcmp(want, text, len) != 0) {
        fprintf(stderr, "case %s: wanted\n%.*s\ngot\n%.*s\n", case_name, (int)want_len, want, (int)len, text);
        exit(1);
    }
    free(want);
}

static void next_text(stream *s, const field *wanted) {
    HOLDS(more(s));
    reqbus_texts texts;
    INIT(texts);
    OK(reqbus_batch_texts(batch, &texts));
    HOLDS(texts.count == reqbus_batch_len(batch));
    size_t start = s->at == 0 ? 0 : texts.ends[s->at - 1];
    same_words(wanted, texts.buffer + start, texts.ends[s->at] - start);
    s->at++;
}

static void same_event(const line *l, const reqbus_item *item, long long seq) {
    uint64_t epoch = 0;
    OK(reqbus_bus_epoch(bus, &epoch));
    HOLDS(item->tag == REQBUS_ITEM_EVENT);
    HOLDS(item->id.epoch == epoch && item->id.seq == (uint64_t)seq);
    const field *n = find(l, "n");
    HOLDS(n == NULL || item->n == (uint64_t)(n->number + seq - number(l, "first")));
    HOLDS(text_holds(l, "kind", item->kind, item->kind_len));
    HOLDS(text_holds(l, "key", item->key, item->key_len));
    HOLDS(number_holds(l, "sort", item->payload_sort));
    HOLDS(text_holds(l, "payload", item->payload, item->payload_len));
}

/* Compares the next item, or row of events, with a line of cases.py. */
static void same_item(stream *s, const line *want) {
    reqbus_item item;
    if (is_word(want, "text")) {
        next_text(s, need(want, "text"));
        return;
    }
    if (is_word(want, "item.event")) {
        for (long long seq = number(want, "first"); seq <= number(want, "last"); seq++) {
            HOLDS(next_item(s, &item));
            same_event(want, &item, seq);
        }
        return;
    }
    HOLDS(next_item(s, &item));
    if (is_word(want, "item.lost")) {
        HOLDS(item.tag == REQBUS_ITEM_LOST);
        HOLDS(number_holds(want, "missed", item.missed));
        HOLDS(number_holds(want, "next_n", item.next_n));
        HOLDS(text_holds(want, "reason", item.reason_name, item.reason_name_len));
    } else if (is_word(want, "item.resync")) {
        HOLDS(item.tag == REQBUS_ITEM_RESYNC);
        HOLDS(number_holds(want, "head", item.id.seq));
        HOLDS(text_holds(want, "reason", item.reason_name, item.reason_name_len));
    } else {
        HOLDS(is_word(want, "item.status") && item.tag == REQBUS_ITEM_STATUS);
        HOLDS(text_holds(want, "source", item.source, item.source_len));
        HOLDS(text_holds(want, "state", item.state, item.state_len));
        HOLDS(text_holds(want, "detail", item.detail, item.detail_len));
    }
}

static void recv_items(const line *l, FILE *from) {
    stream s;
    memset(&s, 0, sizeof s);
    OK(reqbus_batch_clear(batch));
    s.sub = sub_of(l, "from")->sub;
    s.form = find(l, "form") ? number(l, "form") : -1;
    s.once = (int)number(l, "limited");
    s.max_items = find(l, "max_items") ? (size_t)number(l, "max_items") : 256;
    s.max_bytes = find(l, "max_bytes") ? (size_t)number(l, "max_bytes") : (size_t)BYTES;
    line want;
    memset(&want, 0, sizeof want);
    for (long long left = number(l, "count"); left > 0; left--) {
        HOLDS(next_line(from, &want));
        same_item(&s, &want);
    }
    free(want.buffer);
    HOLDS(!more(&s));
    HOLDS(number_holds(l, "settled", s.settled));
    if (!s.once) HOLDS(s.last == (number(l, "closed") ? REQBUS_CLOSED : REQBUS_TIMEOUT));
}

static void heartbeat(const line *l) {
    char text[128];
    size_t len = 0;
    OK(reqbus_subscription_heartbeat(sub_of(l, "of")->sub, (uint32_t)number(l, "form"), text, sizeof text, &len));
    same_words(need(l, "text"), text, len);
}

static void stats(const line *l) {
    reqbus_subscription_stats s = stats_of(sub_of(l, "of")->sub);
    HOLDS(number_holds(l, "matched", s.matched) && number_holds(l, "delivered", s.delivered));
    HOLDS(number_holds(l, "lost_full", s.lost_full) && number_holds(l, "lost_window", s.lost_window));
    HOLDS(number_holds(l, "lost_evicted", s.lost_evicted) && number_holds(l, "pending", s.pending));
    HOLDS(number_holds(l, "resyncs", s.resyncs) && adds_up(&s));
}

static void totals(const line *l) {
    reqbus_bus_stats s;
    INIT(s);
    OK(reqbus_bus_get_stats(bus, &s));
    HOLDS(number_holds(l, "matched", s.matched) && number_holds(l, "delivered", s.delivered));
    HOLDS(number_holds(l, "lost_full", s.lost_full) && number_holds(l, "lost_window", s.lost_window));
    HOLDS(number_holds(l, "lost_evicted", s.lost_evicted) && number_holds(l, "pending", s.pending));
    HOLDS(number_holds(l, "abandoned", s.abandoned) && number_holds(l, "subscriptions", s.subscriptions));
    HOLDS(s.matched ==
          s.delivered + s.lost_full + s.lost_window + s.lost_evicted + s.pending + s.abandoned);
}

static void consumers(const line *l, FILE *from) {
    reqbus_consumers *all = NULL;
    OK(reqbus_bus_consumers(bus, &all, NULL));
    HOLDS(number_holds(l, "count", reqbus_consumers_len(all)));
    line want;
    memset(&want, 0, sizeof want);
    for (size_t i = 0; i < reqbus_consumers_len(all); i++) {
        HOLDS(next_line(from, &want) && is_word(&want, "consumer"));
        reqbus_consumer c;
        INIT(c);
        OK(reqbus_consumers_item(all, i, &c));
        HOLDS(text_holds(&want, "label", c.label, c.label_len) && number_holds(&want, "pid", c.pid));
        HOLDS(text_holds(&want, "audience", c.audience, c.audience_len));
        HOLDS(number_holds(&want, "overflow", c.overflow) && number_holds(&want, "closed", c.closed));
        HOLDS(number_holds(&want, "matched", c.matched) && number_holds(&want, "delivered", c.delivered));
        HOLDS(number_holds(&want, "lost", c.lost_full + c.lost_window + c.lost_evicted));
        HOLDS(number_holds(&want, "pending", c.pending));
    }
    free(want.buffer);
    OK(reqbus_consumers_free(&all));
}
