'use strict';

const { drain } = require('./loop.js');

/** Keeps newcomers out of an audience while what its members shared is torn down. */
class CleanupGuard {
  #native;

  constructor(native) {
    this.#native = native;
  }

  get expired() {
    return this.#native.isExpired();
  }

  #end(ended) {
    if (ended.rang) drain();
    return ended.held;
  }

  release() {
    return this.#end(this.#native.release());
  }

  abort() {
    return this.#end(this.#native.abort());
  }

  [Symbol.dispose]() {
    this.release();
  }

  async [Symbol.asyncDispose]() {
    this.release();
  }
}

module.exports = { CleanupGuard };
