'use strict';
// Who may connect: how many at once, how many from one address, from which origin, and whether anybody may.

const { Proxies } = require('./proxies.js');

const POLICIES = ['permissive', 'strict', 'any'];

/** Reads the name of an origin policy, in any case; what is none is the default. */
function parseOriginPolicy(text) {
  const name = (text ?? '').trim().toLowerCase();
  return POLICIES.includes(name) ? name : 'permissive';
}

/** The host name of `host` or `host:port`, without brackets and in lower case. */
function hostName(host) {
  try {
    return new URL(`http://${host}`).hostname;
  } catch {
    return null;
  }
}

/** What handlers ask before they let a client in. Several handlers may share one. */
class Doors {
  #open = 0;
  #byAddress = new Map();
  #most;
  #mostPerAddress;
  #policy;
  #origins;
  #proxies;
  #enabled;

  constructor({
    maxConnections = 100,
    maxPerAddress = 20,
    origin = 'permissive',
    origins = [],
    trustedProxies = ['127.0.0.0/8', '::1'],
    enabled = () => true,
  } = {}) {
    if (!(maxConnections > 0)) throw new RangeError('maxConnections must be above 0');
    if (!(maxPerAddress >= 0)) throw new RangeError('maxPerAddress must be 0, which is off, or above');
    if (!POLICIES.includes(origin)) throw new RangeError(`origin must be one of ${POLICIES.join(', ')}`);
    this.#most = maxConnections;
    this.#mostPerAddress = maxPerAddress;
    this.#policy = origin;
    this.#origins = origins;
    this.#proxies = new Proxies(trustedProxies);
    this.#enabled = enabled;
  }

  /** How many are in. */
  get connections() {
    return this.#open;
  }

  /** Whether clients are served at all. */
  get enabled() {
    return this.#enabled();
  }

  /** The client's address. */
  addressOf(req) {
    return this.#proxies.addressOf(req.socket?.remoteAddress, req.headers);
  }

  /** Whether a page of the request's origin may connect: one of the same host, and, unless strict, who sends none. */
  isAllowed(req) {
    return this.isAllowedOrigin(req.headers.origin, this.#proxies.hostOf(req.socket?.remoteAddress, req.headers));
  }

  isAllowedOrigin(origin, host) {
    if (this.#policy === 'any') return true;
    if (origin === undefined || origin === null || origin === '') return this.#policy !== 'strict';
    if (this.#origins.includes(origin)) return true;
    let named;
    try {
      named = new URL(origin).hostname;
    } catch {
      return false;
    }
    return named !== '' && host != null && named === hostName(host);
  }

  /** Takes a place, before anything is written: a function that gives it back, once; `null` if there is none. */
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

  /** What a handler was given: doors, or what makes them. */
  static of(options) {
    return options.doors ?? new Doors(options);
  }
}

module.exports = { Doors, parseOriginPolicy };
