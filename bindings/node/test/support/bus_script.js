'use strict';
// The scripts of a bus (tests/conformance/README.md).

const assert = require('node:assert/strict');
const { Bus, ReqbusError, TestClock } = require('./testing.js');
const { Fields, answered, plain } = require('./fields.js');

const COUNTS = {
  matched: 'matched',
  delivered: 'delivered',
  lost_full: 'lostFull',
  lost_window: 'lostWindow',
  lost_evicted: 'lostEvicted',
  pending: 'pending',
};

/** An item with every field that an expectation may name. */
function asJson(item, epoch) {
  switch (item.type) {
    case 'event': {
      assert.ok(item.id.startsWith(`${epoch}-`), `${item.id} is of another bus`);
      const { kind, key } = item;
      const all = { event: Number(item.seq), n: Number(item.n), kind, key };
      if (item.format === 'bytes') all.base64 = Buffer.from(item.payload).toString('base64');
      else if (item.format !== 'request') all[item.format] = item.payload;
      return all;
    }
    case 'lost':
      return { lost: Number(item.missed), reason: item.reason, next_n: Number(item.nextN) };
    case 'resync':
      assert.ok(item.head.startsWith(`${epoch}-`));
      return { resync: item.reason, head: Number(item.head.slice(17)) };
    default:
      return { status: item.source, state: item.state, detail: item.detail };
  }
}

/** The items that an expectation says, one by one. */
function wanted(expect) {
  return expect.flatMap((raw) => {
    if (typeof raw === 'string') return [raw];
    const { events, numbered, ...item } = raw;
    if (events !== undefined) {
      const [first, last] = events;
      return Array.from({ length: last - first + 1 }, (_, at) => ({
        ...item,
        event: first + at,
        ...(item.n === undefined ? {} : { n: item.n + at }),
      }));
    }
    if (numbered === undefined) return [item];
    return Array.from({ length: numbered }, (_, at) => ({ ...item, status: `${item.status}${at + 1}` }));
  });
}

/** At each place only the fields that the expectation names. */
function compare(want, got) {
  want.forEach((each, at) => {
    if (at >= got.length) throw new Error(`item ${at} is missing: ${JSON.stringify(each)}`);
    const said = typeof each === 'string' ? got[at] : Object.fromEntries(Object.keys(each).map((k) => [k, got[at][k]]));
    assert.deepEqual(said, each, `item ${at}`);
  });
  if (got.length > want.length) throw new Error(`item ${want.length} is one too many: ${JSON.stringify(got[want.length])}`);
}

class BusScript {
  #subs = new Map();
  #guards = new Map();
  #clock;
  #bus;
  #maxItems;

  constructor(bus, timed, maxItems) {
    const f = new Fields(bus ?? {});
    const options = {
      logEvents: f.get('log_events'),
      logBytes: f.get('log_bytes'),
      resumeAgeMs: f.get('resume_age_ms'),
      resume: f.get('resume'),
    };
    f.done();
    this.#clock = timed ? new TestClock() : null;
    this.#bus = timed ? this.#clock.bus(options) : new Bus(options);
    this.#maxItems = maxItems;
  }

  async step(step) {
    const [[word, value], ...more] = Object.entries(step);
    if (more.length > 0 || !Object.hasOwn(STEPS, word)) throw new Error(`unknown step ${Object.keys(step)}`);
    const f = new Fields(value);
    await STEPS[word].call(this, f);
    f.done();
    this.#addsUp();
  }

  /** Promise B2. */
  #addsUp() {
    const subs = [...this.#subs.values()].filter((sub) => sub !== null);
    for (const stats of [...subs.map((sub) => sub.stats()), this.#bus.stats().totals]) {
      const { delivered, lostFull, lostWindow, lostEvicted, pending, abandoned } = stats;
      assert.equal(stats.matched, delivered + lostFull + lostWindow + lostEvicted + pending + abandoned, 'B2');
    }
  }

  #sub(f, field) {
    const sub = this.#subs.get(f.need(field));
    if (!sub) throw new Error(`${field} names no subscription`);
    return sub;
  }

