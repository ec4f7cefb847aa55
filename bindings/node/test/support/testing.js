'use strict';
// The classes over the build of tests, whose clock stands still until it is advanced. Load this before anything else.

const { join } = require('node:path');
const loader = require('../../lib/native.js');

loader.use(require(join(__dirname, 'reqbus.test.node')));
const native = loader.get();
const reqbus = require('../../index.js');
const { nativeOptions } = require('../../lib/admission.js');
const { call } = require('../../lib/errors.js');
const { drain } = require('../../lib/loop.js');

/** A clock for buses, pools and runners. */
class TestClock {
  #native = new native.NativeTestClock();

  advance(ms) {
    if (this.#native.advance(ms)) drain();
  }

  bus(options = {}) {
    return new reqbus.Bus(this.#native.bus(options));
  }

  /** With `fault` on the store of tests. */
  pool({ teller, heldLong, ...options } = {}, fault) {
    const line = fault && { seed: 0, latestMs: 0, lost: 0, doubled: 0, lostLease: 0, isDown: false, ...fault };
    const all = { ...options, heldLongMs: heldLong };
    return new reqbus.SlotPool(this.#native.pool(all, line, reqbus.Teller.handleOf(teller)));
  }

  admission(options = {}) {
    const made = call(() => this.#native.admission(nativeOptions(options), reqbus.Teller.handleOf(options.teller)));
    return new reqbus.Admission(made);
  }

  /** Whose rounds and limits are on this clock; its timers are those of the loop, which tests tick. */
  runner({ due, check, onError, ...options }) {
    return new reqbus.Runner({ due, check, onError }, () => this.admission(options));
  }
}

module.exports = { ...reqbus, TestClock };
