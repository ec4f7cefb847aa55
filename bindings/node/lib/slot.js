'use strict';

const native = require('./native.js').get();
const { call } = require('./errors.js');
const { bell, drain, forget, listen, newToken, onAbort } = require('./loop.js');

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

/** Slots of this turn of the loop, of which each but those that were released gets a handle of its own in the next. */
let young = [];
const MOST_YOUNG = 1024;

function note(slot) {
  // What keeps the loop alive is not this.
  if (young.length === 0) setImmediate(grow).unref();
  else if (young.length >= MOST_YOUNG) grow();
  young.push(slot);
}

/** From here on the collector finds who has none of them any more. */
function grow() {
  const all = young;
  young = [];
  for (const slot of all) Slot.grow(slot);
}

/** A request's place within its limits. */
class Slot {
  /** Its number while it is young, else -1. */
  #young;
  /** Its handle, once it has one; of a slot that was released young there is none. */
  #native = null;
  #untie = null;
  /** Who waits for its loss: the promise, and what is called. */
  #loss = null;

  constructor(number) {
    this.#young = number;
    note(this);
  }

  /** Its handle, for the pool. */
  static handleOf(slot) {
    return slot.#handle();
  }

  static grow(slot) {
    if (slot.#young >= 0) slot.#handle();
  }

  #handle() {
    if (this.#native === null) {
      this.#native = native.grownSlot(this.#young);
      this.#young = -1;
    }
    return this.#native;
  }

  /** Whether it was released before it had a handle: nothing is left of it. */
  get #isSpent() {
    return this.#young < 0 && this.#native === null;
  }

  release() {
    const number = this.#giveBack();
    if (number >= RANG) drain();
    if (this.#untie !== null) this.detach();
    if (this.#loss !== null) this.#loss.told?.(null);
    return RELEASED[number & 7];
  }

  #giveBack() {
    if (this.#native !== null) return this.#native.release();
    if (this.#young < 0) return 1;
    const number = native.releaseYoung(this.#young);
    this.#young = -1;
    return number;
  }

  releaseScope(scope) {
    if (this.#isSpent) return 'none';
    const number = call(() => this.#handle().releaseScope(scope));
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
    return this;
  }

  join(other) {
    if (other.#isSpent) return;
    // What is joined to a slot that was released is released too.
    if (this.#isSpent) return void other.release();
    const rang = call(() => this.#handle().join(other.#handle()));
    other.detach();
    if (rang) drain();
  }

  get keys() {
    return this.#isSpent ? [] : keysOf(this.#handle().keys());
  }

  get lost() {
    return this.#isSpent ? null : this.#handle().lost();
  }

  static #look(slot) {
    const reason = slot.lost;
    if (reason !== null) slot.#loss?.told?.(reason);
  }

  /** Why it was lost; `null` if it was released first. */
  async untilLost({ signal } = {}) {
    signal?.throwIfAborted();
    if (this.#isSpent) return null;
    this.#loss ??= this.#watch();
    const { promise } = this.#loss;
    if (signal === undefined) return promise;
    let undo;
    const aborted = new Promise((_, reject) => (undo = onAbort(signal, () => reject(signal.reason))));
    return Promise.race([promise, aborted]).finally(undo);
  }

  #watch() {
    const token = newToken();
    const loss = { told: null, promise: null };
    loss.promise = new Promise((resolve) => {
      loss.told = (reason) => {
        forget(token);
        loss.told = null;
        resolve(reason);
      };
    });
    this.#loss = loss;
    listenWeakly(token, new WeakRef(this), Slot.#look);
    if (call(() => this.#handle().attach(bell, token))) drain();
    return loss;
  }

  /** What the collector does with a slot that nobody released: for tests of what comes of that. */
  [Symbol.for('reqbus.leak')]() {
    this.#handle().leak();
  }

  [Symbol.dispose]() {
    this.release();
  }

  async [Symbol.asyncDispose]() {
    this.release();
  }
}

module.exports = { Slot, keysOf };