  #takeGuard(f) {
    const guard = this.#guards.get(f.need('what'));
    if (!guard) throw new Error('no such guard');
    this.#guards.delete(f.need('what'));
    return guard;
  }

  #fillIn(text) {
    const { epoch } = this.#bus;
    const other = (BigInt(`0x${epoch}`) ^ 1n).toString(16).padStart(16, '0');
    return text.replaceAll('{epoch}', epoch).replaceAll('{other}', other);
  }

  #event(f) {
    const times = f.get('text_times');
    const [text, json, base64, timeMs] = ['text', 'json', 'base64', 'time_ms'].map((name) => f.get(name));
    const event = { kind: f.need('kind'), key: f.get('key') };
    if (timeMs !== undefined) event.timeNs = BigInt(timeMs) * 1000000n;
    if (json !== undefined) event.jsonText = json;
    else if (base64 !== undefined) event.bytes = Buffer.from(base64, 'base64');
    else event.text = (text ?? '').repeat(times ?? 1);
    return event;
  }

  /** A publish on a closed bus is silent; the scripts call that `closed`. */
  #publish(f, run) {
    return answered(f, () => {
      if (!run()) throw new ReqbusError('closed', 'bus', 'closed');
    });
  }

  async publish(f) {
    const event = this.#event(f);
    const times = f.get('times') ?? 1;
    for (let at = 0; at < times; at += 1) await this.#publish(f, () => this.#bus.publish(event));
  }

  async publishMany(f) {
    const events = f.need('events').map((raw) => {
      const each = new Fields(raw);
      const event = this.#event(each);
      each.done();
      return event;
    });
    await this.#publish(f, () => this.#bus.publishMany(events));
  }

  async publishRequest(f) {
    const said = ['method', 'path', 'model', 'account_id', 'status', 'latency_ms'].map((name) => f.need(name));
    const more = { key: f.get('key'), extra: f.get('extra'), timeNs: BigInt(f.need('time_ms')) * 1000000n };
    await this.#publish(f, () => this.#bus.publishRequest(...said, more));
  }

  async subscribe(f) {
    const name = f.need('as');
    if (this.#subs.has(name)) throw new Error(`the name ${name} was used before`);
    const start = f.get('start') ?? 'live';
    const after = this.#fillIn(f.get('after') ?? '').repeat(f.get('after_times') ?? 1);
    const isFirst = f.get('is_first');
    const options = {
      ...(start === 'after' ? { after } : { start }),
      overflow: f.get('overflow'),
      capacity: f.get('capacity'),
      capacityBytes: f.get('capacity_bytes'),
      keys: f.get('keys'),
      kinds: f.get('kinds'),
      label: f.get('label'),
      pid: f.get('pid'),
      audience: f.get('audience'),
    };
    assert.ok([undefined, 0].includes(f.get('audience_wait_ms')), 'a step must not wait');
    const { ok, answer } = await answered(f, () => this.#bus.subscribe(options));
    if (!ok) return;
    if (isFirst !== undefined) assert.equal(answer.isFirst, isFirst);
    this.#subs.set(name, answer);
  }

  async status(f) {
    const [source, state] = [f.need('source'), f.need('state')];
    const detail = (f.get('detail') ?? '').repeat(f.get('detail_times') ?? 1);
    const numbered = f.get('numbered');
    const names = numbered === undefined ? [source] : Array.from({ length: numbered }, (_, at) => `${source}${at + 1}`);
    for (const name of names) await answered(f, () => this.#bus.setStatus(name, state, detail));
  }

  /** Reads once if the step has a limit, else until there is nothing more. */
  #read(f, take) {
    const [maxItems, maxBytes, then] = ['max_items', 'max_bytes', 'then'].map((name) => f.get(name));
    const sub = this.#sub(f, 'from');
    const once = maxItems !== undefined || maxBytes !== undefined;
    if (once && then !== undefined) throw new Error('then is not allowed beside a limit');
    const limits = { maxItems: maxItems ?? (once ? undefined : this.#maxItems), maxBytes };
    const got = [];
    let end = 'once';
    let settled;
    do {
      const batch = take(sub, limits);
      if (batch === null) end = 'closed';
      else if (batch.length === 0) end = 'empty';
      else {
        got.push(...batch);
        settled = sub.settled;
        continue;
      }
      break;
    } while (!once);
    if (!once) assert.equal(end, then ?? 'empty', `after ${got.length} items`);
    if (settled !== undefined) f.same('settled', Number(settled.slice(17)));
    else f.get('settled');
    return got;
  }

  recv(f) {
    const want = wanted(f.need('expect'));
    const got = this.#read(f, (sub, limits) => sub.tryBatch(limits));
    compare(want, got.map((item) => asJson(item, this.#bus.epoch)));
  }

  recvTexts(f) {
    const form = f.need('form');
    const want = f.need('expect').map((text) => this.#fillIn(text));
    compare(want, this.#read(f, (sub, limits) => sub.tryTexts(form, limits)));
  }

  #sameCounts(f, stats) {
    for (const [name, field] of Object.entries(COUNTS)) f.same(name, stats[field]);
  }

  stats(f) {
    const stats = this.#sub(f, 'of').stats();
    f.same('resyncs', stats.resyncs);
    this.#sameCounts(f, stats);
  }

  totals(f) {
    const { totals, subscriptions } = this.#bus.stats();
    f.same('abandoned', totals.abandoned);
    f.same('subscriptions', subscriptions);
    this.#sameCounts(f, totals);
  }

  consumers(f) {
    const got = this.#bus.consumers().map(({ stats, ...consumer }) => ({
      label: consumer.label,
      pid: consumer.pid,
      overflow: consumer.overflow,
      audience: consumer.audience ?? '',
      closed: consumer.closed,
      matched: plain(stats.matched),
      delivered: plain(stats.delivered),
      lost: plain(stats.lostFull + stats.lostWindow + stats.lostEvicted),
      pending: plain(stats.pending),
    }));
    compare(f.need('expect'), got);
  }

  guard(f) {
    const guard = this.#sub(f, 'of').cleanupGuard();
    f.same('taken', guard !== null);
    if (guard !== null) this.#guards.set(f.need('as'), guard);
    else f.need('as');
  }

  expired(f) {
    f.same('answer', this.#guards.get(f.need('of')).expired);
  }

  endGuard(f, field, end) {
    f.same(field, end(this.#takeGuard(f)));
  }

  advance(f) {
    this.#clock.advance(f.need('ms'));
  }

  close(f) {
    if (f.need('what') === 'bus') return this.#bus.close();
    return f.same('was_last', this.#sub(f, 'what').close());
  }

  free(f) {
    this.#sub(f, 'what').free();
    this.#subs.set(f.need('what'), null);
  }

  settled(f) {
    f.same('seq', Number(this.#sub(f, 'of').settled.slice(17)));
  }

  heartbeat(f) {
    assert.equal(this.#sub(f, 'of').heartbeat(f.need('form')), this.#fillIn(f.need('text')));
  }

  newest(f) {
    f.same('seq', Number(this.#bus.newest.slice(17)));
  }

  wanted(f) {
    f.same('answer', this.#bus.wanted(f.need('kind')));
  }

  audience(f) {
    f.same('count', this.#bus.audienceCount(f.need('name')));
  }
}

const plainSteps = ['publish', 'subscribe', 'status', 'recv', 'stats', 'totals', 'consumers', 'guard', 'expired'];
const moreSteps = ['advance', 'close', 'free', 'settled', 'heartbeat', 'newest', 'wanted', 'audience'];
const STEPS = {
  ...Object.fromEntries([...plainSteps, ...moreSteps].map((word) => [word, BusScript.prototype[word]])),
  publish_many: BusScript.prototype.publishMany,
  publish_request: BusScript.prototype.publishRequest,
  recv_texts: BusScript.prototype.recvTexts,
  release(f) {
    return this.endGuard(f, 'in_force', (guard) => guard.release());
  },
  abort(f) {
    return this.endGuard(f, 'is_member', (guard) => guard.abort());
  },
};

/** Runs one case. An error names the case, the step and what differs. */
async function runBus(raw, maxItems) {
  const f = new Fields(raw);
  f.get('about');
  const [name, steps, bus] = [f.need('name'), f.need('steps'), f.get('bus')];
  f.done();
  const script = new BusScript(bus, steps.some((step) => 'advance' in step), maxItems);
  for (const [at, step] of steps.entries()) {
    try {
      await script.step(step);
    } catch (cause) {
      throw new Error(`${name}, step ${at + 1}: ${cause.message}\n  ${JSON.stringify(step).slice(0, 300)}`, { cause });
    }
  }
}

module.exports = { runBus };
