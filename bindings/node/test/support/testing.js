'use strict';
// The classes over the build of tests, whose clock stands still until it is advanced. Load this before anything else.

const { join } = require('node:path');
const loader = require('../../lib/native.js');

loader.use(require(join(__dirname, 'reqbus.test.node')));
const native = loader.get();
const reqbus = require('../../index.js');
const { drain } = require('../../lib/loop.js');

/** A clock for buses and pools. */
class TestClock {
  #native = new native.NativeTestClock();

  advance(ms) {
    if (this.#native.advance(ms)) drain();
  }

  bus(options = {}) {
    return new reqbus.Bus(this.#native.bus(options));
  }

  /** With `fault` on the store of tests. */
  pool(options = {}, fault) {
    const line = fault && { seed: 0, latestMs: 0, lost: 0, doubled: 0, lostLease: 0, ...fault };
    return new reqbus.SlotPool(this.#native.pool(options, line));
  }
}

module.exports = { ...reqbus, TestClock };
