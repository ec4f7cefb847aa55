'use strict';
// The scripts of a pool (tests/conformance/README.md).

const assert = require('node:assert/strict');
const { Backoff, SlotPool, TestClock, nonpositiveIsUnlimited } = require('./testing.js');
const { Fields, answered } = require('./fields.js');
const values = require('./slot_values.js');

/** An answer for each key, and what comes of it. */
const LOOKS = 20;
const ERROR = 'SlotError';

class SlotScript {
  #pool;
  /** The same, also when it was freed: what was told of leaks is still there. */
  #told;
  #clock = null;
  #face;
  #isFar;
  #timed;
  #things = new Map();
  #backoffs = new Map();
  #holders = new Map();
  #keys = new Map();
  #isWatched;

  constructor(pool, steps, face, place) {
    const f = new Fields(pool ?? {});
    const ranks = { first: f.get('first'), last: f.get('last') };
    if (ranks.first !== undefined || ranks.last !== undefined) {
      ranks.first ??= [];
      ranks.last ??= [];
    }
    const options = { ...ranks, processes: f.get('processes') };
    f.done();
    const has = (word) => steps.some((step) => word in step);
    this.#face = face;
    this.#isFar = place === 'fault';
    this.#timed = has('advance') || this.#isFar;
    if (this.#timed) this.#clock = new TestClock();
    this.#pool = this.#timed ? this.#clock.pool(options, this.#isFar ? {} : undefined) : new SlotPool(options);
    this.#told = this.#pool;
    this.#isWatched = !has('leak');
  }

  async step(step) {
    const [[word, value], ...more] = Object.entries(step);
    if (more.length > 0 || !Object.hasOwn(STEPS, word)) throw new Error(`unknown step ${Object.keys(step)}`);
    const f = new Fields(value);
    await STEPS[word].call(this, f, word);
    f.done();
    if (this.#isWatched) await this.#addsUp();
  }

  /** Promise S1: the count is that of the set of holders. */
  async #addsUp() {
    if (this.#pool === null) return;
    for (const [scope, id] of this.#keys.values()) {
      const [{ inUse }] = await this.#pool.load([[scope, id]]);
      assert.equal(inUse, (await this.#pool.holders(scope, id)).length, `${scope}: S1`);
    }
  }

  /** Promise S2: whatever was granted has been given back, and nobody waits. */
  async end() {
    const things = [...this.#things.values()].filter((thing) => thing !== null);
    const isWait = (thing) => 'position' in thing;
    for (const wait of things.filter(isWait)) wait.free();
    for (const slot of things.filter((thing) => !isWait(thing))) slot.release();
    if (this.#pool === null) return;
    for (const [scope, id] of this.#keys.values()) {
      const [load] = await this.#pool.load([[scope, id]]);
      assert.deepEqual([load.inUse, load.waiting], [0, 0], `${scope}: S2`);
    }
  }

  get #there() {
    if (this.#pool === null) throw new Error('the pool is gone');
    return this.#pool;
  }

  #thing(f, field) {
    const thing = this.#things.get(f.need(field));
    if (!thing) throw new Error(`${field} names nothing`);
    return thing;
  }

  #slot(f, field) {
    const slot = this.#thing(f, field);
    if ('position' in slot) throw new Error(`${field} names no slot`);
    return slot;
  }

  #wait(f, field) {
    const wait = this.#thing(f, field);
    if (!('position' in wait)) throw new Error(`${field} names no wait`);
    return wait;
  }

  #add(name, thing) {
    if (this.#things.has(name) || name === 'pool') throw new Error(`the name ${name} was used before`);
    this.#things.set(name, thing);
  }

  #asks(f) {
    const asks = f.need('asks').map(values.ask);
    const fits = (name) => name.length > 0 && Buffer.byteLength(name) <= 255;
    for (const [scope, id] of asks) {
      if (fits(scope) && fits(id)) this.#keys.set(JSON.stringify([scope, id]), [scope, id]);
    }
    return asks;
  }

  #label(f) {
    const label = f.get('label');
    return label === undefined ? undefined : values.text(label);
  }

  /** Compares what a call came to with field `expect`, and keeps the slot under its name. */
  #cameTo(f, slot, error) {
    const want = f.get('expect') ?? 'granted';
    const [name, keys] = [f.get('as'), f.get('keys')];
    if (error !== undefined) {
      if (error.name !== ERROR) throw error;
      if (typeof want === 'string') return assert.equal(error.code, want, error.message);
      if (typeof want.outcome !== 'string') throw new Error('outcome is missing');
      const gaveUp = this.#isFar && ['timed_out', 'cancelled'].includes(want.outcome);
      const known = Object.entries(want).filter(([field]) => !gaveUp || !values.STANDING.includes(field));
      return values.same(Object.fromEntries(known), values.refusalAsJson(error), this.#timed);
    }
    if (want !== 'granted') throw new Error(`granted, not ${JSON.stringify(want)}`);
    if (keys !== undefined) assert.deepEqual(slot.keys.map(values.keyOf), keys);
    if (name === undefined) throw new Error('field as is missing');
    return this.#add(name, slot);
  }

  async #came(f, run) {
    let slot;
    try {
      slot = await run();
    } catch (error) {
      return this.#cameTo(f, null, error);
    }
    return this.#cameTo(f, slot);
  }

