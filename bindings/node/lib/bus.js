'use strict';

const native = require('./native.js').get();
const { ReqbusError, call, translate } = require('./errors.js');
const { bell, drain, drainSoon, forget, listen, newToken, onAbort } = require('./loop.js');
const { Subscription } = require('./subscription.js');

const STATUSES = { success: 0, error: 1, rate_limited: 2 };

function invalid(context, why) {
  return new ReqbusError('invalid_argument', context, `invalid_argument (${context}): ${why}`);
}

/** What an event carries: its sort (0 JSON, 1 text), its text, its bytes. */
function payloadOf(event) {
  const said = ['json', 'jsonText', 'text', 'bytes'].filter((name) => event[name] !== undefined);
  if (said.length > 1) throw invalid('payload', `it is said more than once: ${said.join(', ')}`);
  switch (said[0]) {
    case 'json': {
      const text = JSON.stringify(event.json);
      if (text === undefined) throw invalid('payload', 'the value has no JSON');
      return [0, text, undefined];
    }
    case 'jsonText':
      return [0, event.jsonText, undefined];
    case 'bytes':
      return [2, '', event.bytes];
    default:
      return [1, event.text ?? '', undefined];
  }
}

/** Options of a subscription, as the extension takes them. */
function subscribeOptions(options) {
  const { after, ...rest } = options;
  // `undefined` and `null` are "the reader gave no id"; an empty text is an id that is none.
  return after === undefined || after === null ? rest : { ...rest, after: String(after) };
}

/** An event bus. */
class Bus {
  #native;

  /** Tests pass a handle in place of the options. */
  constructor(options = {}) {
    this.#native = options instanceof native.NativeBus ? options : call(() => new native.NativeBus(options));
  }

  /** Its handle, for a teller. */
  static handleOf(bus) {
    return bus.#native;
  }

  /** Publishes one event; `false`, and nothing happens, if the bus is closed. */
  publish(event) {
    const [sort, text, bytes] = payloadOf(event);
    return this.#publish(() => this.#native.publish(event.kind, sort, text, bytes, event.key, event.timeNs));
  }

  publishMany(events) {
    const all = Array.from(events, (event) => {
      const [sort, text, bytes] = payloadOf(event);
      return { kind: event.kind, sort, text, bytes, key: event.key, timeNs: event.timeNs };
    });
    return this.#publish(() => this.#native.publishMany(all));
  }

  publishRequest(method, path, model, accountId, status, latencyMs, more) {
    if (typeof method === 'object') {
      const { method: verb, path: where, model: which, accountId: account, status: how, latencyMs: ms, ...rest } = method;
      return this.publishRequest(verb, where, which, account, how, ms, rest);
    }
    const number = STATUSES[status] ?? 9;
    try {
      const rang =
        more === undefined
          ? this.#native.publishRequest(method, path, model, accountId, number, latencyMs)
          : this.#native.publishRequest(
              method,
              path,
              model,
              accountId,
              number,
              latencyMs,
              more.key,
              extraOf(more),
              more.timeNs,
            );
      if (rang) drainSoon();
      return true;
    } catch (error) {
      return closedOrThrow(error);
    }
  }

  #publish(run) {
    try {
      if (run()) drainSoon();
      return true;
    } catch (error) {
      return closedOrThrow(error);
    }
  }

  subscribe(options = {}) {
    const join = this.#join({ ...options, audienceWaitMs: 0 });
    const made = call(() => join.tryFinish());
    if (made !== null) return new Subscription(made, options.linger);
    // Only an audience with a guard is not there at once, and a wait of zero has an end: none is expected here.
    join.cancel();
    const why = 'the audience is being cleaned up; `join` waits for that';
    throw new ReqbusError('audience_busy', 'audience', `audience_busy (audience): ${why}`);
  }

  async join(options = {}) {
    const { signal } = options;
    signal?.throwIfAborted();
    const join = this.#join({ ...options, audienceWaitMs: options.audienceWait });
    const token = newToken();
    let undo = () => {};
    try {
      return await new Promise((resolve, reject) => {
        const look = () => {
          try {
            const made = join.tryFinish();
            if (made !== null) resolve(new Subscription(made, options.linger));
            return made !== null;
          } catch (error) {
            reject(translate(error));
            return true;
          }
        };
        if (look()) return;
        listen(token, look);
        undo = onAbort(signal, () => reject(signal.reason));
        if (join.attach(bell, token)) drain();
      });
    } finally {
      undo();
      forget(token);
      if (join.cancel()) drain();
    }
  }

  #join(options) {
    return call(() => this.#native.join(subscribeOptions(options)));
  }

  setStatus(source, state, detail = '') {
    if (call(() => this.#native.setStatus(source, state, detail))) drain();
  }

  wanted(kind) {
    return call(() => this.#native.wanted(kind));
  }

  audienceCount(name) {
    return this.#native.audienceCount(name);
  }

  get newest() {
    return this.#native.newest();
  }

  get epoch() {
    return this.newest.slice(0, 16);
  }

  stats() {
    return this.#native.stats();
  }

  consumers() {
    return this.#native.consumers();
  }

  get closed() {
    return this.#native.isClosed();
  }

  close() {
    if (this.#native.close()) drain();
  }

  [Symbol.dispose]() {
    this.close();
  }

  async [Symbol.asyncDispose]() {
    this.close();
  }
}

/** The text of a request's extra object. */
function extraOf({ extra }) {
  return extra === undefined || typeof extra === 'string' ? extra : JSON.stringify(extra);
}

/** A publish on a closed bus has no effect and says so; other errors are the caller's. */
function closedOrThrow(error) {
  const translated = translate(error);
  if (translated.code === 'closed') return false;
  throw translated;
}

module.exports = { Bus };
