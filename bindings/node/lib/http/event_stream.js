'use strict';

const { Subscription } = require('../subscription.js');
const { SSE_HEADERS } = require('./stream.js');

/** A read that came to so much may have left something. */
const MOST_DRAINED = 1 << 20;

/** Flushes what has something together, so many milliseconds after the first of them: a burst is one wake and one write. */
function together(linger) {
  let due = [];
  const flush = () => {
    const all = due;
    due = [];
    for (const stream of all) stream.flush();
  };
  return (stream) => {
    due.push(stream);
    if (due.length > 1) return;
    if (linger > 0) setTimeout(flush, linger);
    else queueMicrotask(flush);
  };
}

/** A subscription on its way into one response, without a promise for each write. */
class EventStream {
  #res;
  #subscription;
  #writeTimeout;
  #later;
  #beats;
  #isDue = false;
  #isQuiet = true;
  /** The client has yet to take what was written. */
  #blocked = null;
  #isOver = false;

  constructor(res, subscription, { heartbeat = 15000, retry = 3000, writeTimeout = 10000 }, later) {
    this.#res = res;
    this.#subscription = subscription;
    this.#writeTimeout = writeTimeout;
    this.#later = later;
    res.on('close', () => this.#leave());
    res.on('drain', () => this.#unblock());
    res.writeHead(200, SSE_HEADERS);
    // The settled id at once: who breaks off before the first event resumes from here.
    this.#write(`retry: ${Math.round(retry)}\n\n${subscription.heartbeat('sse')}`);
    this.#beats = setInterval(() => this.#beat(), heartbeat);
    this.#beats.unref?.();
    Subscription.watch(subscription, () => this.#soon());
  }

  #soon() {
    if (this.#isDue || this.#isOver) return;
    this.#isDue = true;
    this.#later(this);
  }

  /** Writes what there is. */
  flush() {
    this.#isDue = false;
    if (this.#isOver || this.#blocked !== null) return;
    try {
      const frames = Subscription.drainBytes(this.#subscription, 'sse');
      if (frames === true) this.#res.end();
      else if (frames !== null) this.#write(frames);
      // What it left rings nobody.
      if (frames?.length >= MOST_DRAINED && this.#blocked === null) this.#soon();
    } catch (error) {
      this.#res.destroy(error);
    }
  }

  #write(frames) {
    this.#isQuiet = false;
    if (this.#res.write(frames)) return;
    this.#blocked = setTimeout(() => this.#res.destroy(), this.#writeTimeout);
    this.#blocked.unref?.();
  }

  #unblock() {
    clearTimeout(this.#blocked);
    this.#blocked = null;
    // Nobody was armed meanwhile.
    this.flush();
  }

  #beat() {
    // A look first: events that others get are settled by it.
    if (this.#isQuiet) this.flush();
    const isSilent = this.#isQuiet && !this.#isOver && this.#blocked === null;
    if (isSilent) this.#write(this.#subscription.heartbeat('sse'));
    this.#isQuiet = true;
  }

  #leave() {
    this.#isOver = true;
    clearInterval(this.#beats);
    clearTimeout(this.#blocked);
    this.#subscription.free();
  }
}

module.exports = { EventStream, together };
