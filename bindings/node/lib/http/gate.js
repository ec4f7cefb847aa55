'use strict';
// Who may connect: limits of connections, and the origin of a page.

/** Reserved before anything is written, always given back. */
class Gate {
  #open = 0;
  #byAddress = new Map();
  #most;
  #mostPerAddress;

  constructor({ maxConnections = 100, maxPerAddress = 20 } = {}) {
    if (!(maxConnections > 0)) throw new RangeError('maxConnections must be above 0');
    if (!(maxPerAddress >= 0)) throw new RangeError('maxPerAddress must be 0, which is off, or above');
    this.#most = maxConnections;
    this.#mostPerAddress = maxPerAddress;
  }

  get open() {
    return this.#open;
  }

  /** A function that gives the place back, once; `null` if there is none. */
  enter(address) {
    const there = this.#byAddress.get(address) ?? 0;
    const isFull = this.#mostPerAddress > 0 && there >= this.#mostPerAddress;
    if (this.#open >= this.#most || isFull) return null;
    this.#open += 1;
    this.#byAddress.set(address, there + 1);
    let isIn = true;
    return () => {
      if (!isIn) return;
      isIn = false;
      this.#open -= 1;
      const left = this.#byAddress.get(address) - 1;
      if (left > 0) this.#byAddress.set(address, left);
      else this.#byAddress.delete(address);
    };
  }
}

/** The host name of `host` or `host:port`, without brackets and in lower case. */
function hostName(host) {
  try {
    return new URL(`http://${host}`).hostname;
  } catch {
    return null;
  }
}

/** Whether a page of this origin may connect: by default one of the same host, and whoever sends none. */
function isAllowedOrigin(origin, host, { strictOrigin = false, origins = [] } = {}) {
  if (origin === undefined || origin === null || origin === '') return !strictOrigin;
  if (origins.includes(origin)) return true;
  let named;
  try {
    named = new URL(origin).hostname;
  } catch {
    return false;
  }
  return named !== '' && host != null && named === hostName(host);
}

module.exports = { Gate, isAllowedOrigin };
