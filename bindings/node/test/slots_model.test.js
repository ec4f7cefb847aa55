'use strict';
// A stateful test of slots through promises: random calls beside a model, on memory and on the store of tests.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { setImmediate: turn } = require('node:timers/promises');
const fc = require('fast-check');

const { TestClock } = require('./support/testing.js');

/** How many times longer than usual. */
const STRESS = Number(process.env.REQBUS_STRESS ?? 1);
const LIMIT = 2;
const MAX_WAITING = 3;

/** The pool, and what came of each call. */
class World {
  constructor(fault) {
    this.clock = new TestClock();
    this.pool = this.clock.pool({}, fault);
    this.isFar = fault !== undefined;
    this.calls = [];
    this.released = 0;
  }

  acquire(user, timeout) {
    const gone = new AbortController();
    const call = { user, gone, slot: null, error: null, isFree: false };
    const options = { limit: LIMIT, timeout, maxWaiting: MAX_WAITING, pingEvery: null, signal: gone.signal };
    call.ends = this.pool.acquire('user', user, options).then(
      (slot) => (call.slot = slot),
      (error) => (call.error = error),
    );
    this.calls.push(call);
  }

  /** Lets promises and messages arrive. */
  async settle() {
    for (let at = 0; at < 3; at += 1) {
      if (this.isFar) this.clock.advance(1);
      await turn();
    }
  }

  holding(user) {
    return this.calls.filter((call) => call.user === user && call.slot !== null && !call.isFree);
  }

  pending(user) {
    return this.calls.filter((call) => call.user === user && call.slot === null && call.error === null);
  }

  async check() {
    for (const user of [1, 2]) {
      const [{ inUse, waiting }] = await this.pool.load([['user', user]]);
      const [held, waits] = [this.holding(user).length, this.pending(user).length];
      // S1, and the count is that of the holders.
      assert.ok(inUse <= LIMIT, `in use ${inUse}`);
      assert.equal(inUse, (await this.pool.holders('user', user)).length);
      assert.equal(inUse, held, `user ${user}: in use`);
      assert.equal(waiting, waits, `user ${user}: waiting`);
      // S3: nobody waits beside room.
      if (waits > 0) assert.equal(held, LIMIT, `user ${user}: room beside waiters`);
    }
    // First come, first served: a later call was not served before an earlier one that still waits.
    for (const user of [1, 2]) {
      const first = this.calls.indexOf(this.pending(user)[0]);
      const later = this.calls.slice(first + 1).filter((call) => call.user === user && call.slot !== null);
      if (first >= 0) assert.equal(later.length, 0, 'overtaken');
    }
  }

  async end() {
    for (const call of this.calls) call.gone.abort();
    await this.settle();
    for (const call of this.calls) call.slot?.release();
    await this.settle();
    await Promise.all(this.calls.map((call) => call.ends));
    for (const user of [1, 2]) {
      const [{ inUse, waiting }] = await this.pool.load([['user', user]]);
      assert.deepEqual([inUse, waiting], [0, 0], 'S2');
    }
    this.pool.close();
  }
}

const user = fc.integer({ min: 1, max: 2 });
const pick = fc.nat(7);

/** A step as what it does to a world. */
const step = fc.oneof(
  fc.record({ do: fc.constant('acquire'), user, timeout: fc.constantFrom(0, 50, 30000) }),
  fc.record({ do: fc.constant('release'), user, pick }),
  fc.record({ do: fc.constant('abort'), user, pick }),
  fc.record({ do: fc.constant('advance'), ms: fc.constantFrom(1, 49, 50) }),
);

async function take(world, { do: what, user: who, timeout, pick: at, ms }) {
  if (what === 'acquire') world.acquire(who, timeout);
  if (what === 'advance') world.clock.advance(ms);
  if (what === 'release') {
    const holding = world.holding(who);
    if (holding.length > 0) {
      const call = holding[at % holding.length];
      assert.equal(call.slot.release(), 'released');
      assert.equal(call.slot.release(), 'already');
      call.isFree = true;
    }
  }
  if (what === 'abort') {
    const calls = [...world.pending(who), ...world.holding(who)];
    calls[at % (calls.length || 1)]?.gone.abort();
  }
}

async function play(fault, steps, checks) {
  const world = new World(fault);
  for (const each of steps) {
    await take(world, each);
    await world.settle();
    if (checks) await world.check();
  }
  await world.end();
}

const steps = fc.array(step, { minLength: 1, maxLength: 40 });

test('slots on memory: random calls beside a model', async () => {
  await fc.assert(fc.asyncProperty(steps, (all) => play(undefined, all, true)), { numRuns: 200 * STRESS });
});

test('slots on the store of tests with a good line: the same', async () => {
  await fc.assert(fc.asyncProperty(steps, (all) => play({}, all, true)), { numRuns: 100 * STRESS });
});

test('s2: slots on a bad line: everything ends, and all is given back', async () => {
  const seed = fc.nat(0xffff);
  const late = fc.record({ seed, latestMs: fc.nat(20), doubled: fc.nat(300) });
  const lossy = fc.record({ seed, latestMs: fc.nat(20), doubled: fc.nat(300), lost: fc.nat(200), lostLease: fc.nat(200) });
  const line = fc.oneof(late, lossy);
  const property = fc.asyncProperty(line, steps, async (fault, all) => {
    const world = new World(fault);
    for (const each of all) {
      if (each.do === 'release') continue;
      await take(world, each);
      await world.settle();
    }
    // Nobody answers after this: every call must have come to an end.
    for (const call of world.calls) call.gone.abort();
    for (let at = 0; at < 60; at += 1) {
      world.clock.advance(1000);
      await turn();
    }
    assert.ok(world.calls.every((call) => call.slot !== null || call.error !== null), 'a call has no end');
    for (const call of world.calls) call.slot?.release();
    for (let at = 0; at < 60; at += 1) world.clock.advance(1000);
    // What was lost on the line may hold room until it is found.
    if (fault.lost > 0 || fault.lostLease > 0) return;
    // A line this slow cannot be asked at once how a key stands; but all the room there is can be taken.
    const before = world.calls.length;
    for (const who of [1, 1, 2, 2]) world.acquire(who, 30000);
    for (let at = 0; at < 60; at += 1) {
      world.clock.advance(100);
      await turn();
    }
    const again = world.calls.slice(before);
    assert.ok(again.every((call) => call.slot !== null), 'S2: room is missing');
    for (const call of again) call.slot.release();
  });
  await fc.assert(property, { numRuns: 100 * STRESS });
});
