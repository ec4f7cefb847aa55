'use strict';

const { ReqbusError, call } = require('./errors.js');
const { itemsOf } = require('./items.js');
const { bell, drain, forget, listen, newToken, onAbort } = require('./loop.js');
const { CleanupGuard } = require('./guard.js');

/** A reader's place on a bus. Made by `bus.subscribe` and `bus.join`. */
class Subscription {
  #native;
  #token = 0;
  #waiting = null;
  /** Items that an iterator took and did not yield. */
  #rest = [];
  #restSettled = '';
  #yielded = '';
  #linger;

  constructor(native, linger = 0) {
    this.#native = native;
    this.#linger = linger;
  }

  /** For handlers: `told` is called whenever there may be something, on this loop, until it is freed. */
  static watch(subscription, told) {
    const token = newToken();
    subscription.#token = token;
    subscription.#waiting = told;
    listen(token, told);
    if (call(() => subscription.#native.attach(bell, token))) drain();
  }

  /** For handlers: the bytes of all that is there; `null` for none, `true` at the end. */
  static drainBytes(subscription, form) {
    return subscription.#native.drainBytes(form);
  }

  get id() {
    return call(() => this.#native.id());
  }

  get isFirst() {
    return this.#native.isFirst();
  }

  get closed() {
    return this.#native.isClosed();
  }

  get settled() {
    return this.#rest.length > 0 ? this.#yielded : call(() => this.#native.settled());
  }

  /** What is there: `null` at the end, an empty list for nothing now. */
  tryBatch({ maxItems, maxBytes } = {}) {
    if (this.#rest.length > 0) {
      const rest = this.#rest.splice(0, Number(maxItems ?? this.#rest.length));
      this.#noteYielded(rest);
      return rest;
    }
    return this.#read(maxItems, maxBytes)?.items ?? null;
  }

  #read(maxItems, maxBytes) {
    const flat = call(() => this.#native.tryItems(maxItems, maxBytes));
    if (flat === true) return null;
    return flat === null ? { items: [], settled: '' } : itemsOf(flat);
  }

  #noteYielded(items) {
    if (this.#rest.length === 0) {
      this.#yielded = this.#restSettled;
      return;
    }
    for (const item of items) {
      if (item.type === 'event') this.#yielded = item.id;
    }
  }

  tryTexts(form, { maxItems, maxBytes } = {}) {
    const texts = this.#texts(form, 0, maxItems, maxBytes);
    return texts === undefined ? [] : texts;
  }

  tryBytes(form, { maxItems, maxBytes } = {}) {
    const bytes = this.#texts(form, 1, maxItems, maxBytes);
    return bytes === undefined ? new Uint8Array(0) : bytes;
  }

  /** `null` at the end, `undefined` for nothing now. */
  #texts(form, shape, maxItems, maxBytes) {
    if (this.#rest.length > 0) {
      const why = 'an iterator has taken items that it did not yield; read those first';
      throw new ReqbusError('busy', 'subscription', `busy (subscription): ${why}`);
    }
    const texts = call(() => this.#native.tryTexts(form, shape, maxItems, maxBytes));
    if (texts === true) return null;
    return texts === null ? undefined : texts;
  }

  async nextBatch(options = {}) {
    return this.#next(options, () => {
      const items = this.tryBatch(options);
      return items !== null && items.length === 0 ? undefined : items;
    });
  }

  async nextTexts(form, options = {}) {
    return this.#next(options, () => this.#texts(form, 0, options.maxItems, options.maxBytes));
  }

  async nextBytes(form, options = {}) {
    return this.#next(options, () => this.#texts(form, 1, options.maxItems, options.maxBytes));
  }

  /** Every wait begins with a try, and takes nothing but when it returns. */
  async #next({ signal }, take) {
    signal?.throwIfAborted();
    if (this.#waiting !== null) {
      const why = 'another read waits on this subscription; one at a time';
      throw new ReqbusError('busy', 'subscription', `busy (subscription): ${why}`);
    }
    let taken = take();
    while (taken === undefined) {
      await this.#ring(signal);
      if (this.#linger > 0 && !this.closed) await this.#gather(signal);
      taken = take();
    }
    return taken;
  }

  /** Until the bell rings for this subscription. */
  #ring(signal) {
    return new Promise((resolve, reject) => {
      const end = (settle, value) => {
        forget(this.#token);
        this.#waiting = null;
        undo();
        settle(value);
      };
      const undo = onAbort(signal, () => end(reject, signal.reason));
      this.#waiting = () => end(resolve);
      if (this.#token === 0) {
        this.#token = newToken();
        listen(this.#token, this.#waiting);
        // Rings at once; the look after that arms.
        if (call(() => this.#native.attach(bell, this.#token))) drain();
      } else {
        listen(this.#token, this.#waiting);
      }
    });
  }

  /** Lets a burst gather, unarmed. */
  #gather(signal) {
    return new Promise((resolve, reject) => {
      const end = (settle, value) => {
        clearTimeout(timer);
        this.#waiting = null;
        undo();
        settle(value);
      };
      const timer = setTimeout(() => end(resolve), this.#linger);
      const undo = onAbort(signal, () => end(reject, signal.reason));
      this.#waiting = () => end(resolve);
    });
  }

  async *[Symbol.asyncIterator]() {
    yield* this.items();
  }

  /** The items one by one, until the end. Who stops midway leaves the rest to the next read. */
  async *items({ signal } = {}) {
    for (;;) {
      while (this.#rest.length > 0) {
        const item = this.#rest.shift();
        this.#noteYielded([item]);
        yield item;
      }
      let batch = null;
      const before = this.settled;
      const found = await this.#next({ signal }, () => {
        batch = this.#read();
        if (batch === null) return null;
        return batch.items.length === 0 ? undefined : batch.items;
      });
      if (found === null) return;
      this.#yielded = before;
      this.#restSettled = batch.settled;
      this.#rest = found;
    }
  }

  heartbeat(form) {
    return call(() => this.#native.heartbeat(form));
  }

  stats() {
    return call(() => this.#native.stats());
  }

  cleanupGuard() {
    const guard = call(() => this.#native.cleanupGuard());
    return guard === null ? null : new CleanupGuard(guard);
  }

  close() {
    const { wasLast, rang } = this.#native.close();
    if (rang) drain();
    // Who waits reads up to the end.
    this.#waiting?.();
    return wasLast ?? null;
  }

  free() {
    this.#rest = [];
    if (this.#native.free()) drain();
    this.#waiting?.();
    forget(this.#token);
  }

  [Symbol.dispose]() {
    this.free();
  }

  async [Symbol.asyncDispose]() {
    this.free();
  }
}

module.exports = { Subscription };
