'use strict';

const native = require('./native.js').get();
const { call } = require('./errors.js');
const { drain } = require('./loop.js');
const { Teller } = require('./teller.js');

/** Options as the extension takes them. */
function nativeOptions({ every, atOnce, limit, jitter, seed }) {
  return { everyMs: every, atOnce, limitMs: limit, jitterMs: jitter, seed };
}

/** What is due, as two lists: an item is an id, `[id, overdue]` or `{ id, overdue }`. */
function listsOf(due) {
  const [ids, overdues] = [[], []];
  for (const item of due) {
    const isPlain = typeof item !== 'object' || item === null;
    const [id, overdue = 0] = isPlain ? [item] : Array.isArray(item) ? item : [item.id, item.overdue];
    ids.push(typeof id === 'number' || typeof id === 'bigint' ? String(id) : id);
    overdues.push(overdue);
  }
  return [ids, overdues];
}

function flightOf({ id, ageMs, isStuck }) {
  return { id, age: ageMs, isStuck };
}

/** The right to check one item, and its mark as being checked. */
class Permit {
  #native;

  constructor(handle) {
    this.#native = handle;
  }

  get id() {
    return this.#native.id();
  }

  get timeLeft() {
    return this.#native.timeLeft();
  }

  get shouldEnd() {
    return this.#native.shouldEnd();
  }

  /** Gives it back. A second time does nothing. */
  finish(verdict) {
    if (call(() => this.#native.finish(verdict))) drain();
  }

  [Symbol.dispose]() {
    this.finish();
  }

  async [Symbol.asyncDispose]() {
    this.finish();
  }
}

/** Says which checks may begin, for hosts that have a loop of their own. */
class Admission {
  #native;

  /** Tests pass a handle in place of the options. */
  constructor(options = {}) {
    const make = () => new native.NativeAdmission(nativeOptions(options), Teller.handleOf(options.teller));
    this.#native = options instanceof native.NativeAdmission ? options : call(make);
  }

  get untilNextRound() {
    return this.#native.untilNextRound();
  }

  admit(due, { atMost } = {}) {
    const [ids, overdues] = listsOf(due);
    return call(() => this.#native.admit(ids, overdues, atMost)).map((handle) => new Permit(handle));
  }

  failRound() {
    this.#native.failRound();
  }

  pause() {
    this.#native.pause(true);
  }

  resume() {
    this.#native.pause(false);
  }

  get paused() {
    return this.#native.isPaused();
  }

  stop() {
    if (this.#native.stop()) drain();
  }

  inFlight() {
    return this.#native.inFlight().map(flightOf);
  }

  stats() {
    return this.#native.stats();
  }
}

module.exports = { Admission, Permit, nativeOptions };
