'use strict';

const { call } = require('./errors.js');
const { bell, drain, forget, listen, newToken } = require('./loop.js');

const RELEASED = ['released', 'already', 'lost'];
/** What the extension adds when this thread must drain. */
const RANG = 8;

/** Names of keys, two by two. */
function keysOf(names) {
  const keys = [];
  for (let at = 0; at < names.length; at += 2) keys.push({ scope: names[at], id: names[at + 1] });
  return keys;
}

/** Tokens of slots that were collected while somebody waited for their loss. */
const collected = new FinalizationRegistry(forget);

/** Who only waits for a loss does not hold the slot: a function of its own, which closes over nothing else. */
function listenWeakly(token, slot, look) {
  collected.register(slot.deref(), token);
  listen(token, () => {
    const there = slot.deref();
    if (there !== undefined) look(there);
  });
}

/** A request's place within its limits. */
class Slot {
  #native;
  #token = 0;
  #lost = null;
  #untie = null;

  constructor(native) {
    this.#native = native;
  }

  /** Its handle, for the pool. */
  static handleOf(slot) {
    return slot.#native;
  }

  release() {
    const number = this.#native.release();
    if (number >= RANG) drain();
    this.detach();
    this.#told?.(null);
    return RELEASED[number & 7];
  }

  releaseScope(scope) {
    const number = call(() => this.#native.releaseScope(scope));
    if (number === null) return 'none';
    if (number >= RANG) drain();
    return RELEASED[number & 7];
  }

  /** Releases it when the signal is aborted; until then, or `detach`. */
  releaseOnAbort(signal) {
    this.detach();
    if (signal.aborted) {
      this.release();
      return this;
    }
    const release = () => this.release();
    signal.addEventListener('abort', release, { once: true });
    this.#untie = () => signal.removeEventListener('abort', release);
    return this;
  }

  detach() {
    this.#untie?.();
    this.#untie = null;
  }

  join(other) {
    const rang = call(() => this.#native.join(other.#native));
    other.detach();
    if (rang) drain();
  }

  get keys() {
    return keysOf(this.#native.keys());
  }

  get lost() {
    return this.#native.lost();
  }

  #told = null;

  static #look(slot) {
    const reason = slot.lost;
    if (reason !== null) slot.#told?.(reason);
  }

  /** Why it was lost; `null` if it was released first. */
  untilLost() {
    this.#lost ??= new Promise((resolve) => {
      this.#token = newToken();
      this.#told = (reason) => {
        forget(this.#token);
        this.#told = null;
        resolve(reason);
      };
      listenWeakly(this.#token, new WeakRef(this), Slot.#look);
      if (call(() => this.#native.attach(bell, this.#token))) drain();
    });
    return this.#lost;
  }

  /** What the collector does with a slot that nobody released: for tests of what comes of that. */
  [Symbol.for('reqbus.leak')]() {
    this.#native.leak();
  }

  [Symbol.dispose]() {
    this.release();
  }

  async [Symbol.asyncDispose]() {
    this.release();
  }
}

module.exports = { Slot, keysOf };
