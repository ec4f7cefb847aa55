'use strict';
// The runner, whose checks are promises. Timers are ticked together with the clock.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { setImmediate: turn } = require('node:timers/promises');

const { Runner, TestClock } = require('./support/testing.js');

/** A runner whose list and checks a test holds in its hands. */
class World {
  clock = new TestClock();
  list = [];
  asked = 0;
  /** Ids in the order in which their checks began. */
  begun = [];
  told = [];
  #ends = new Map();

  constructor(t, options = {}) {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    this.tick = (ms) => t.mock.timers.tick(ms);
    this.runner = this.clock.runner({
      due: () => {
        this.asked += 1;
        if (this.list instanceof Error) throw this.list;
        return this.list;
      },
      check: (id, { signal }) => {
        this.begun.push(id);
        return new Promise((resolve, reject) => this.#ends.set(id, { resolve, reject, signal }));
      },
      onError: (error, id) => this.told.push([id, error.message]),
      ...options,
    });
    t.after(() => this.runner[Symbol.dispose]());
  }

  async pass(ms) {
    this.clock.advance(ms);
    this.tick(ms);
    await turn();
  }

  signal(id) {
    return this.#ends.get(id).signal;
  }

  async end(id, value) {
    const { resolve, reject } = this.#ends.get(id);
    if (value instanceof Error) reject(value);
    else resolve(value);
    await turn();
  }

  flying() {
    return this.runner.inFlight().map(({ id }) => id);
  }
}

test('Schedule_AddsTaskAndFiresOnce, Start_LoadsAllEnabled: the first round begins at once', async (t) => {
  const world = new World(t);
  world.list = ['a', ['b', 10], { id: 7n, overdue: 20 }];
  world.runner.start();
  await world.pass(0);
  assert.deepEqual(world.begun, ['7', 'b', 'a']);
  await world.pass(4999);
  assert.equal(world.asked, 1);
  for (const id of ['a', 'b', '7']) await world.end(id);
  world.list = [];
  await world.pass(1);
  assert.deepEqual([world.asked, world.begun.length], [2, 3]);
  assert.equal(world.runner.stats().succeeded, 3n);
});

test('a jitter spreads the first round, counted from the start', async (t) => {
  const world = new World(t, { jitter: 1000, seed: 7 });
  await world.pass(10000);
  world.runner.start();
  await world.pass(0);
  assert.equal(world.asked, 0);
  await world.pass(1000);
  assert.equal(world.asked, 1);
});

test('BeforeStartIsNoOp; started twice is one; started after a stop is refused', async (t) => {
  const world = new World(t);
  world.list = ['a'];
  await world.pass(10000);
  assert.equal(world.asked, 0);
  world.runner.start();
  world.runner.start();
  await world.pass(0);
  assert.deepEqual([world.asked, world.begun], [1, ['a']]);
  await world.end('a');
  assert.deepEqual(await world.runner.stop(), { left: [], hasEnded: true });
  assert.deepEqual(await world.runner.stop(), { left: [], hasEnded: true });
  assert.throws(() => world.runner.start(), { code: 'closed' });
  await world.pass(10000);
  assert.equal(world.asked, 1);
});

test('Schedule_ReplaceCancelsOldTask, Unschedule_RemovesTask, RepairedAPIKeyCanBeScheduled: the list decides', async (t) => {
  const world = new World(t);
  world.list = ['a'];
  world.runner.start();
  await world.pass(0);
  await world.end('a');
  for (const [list, begun] of [[[], 1], [['b'], 2], [['a', 'b'], 3]]) {
    world.list = list;
    await world.pass(5000);
    assert.equal(world.begun.length, begun);
  }
  // b is still being checked: only a began anew.
  assert.deepEqual(world.begun, ['a', 'b', 'a']);
  assert.equal(world.runner.stats().skippedBusy, 1n);
});

test('InvalidIntervalSkipped, Start_SkipsDecryptFailed: a round that fails is told and counted, and the next one is due', async (t) => {
  const world = new World(t);
  const { runner } = world;
  runner.start();
  for (const [list, why] of [[new Error('no database'), /no database/], [['a', ''], /empty/], [[['a', -1]], /overdue/], [7, /iterable/]]) {
    world.list = list;
    await world.pass(world.asked === 0 ? 0 : 5000);
    assert.match(world.told.at(-1)[1], why);
    assert.equal(world.told.at(-1)[0], null);
  }
  assert.deepEqual([world.asked, runner.stats().failedRounds, world.begun.length], [4, 4n, 0]);
  world.list = ['a'];
  await world.pass(5000);
  assert.deepEqual(world.begun, ['a']);
});

test('InFlight_AcquireReleaseSymmetric: never two of one id, at most five at once, the longest overdue first', async (t) => {
  const world = new World(t);
  world.list = Array.from({ length: 8 }, (_, at) => [`c${at}`, at]);
  world.runner.start();
  await world.pass(0);
  assert.deepEqual(world.begun, ['c7', 'c6', 'c5', 'c4', 'c3']);
  await world.pass(5000);
  assert.equal(world.begun.length, 5);
  await world.end('c5');
  await world.pass(5000);
  assert.deepEqual(world.begun.slice(5), ['c5']);
  const { skippedFull, skippedBusy } = world.runner.stats();
  assert.deepEqual([skippedFull, skippedBusy], [9n, 9n]);
});

test('RunOne_DecryptFailureUnschedules: false is failed, a throw broke down; the mark is given back by both', async (t) => {
  const world = new World(t);
  world.list = ['a', 'b'];
  world.runner.start();
  await world.pass(0);
  await world.end('a', false);
  await world.end('b', new Error('broken'));
  assert.deepEqual(world.told, [['b', 'broken']]);
  assert.deepEqual(world.flying(), []);
  const { run, failed, panicked } = world.runner.stats();
  assert.deepEqual([run, failed, panicked], [2n, 1n, 1n]);
  await world.pass(5000);
  assert.equal(world.begun.length, 4);
});

test('a check that throws at once ends no other, nor does a sink that throws', async (t) => {
  const begun = [];
  const check = (id) => {
    begun.push(id);
    throw new Error(id);
  };
  const onError = () => {
    throw new Error('the sink');
  };
  const world = new World(t, { check, onError });
  world.list = ['a', 'b'];
  world.runner.start();
  await world.pass(0);
  await world.pass(5000);
  assert.equal(begun.length, 4);
  assert.equal(world.runner.stats().panicked, 4n);
});

test('a check over its time is told and stuck; its id stays, its room is lent once', async (t) => {
  const world = new World(t, { atOnce: 1, limit: 1000 });
  world.list = ['a', 'b', 'c'];
  world.runner.start();
  await world.pass(0);
  await world.pass(999);
  assert.equal(world.signal('a').aborted, false);
  await world.pass(1);
  assert.deepEqual([world.signal('a').aborted, world.signal('a').reason.code], [true, 'timeout']);
  await world.pass(4000);
  assert.deepEqual(world.begun, ['a', 'b']);
  assert.deepEqual(world.runner.inFlight().map(({ id, isStuck }) => [id, isStuck]), [['a', true], ['b', false]]);
  await world.pass(5000);
  assert.deepEqual([world.begun.length, world.runner.stats().stuck], [2, 2n]);
  await world.end('a');
  await world.pass(5000);
  assert.deepEqual(world.begun, ['a', 'b', 'c']);
});

test('a pause passes rounds over: the host is not asked, and what is in flight goes on', async (t) => {
  const world = new World(t);
  world.list = ['a'];
  world.runner.pause();
  world.runner.start();
  assert.equal(world.runner.paused, true);
  await world.pass(0);
  await world.pass(5000);
  assert.deepEqual([world.asked, world.runner.stats().pausedRounds], [0, 2n]);
  world.runner.resume();
  await world.pass(5000);
  assert.deepEqual(world.begun, ['a']);
  world.runner.pause();
  await world.end('a', true);
  assert.equal(world.runner.stats().succeeded, 1n);
});

test('Stop_DrainsAllGoroutines, Stop_WaitsForInFlightCheck: a stop tells and waits', async (t) => {
  const world = new World(t);
  world.list = ['a', 'b', 'c', 'd', 'e'];
  world.runner.start();
  await world.pass(0);
  let stopped = null;
  world.runner.stop().then((answer) => (stopped = answer));
  await world.pass(200);
  assert.equal(stopped, null);
  for (const id of world.list) {
    assert.deepEqual([world.signal(id).aborted, world.signal(id).reason.code], [true, 'closed']);
    assert.equal(stopped, null);
    await world.end(id);
  }
  assert.deepEqual(stopped, { left: [], hasEnded: true });
  assert.equal(world.runner.stats().succeeded, 5n);
});

test('a stop with a timeout names who is left; another one waits for them', async (t) => {
  const world = new World(t);
  world.list = ['a', 'b'];
  world.runner.start();
  await world.pass(0);
  const stops = world.runner.stop({ timeout: 100 });
  await world.end('a');
  await world.pass(100);
  const { left, hasEnded } = await stops;
  assert.deepEqual([left.map(({ id }) => id), hasEnded], [['b'], false]);
  assert.equal((await world.runner.stop({ timeout: 0 })).hasEnded, false);
  const gone = new AbortController();
  const refused = assert.rejects(world.runner.stop({ signal: gone.signal }), /enough/);
  gone.abort(new Error('enough'));
  await refused;
  const last = world.runner.stop();
  await world.end('b');
  assert.deepEqual(await last, { left: [], hasEnded: true });
});

test('Stop during submit: a list that comes after the stop begins nothing', async (t) => {
  let give;
  let asked;
  const due = ({ signal }) => {
    asked = signal;
    return new Promise((resolve) => (give = resolve));
  };
  const world = new World(t, { due });
  world.runner.start();
  await world.pass(0);
  const stops = world.runner.stop();
  assert.equal(asked.aborted, true);
  give(['a']);
  assert.deepEqual(await stops, { left: [], hasEnded: true });
  assert.deepEqual([world.begun, world.flying(), world.runner.stats().failedRounds], [[], [], 0n]);
});

test('a question that a stop breaks off has not failed', async (t) => {
  const due = ({ signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  const world = new World(t, { due });
  world.runner.start();
  await world.pass(0);
  assert.deepEqual(await world.runner.stop(), { left: [], hasEnded: true });
  assert.deepEqual(world.told, []);
});

test('a check may stop its own runner: it does not wait for itself, nor do two for each other', async (t) => {
  const answers = [];
  const check = async (id) => {
    const { left, hasEnded } = await world.runner.stop();
    answers.push([id, ...left.map((flight) => flight.id), hasEnded]);
  };
  const world = new World(t, { check });
  world.list = ['a', 'b'];
  world.runner.start();
  await world.pass(0);
  const { hasEnded } = await world.runner.stop();
  // Each was told that the other is still there.
  assert.deepEqual([hasEnded, answers.sort()], [true, [['a', 'b', false], ['b', 'a', false]]]);
});

test('what a check left behind waits for others when it stops the runner', async (t) => {
  let late;
  const check = async (id) => {
    if (id === 'a') late = turn().then(() => world.runner.stop({ timeout: 100 }));
    else await new Promise(() => {});
  };
  const world = new World(t, { check });
  world.list = ['a', 'b'];
  world.runner.start();
  await world.pass(0);
  await turn();
  await world.pass(100);
  const { left, hasEnded } = await late;
  assert.deepEqual([left.map(({ id }) => id), hasEnded], [['b'], false]);
});

test('disposal stops', async (t) => {
  const world = new World(t);
  world.runner.start();
  await world.runner[Symbol.asyncDispose]();
  assert.equal(world.runner.started, false);
});

test('a runner is made of functions and of options that are in range', () => {
  const due = () => [];
  const check = () => true;
  for (const [options, context] of [
    [{ check }, 'due'],
    [{ due, check: 1 }, 'check'],
    [{ due, check, atOnce: 0 }, 'at_once'],
    [{ due, check, every: 0 }, 'every'],
    [{ due, check, limit: Infinity }, 'limit'],
    [{ due, check, jitter: -1 }, 'jitter'],
  ]) {
    assert.throws(() => new Runner(options), { code: 'invalid_argument', context });
  }
});