  async try(f) {
    const [asks, label] = [this.#asks(f), this.#label(f)];
    // A try by another name: a call that would not wait.
    const run =
      this.#face === 'next'
        ? () => this.#there.acquire(asks, { label, timeout: 0 })
        : () => this.#there.tryAcquire(asks, { label });
    const [only] = asks;
    if (asks.length === 1 && this.#face === 'try' && only[2] !== undefined) {
      return this.#came(f, () => this.#there.tryAcquire(only[0], only[1], { limit: only[2], label }));
    }
    return this.#came(f, run);
  }

  async tryFirstOf(f) {
    const [asks, label] = [this.#asks(f), this.#label(f)];
    let chosen = null;
    await this.#came(f, async () => {
      const { index, slot } = await this.#there.tryFirstOf(asks, { label });
      chosen = index;
      return slot;
    });
    f.same('chosen', chosen);
  }

  wait(f, word) {
    const [asks, label] = [this.#asks(f), this.#label(f)];
    const options = {
      label,
      timeout: f.get('timeout_ms'),
      maxWaiting: f.get('max_waiting'),
      pingEvery: f.get('ping_every_ms'),
      onTopOf: word === 'wait_on_top' ? this.#slot(f, 'on') : undefined,
    };
    const wait = this.#there.wait(asks, options);
    f.same('position', wait.position);
    this.#add(f.need('as'), wait);
  }

  /** What is new; of a store far away one look is as many as it takes. */
  async #lookAt(wait) {
    for (let looks = this.#isFar ? LOOKS : 1; looks > 0; looks -= 1) {
      const step = this.#face === 'next' ? await this.#nextNow(wait) : wait.tryNext();
      if (step !== null) return step;
    }
    return null;
  }

