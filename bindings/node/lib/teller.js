'use strict';

const native = require('./native.js').get();
const { Bus } = require('./bus.js');
const { call } = require('./errors.js');

/** Tells on a bus what happens in the pools and runners that it is given to. */
class Teller {
  #native;

  constructor(bus, { kinds = Teller.KINDS, secretScopes } = {}) {
    this.#native = call(() => new native.NativeTeller(Bus.handleOf(bus), kinds, secretScopes));
  }

  /** Its handle; `undefined` for none. */
  static handleOf(teller) {
    return teller?.#native;
  }

  /** The kinds that can be told. */
  static get KINDS() {
    return native.NativeTeller.kinds();
  }

  get failed() {
    return this.#native.failed();
  }
}

module.exports = { Teller };
