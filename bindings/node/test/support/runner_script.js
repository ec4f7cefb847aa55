'use strict';
// The scripts of a runner (tests/conformance/README.md).

const assert = require('node:assert/strict');
const { TestClock } = require('./testing.js');
const { Fields, answered, plain } = require('./fields.js');
const { ms, same, sameList, text } = require('./slot_values.js');

const VERDICTS = ['succeeded', 'failed', 'panicked'];
const OPTIONS = { every: 'every_ms', limit: 'limit_ms', jitter: 'jitter_ms', atOnce: 'at_once', seed: 'seed' };

const snake = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

class RunnerScript {
  #clock = new TestClock();
  #admission;
  #permits = new Map();
  #listed = 0;

  /** Whether it was made: a case may expect that it is refused. */
  async make(raw) {
    const f = new Fields(raw);
    const options = Object.fromEntries(Object.entries(OPTIONS).map(([name, field]) => [name, f.get(field)]));
    const { ok, answer } = await answered(f, () => this.#clock.admission(options));
    f.done();
    this.#admission = answer;
    return ok;
  }

  async step(step) {
    const [[word, value], ...more] = Object.entries(step);
    if (more.length > 0 || !Object.hasOwn(STEPS, word)) throw new Error(`unknown step ${Object.keys(step)}`);
    const f = new Fields(value);
    await STEPS[word].call(this, f);
    f.done();
    this.#addsUp();
  }

  /** Each permit is in flight and nothing else is, and each item and each check is counted once. */
  #addsUp() {
    const flights = this.#admission.inFlight().map(({ id }) => id);
    assert.deepEqual(flights.sort(), [...this.#permits.keys()].sort(), 'in flight');
    const stats = this.#counted();
    assert.equal(stats.run, stats.succeeded + stats.failed + stats.panicked + flights.length, 'run');
    assert.equal(stats.run + stats.skipped_busy + stats.skipped_full, this.#listed, 'listed');
  }

  #counted() {
    const stats = Object.entries(this.#admission.stats());
    return Object.fromEntries(stats.map(([name, count]) => [snake(name), plain(count)]));
  }

  end() {
    for (const permit of this.#permits.values()) permit[Symbol.dispose]();
    this.#permits.clear();
    this.#addsUp();
  }

  async round(f) {
    const due = f.need('due').map(([id, overdue]) => {
      assert.ok(Number.isInteger(overdue), 'an overdue is no number');
      return [text(id), overdue];
    });
    const [atMost, want] = [f.get('at_most'), f.get('permits')];
    const { ok, answer: permits } = await answered(f, () => this.#admission.admit(due, { atMost }));
    if (!ok) return;
    if (!this.#admission.paused) this.#listed += due.length;
    for (const permit of permits) {
      assert.ok(!this.#permits.has(permit.id), 'two permits of one id');
      this.#permits.set(permit.id, permit);
    }
    if (want !== undefined) assert.deepEqual(permits.map(({ id }) => id), want.map(text));
  }

  #take(f) {
    const id = text(f.need('id'));
    const permit = this.#permits.get(id);
    if (permit === undefined) throw new Error('no such permit');
    this.#permits.delete(id);
    return permit;
  }

  finish(f) {
    const verdict = f.need('verdict');
    assert.ok(VERDICTS.includes(verdict), `unknown verdict ${verdict}`);
    this.#take(f).finish(verdict);
  }

  drop(f) {
    this.#take(f).finish();
  }

  failRound() {
    this.#admission.failRound();
  }

  pause(f) {
    if (f.need('paused')) this.#admission.pause();
    else this.#admission.resume();
  }

  paused(f) {
    f.same('answer', this.#admission.paused);
  }

  stop() {
    this.#admission.stop();
  }

  advance(f) {
    this.#clock.advance(f.need('ms'));
  }

  untilNextRound(f) {
    const [wait, most] = [ms(this.#admission.untilNextRound), f.get('at_most_ms')];
    f.same('ms', wait);
    if (most !== undefined) assert.ok(wait <= most, `it is ${wait}`);
  }

  inFlight(f) {
    const want = f.need('is').map(({ id, ...rest }) => ({ ...rest, ...(id === undefined ? {} : { id: text(id) }) }));
    const got = this.#admission.inFlight().map(({ id, age, isStuck }) => ({ id, age_ms: ms(age), is_stuck: isStuck }));
    sameList(want, got, true);
  }

  permit(f) {
    const permit = this.#permits.get(text(f.need('of')));
    if (permit === undefined) throw new Error('no such permit');
    f.same('should_end', permit.shouldEnd);
    f.same('left_ms', ms(permit.timeLeft));
  }

  stats(f) {
    const got = this.#counted();
    same(Object.fromEntries(Object.keys(got).flatMap((name) => {
      const want = f.get(name);
      return want === undefined ? [] : [[name, want]];
    })), got, true);
  }
}

const WORDS = 'round fail_round finish drop pause paused stop advance until_next_round in_flight permit stats'.split(' ');
const camel = (word) => word.replace(/_(.)/g, (_, letter) => letter.toUpperCase());
const STEPS = Object.fromEntries(WORDS.map((word) => [word, RunnerScript.prototype[camel(word)]]));

/** Runs one case. An error names the case, the step and what differs. */
async function runRunner(raw) {
  const f = new Fields(raw);
  for (const name of ['about', 'from']) f.get(name);
  const [name, steps, runner] = [f.need('name'), f.need('steps'), f.get('runner')];
  f.done();
  const script = new RunnerScript();
  const isMade = await script.make(runner ?? {}).catch((cause) => {
    throw new Error(`${name}: ${cause.message}`, { cause });
  });
  if (!isMade) return assert.deepEqual(steps, [], `${name}: it has steps, but no runner`);
  for (const [at, step] of steps.entries()) {
    try {
      await script.step(step);
    } catch (cause) {
      throw new Error(`${name}, step ${at + 1}: ${cause.message}\n  ${JSON.stringify(step).slice(0, 300)}`, { cause });
    }
  }
  return script.end();
}

module.exports = { runRunner };
