'use strict';

const native = require('./native.js').get();
const { call } = require('./errors.js');

/** Delays between tries, each half as long again, up to a cap. */
class Backoff {
  #native;

  constructor({ first, cap, seed, jitter = true } = {}) {
    this.#native = call(() => new native.NativeBackoff(jitter, seed, first, cap));
  }

  next() {
    return this.#native.nextDelay();
  }

  get attempt() {
    return this.#native.attempt();
  }

  reset() {
    this.#native.reset();
  }
}

module.exports = { Backoff };