  /** The promise's face, given up when nothing is there at once. */
  async #nextNow(wait) {
    const gaveUp = new AbortController();
    const next = wait.next({ signal: gaveUp.signal });
    setImmediate(() => gaveUp.abort('nothing'));
    return next.catch((reason) => {
      if (reason !== 'nothing') throw reason;
      return null;
    });
  }

  async look(f) {
    const step = await this.#lookAt(this.#wait(f, 'at'));
    const want = f.need('expect');
    if (step === null) return assert.equal(want, 'nothing');
    if (step.type === 'ping') return assert.equal(want, 'ping');
    return this.#cameTo(f, step.slot, step.error);
  }

  position(f) {
    f.same('is', this.#wait(f, 'of').position);
  }

  cancel(f) {
    this.#wait(f, 'what').cancel(f.get('cause'));
  }

  release(f) {
    assert.equal(this.#slot(f, 'what').release(), f.get('expect') ?? 'released');
  }

  releaseScope(f) {
    const scope = values.text(f.need('scope'));
    assert.equal(this.#slot(f, 'what').releaseScope(scope), f.get('expect') ?? 'released');
  }

  async join(f) {
    const [to, from] = [this.#slot(f, 'to'), this.#slot(f, 'from')];
    if (to === from) throw new Error('a slot joins itself');
    await answered(f, () => to.join(from));
  }

  keys(f) {
    assert.deepEqual(this.#slot(f, 'of').keys.map(values.keyOf), f.need('expect'));
  }

  lost(f) {
    assert.equal(this.#slot(f, 'of').lost ?? 'none', f.need('expect'));
  }

  leak(f) {
    this.#slot(f, 'what')[Symbol.for('reqbus.leak')]();
    this.#things.set(f.need('what'), null);
  }

  toldLeaks(f) {
    values.sameList(f.need('is'), this.#told.takeLeaks().map(values.holderAsJson), this.#timed);
  }

  leaked(f) {
    f.same('count', this.#there.leaked);
  }

  drop(f) {
    const name = f.need('what');
    if (name === 'pool') {
      this.#there.free();
      this.#pool = null;
      return;
    }
    const thing = this.#thing(f, 'what');
    if ('position' in thing) thing.free();
    else thing.release();
    this.#things.set(name, null);
  }

  close() {
    this.#there.close();
  }

  advance(f) {
    this.#clock.advance(f.need('ms'));
  }

  async setLimit(f) {
    const [scope, id] = values.key(f.need('key'));
    await answered(f, () => this.#there.setLimit(scope, id, f.need('limit')));
  }

  async changeKey(f, word) {
    const [scope, id] = values.key(f.need('key'));
    const name = word.replace('_l', 'L').replace('_k', 'K');
    await answered(f, () => this.#there[name](scope, id));
  }

  async #asked(f, run, compare) {
    const { ok, answer } = await answered(f, run);
    const want = f.get('is');
    if (ok) compare(want, answer);
  }

  load(f) {
    const keys = f.need('keys').map(values.key);
    const compare = (want, loads) => values.sameList(want, loads.map(values.loadAsJson), this.#timed);
    return this.#asked(f, () => this.#there.load(keys), compare);
  }

  orderByLoad(f) {
    const keys = f.need('keys').map(values.key);
    const compare = (want, order) => want === undefined || assert.deepEqual(order, want);
    return this.#asked(f, () => this.#there.orderByLoad(keys), compare);
  }

  holders(f) {
    const [scope, id] = values.key(f.need('key'));
    const compare = (want, got) => values.sameList(want, got.map(values.holderAsJson), this.#timed);
    return this.#asked(f, () => this.#there.holders(scope, id), compare);
  }

  heldLongerThan(f) {
    const order = (one, other) => (JSON.stringify(one.key) < JSON.stringify(other.key) ? -1 : 0);
    const compare = (want, got) =>
      values.sameList(want, got.map(values.holderAsJson).sort(order), this.#timed);
    return this.#asked(f, () => this.#there.heldLongerThan(f.need('ms')), compare);
  }

  async holder(f) {
    const [scope, id] = values.key(f.need('key'));
    const label = this.#label(f);
    const holders = await this.#there.holders(scope, id);
    const found = holders.find((holder) => holder.label === (label ?? ''));
    if (found === undefined) throw new Error('no such holder');
    this.#holders.set(f.need('as'), found.holder);
  }

  async force(f) {
    const [scope, id] = values.key(f.need('key'));
    const holder = this.#holders.get(f.need('holder'));
    if (holder === undefined) throw new Error('no such holder');
    const { ok, answer } = await answered(f, () => this.#there.force(scope, id, holder));
    if (ok) f.same('was_held', answer);
    else f.get('was_held');
  }

  keyStats(f) {
    const [scope, id] = values.key(f.need('key'));
    values.same(f.need('is'), values.countersAsJson(this.#there.keyStats(scope, id)), this.#timed);
  }

  scopeStats(f) {
    const stats = this.#there.scopeStats(values.text(f.need('scope')));
    values.same(f.need('is'), values.countersAsJson(stats), this.#timed);
  }

  knownKeys(f) {
    const [count, most] = [this.#there.knownKeys, f.get('at_most')];
    f.same('count', count);
    if (most !== undefined) assert.ok(count <= most, `${count} keys`);
  }

  async touch(f) {
    const [scope, count] = [f.need('scope'), f.need('count')];
    for (let number = 1; number <= count; number += 1) {
      (await this.#there.tryAcquire(scope, number, { limit: 1 })).release();
    }
  }

  async nonpositive(f) {
    const [number, limit] = [f.need('number'), f.get('limit')];
    const { ok, answer } = await answered(f, () => nonpositiveIsUnlimited(number));
    if (ok) assert.equal(answer, limit);
  }

  async backoff(f) {
    const [seed, random, first, cap] = ['seed', 'random', 'first_ms', 'cap_ms'].map((name) => f.get(name));
    const jitter = seed !== undefined || random === true;
    const { ok, answer } = await answered(f, () => new Backoff({ seed, jitter, first, cap }));
    if (ok) this.#backoffs.set(f.need('as'), answer);
    else f.get('as');
  }

  delays(f) {
    const us = f.get('us');
    const count = f.get('count') ?? us.length;
    const take = (name) => {
      const backoff = this.#backoffs.get(name);
      return Array.from({ length: count }, () => Math.floor(backoff.next() * 1000 + 1e-6));
    };
    const got = take(f.need('of'));
    if (us !== undefined) assert.deepEqual(got, us);
    const [sameAs, isSame, distinct, mean] = ['same_as', 'is_same', 'distinct_at_least', 'mean_above_us'].map((name) =>
      f.get(name),
    );
    if (sameAs !== undefined) assert.equal(JSON.stringify(take(sameAs)) === JSON.stringify(got), isSame ?? true);
    const [least, most] = [f.get('least_us') ?? 0, f.get('most_us') ?? Infinity];
    assert.ok(got.every((delay) => delay >= least && delay <= most), `out of bounds: ${got}`);
    if (distinct !== undefined) assert.ok(new Set(got).size >= distinct);
    if (mean !== undefined) assert.ok(got.reduce((sum, delay) => sum + delay, 0) / count > mean);
  }

  reset(f) {
    this.#backoffs.get(f.need('of')).reset();
  }

  attempt(f) {
    f.same('is', this.#backoffs.get(f.need('of')).attempt);
  }
}

const OTHER_NAMES = {
  wait_on_top: 'wait',
  clear_limit: 'changeKey',
  close_key: 'changeKey',
  open_key: 'changeKey',
  nonpositive_is_unlimited: 'nonpositive',
};
const WORDS =
  'try try_first_of wait wait_on_top look position cancel release release_scope join keys lost leak told_leaks leaked ' +
  'drop set_limit clear_limit close_key open_key nonpositive_is_unlimited load order_by_load holders held_longer_than ' +
  'holder force key_stats scope_stats known_keys touch close advance backoff delays reset attempt';
const camel = (word) => word.replace(/_(.)/g, (_, letter) => letter.toUpperCase());
const STEPS = Object.fromEntries(
  WORDS.split(' ').map((word) => [word, SlotScript.prototype[OTHER_NAMES[word] ?? camel(word)]]),
);

/** Runs one case. `false`: it says what this language cannot. */
async function runSlots(raw, face, place) {
  const f = new Fields(raw);
  for (const name of ['about', 'from', 'memory_only']) f.get(name);
  const [name, steps, pool] = [f.need('name'), f.need('steps'), f.get('pool')];
  f.done();
  if (steps.some(values.isUnsayable)) return false;
  const script = new SlotScript(pool, steps, face, place);
  for (const [at, step] of steps.entries()) {
    try {
      await script.step(step);
    } catch (cause) {
      throw new Error(`${name}, step ${at + 1}: ${cause.message}\n  ${JSON.stringify(step).slice(0, 300)}`, { cause });
    }
  }
  await script.end();
  return true;
}

module.exports = { runSlots };
