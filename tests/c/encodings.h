/* The texts of tests/conformance/encodings.json. Only conformance.c includes it. */

static const char *const FORMS[] = {"json", "envelope", "ndjson", "sse"};

/* Compares the one text of the batch with field `form` of `l`, with `id` in the place of the case's id. */
static void same_text(const line *l, const char *form, const char *id, size_t id_len) {
    reqbus_texts texts;
    INIT(texts);
    OK(reqbus_batch_texts(batch, &texts));
    HOLDS(texts.count == 1 && texts.ends[0] == texts.buffer_len);
    const field *want = need(l, form), *old = find(l, "id");
    char *text = (char *)malloc(want->len * 3 + 1); /* an id grows at most from 18 to 37 bytes */
    size_t n = 0;
    for (size_t i = 0; i < want->len;) {
        if (old != NULL && want->len - i >= old->len && memcmp(want->text + i, old->text, old->len) == 0) {
            memcpy(text + n, id, id_len);
            n += id_len;
            i += old->len;
        } else {
            text[n++] = want->text[i++];
        }
    }
    if (n != texts.buffer_len || memcmp(text, texts.buffer, n) != 0) {
        fprintf(stderr, "case %s, form %s: wanted\n%.*s\ngot\n%.*s\n", case_name, form, (int)n, text,
                (int)texts.buffer_len, texts.buffer);
        exit(1);
    }
    free(text);
}

static reqbus_request_event request_of(const line *l) {
    reqbus_request_event event;
    INIT(event);
    event.method = need(l, "method")->text;
    event.method_len = need(l, "method")->len;
    event.path = need(l, "path")->text;
    event.path_len = need(l, "path")->len;
    event.model = need(l, "model")->text;
    event.model_len = need(l, "model")->len;
    event.account_id = number(l, "account_id");
    event.latency_ms = number(l, "latency_ms");
    event.status = (uint32_t)number(l, "status");
    event.key = need(l, "key")->text;
    event.key_len = need(l, "key")->len;
    if (find(l, "extra") != NULL) {
        event.extra = find(l, "extra")->text;
        event.extra_len = find(l, "extra")->len;
    }
    event.timestamp_ns = (uint64_t)number(l, "time");
    event.flags = REQBUS_EVENT_TIME_SET;
    return event;
}

static void name_case(const line *l) {
    const field *name = need(l, "name");
    snprintf(case_name, sizeof case_name, "%.*s", (int)name->len, name->text);
    cases_run++;
}

static void encoding(const line *l) {
    name_case(l);
    reqbus_bus *own = new_bus();
    reqbus_subscription *sub[4];
    for (uint32_t form = 0; form < 4; form++) sub[form] = subscribe(own, NULL);
    reqbus_id id;
    if (number(l, "sort") == REQBUS_PAYLOAD_REQUEST) {
        reqbus_request_event event = request_of(l);
        OK(reqbus_bus_publish_request_id(own, &event, &id, NULL));
    } else {
        reqbus_new_event event = event_of(l);
        event.timestamp_ns = (uint64_t)number(l, "time");
        event.flags = REQBUS_EVENT_TIME_SET;
        OK(reqbus_bus_publish(own, &event, &id, NULL));
    }
    char text[REQBUS_ID_TEXT_MAX];
    size_t len;
    OK(reqbus_id_format(&id, text, sizeof text, &len));
    for (uint32_t form = 0; form < 4; form++) {
        OK(reqbus_subscription_recv_texts(sub[form], batch, form, MANY, BYTES, 0));
        same_text(l, FORMS[form], text, len);
        reqbus_subscription_free(&sub[form]);
    }
    reqbus_bus_free(&own);
}

static void status_encoding(const line *l) {
    name_case(l);
    reqbus_bus *own = new_bus();
    const field *source = need(l, "source"), *state = need(l, "state"), *detail = need(l, "detail");
    reqbus_status status = reqbus_bus_set_status(own, source->text, source->len, state->text,
                                                 state->len, detail->text, detail->len, NULL);
    /* Some cases are there for the writer alone: no bus takes such a status. */
    int refused = status != REQBUS_OK || same(state->text, state->len, "gone");
    for (uint32_t form = 0; form < 4 && !refused; form++) {
        reqbus_subscription *sub = subscribe(own, NULL);
        OK(reqbus_subscription_recv_texts(sub, batch, form, MANY, BYTES, 0));
        same_text(l, FORMS[form], "", 0);
        reqbus_subscription_free(&sub);
    }
    reqbus_bus_free(&own);
}
