/* The steps that publish and subscribe. Only conformance.c includes it. */

enum { MOST_NAMES = 128 };

static void publish(const line *l) {
    reqbus_new_event event = event_of(l);
    for (long long i = number(l, "times"); i > 0; i--)
        expect(l, reqbus_bus_publish(bus, &event, NULL, NULL));
}

static void publish_many(const line *l, FILE *from) {
    size_t count = (size_t)number(l, "count");
    line lines[8];
    reqbus_new_event events[8];
    memset(events, 0, sizeof events);
    HOLDS(count <= 8);
    for (size_t i = 0; i < count; i++) {
        memset(&lines[i], 0, sizeof lines[i]);
        HOLDS(next_line(from, &lines[i]) && is_word(&lines[i], "event"));
        events[i] = event_of(&lines[i]);
    }
    expect(l, reqbus_bus_publish_many(bus, events, count, sizeof events[0], NULL, NULL));
    for (size_t i = 0; i < count; i++) free(lines[i].buffer);
}

static void publish_request(const line *l) {
    reqbus_request_event event = request_of(l);
    expect(l, reqbus_bus_publish_request_id(bus, &event, NULL, NULL));
}

static void do_subscribe(const line *l, FILE *from) {
    reqbus_subscribe_options how;
    INIT(how);
    how.start = (uint32_t)number(l, "start");
    how.overflow = (uint32_t)number(l, "overflow");
    how.capacity = (size_t)number(l, "capacity");
    how.capacity_bytes = (size_t)number(l, "capacity_bytes");
    how.audience = need(l, "audience")->text;
    how.audience_len = need(l, "audience")->len;
    char *after = fill_in(need(l, "after"), &how.after_len);
    how.after = after;
    how.keys_count = (size_t)number(l, "keys");
    how.kinds_count = (size_t)number(l, "kinds");
    how.label = need(l, "label")->text;
    how.label_len = need(l, "label")->len;
    how.pid = (uint32_t)number(l, "pid");
    how.flags = (uint32_t)number(l, "flags");
    line lines[MOST_NAMES];
    reqbus_text names[MOST_NAMES];
    size_t count = how.keys_count + how.kinds_count;
    HOLDS(count <= MOST_NAMES && subs_count < sizeof subs / sizeof subs[0]);
    for (size_t i = 0; i < count; i++) {
        memset(&lines[i], 0, sizeof lines[i]);
        HOLDS(next_line(from, &lines[i]) && is_word(&lines[i], "name"));
        names[i].ptr = need(&lines[i], "name")->text;
        names[i].len = need(&lines[i], "name")->len;
    }
    how.keys = names;
    how.kinds = names + how.keys_count;

    named *to = &subs[subs_count];
    const field *as = need(l, "as");
    HOLDS(as->len < sizeof to->name);
    memcpy(to->name, as->text, as->len);
    to->name[as->len] = '\0';
    reqbus_status status = reqbus_bus_subscribe(bus, &how, &to->sub, NULL);
    expect(l, status);
    HOLDS((status == REQBUS_OK) == (to->sub != NULL));
    if (status == REQBUS_OK) {
        int32_t is_first = 0;
        OK(reqbus_subscription_is_first(to->sub, &is_first));
        HOLDS(number_holds(l, "is_first", (uint64_t)is_first));
        subs_count++;
    }
    for (size_t i = 0; i < count; i++) free(lines[i].buffer);
    free(after);
}
