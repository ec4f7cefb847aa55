'use strict';

const native = require('./native.js').get();
const { SlotError, call, cancelledBefore, limitOf } = require('./errors.js');
const { drain } = require('./loop.js');
const { answerOf } = require('./reply.js');
const { Slot } = require('./slot.js');
const { Teller } = require('./teller.js');
const { Wait, slotOf } = require('./wait.js');

/** A limit as the extension takes it. */
function limitNumber(limit) {
  if (limit === undefined || limit === null) return NaN;
  if (limit === 'unlimited') return Infinity;
  return Number(limit) === Infinity || Number.isNaN(Number(limit)) ? -1 : Number(limit);
}

/** What a call asks for: `(scope, id, options)`, or `(list, options)`. */
function askedOf(first, second, third) {
  if (!Array.isArray(first)) {
    const options = third ?? {};
    return { names: [first, String(second)], limits: [limitNumber(options.limit)], options };
  }
  const names = [];
  const limits = [];
  for (const ask of first) {
    const [scope, id, limit] = Array.isArray(ask) ? ask : [ask.scope, ask.id, ask.limit];
    names.push(scope, String(id));
    limits.push(limitNumber(limit));
  }
  return { names, limits, options: second ?? {} };
}

/** Whether a call names one key, and at most a limit. */
function isPlain(scope, options) {
  if (typeof scope !== 'string') return false;
  for (const name in options) {
    if (name !== 'limit' && options[name] !== undefined) return false;
  }
  return true;
}

function namesOf(keys) {
  return keys.flatMap((key) => (Array.isArray(key) ? [key[0], String(key[1])] : [key.scope, String(key.id)]));
}

function waitOptions({ label, timeout, maxWaiting, pingEvery }) {
  return {
    label,
    timeoutMs: timeout,
    maxWaiting,
    pings: pingEvery !== null,
    pingEveryMs: pingEvery ?? undefined,
  };
}

function slotOrThrow(answer) {
  if (typeof answer === 'number') return new Slot(answer);
  throw new SlotError(answer);
}

/** A slot, by its number or by that of its wait, which is below 0. */
function acquired(answer, onPing, signal) {
  if (typeof answer !== 'number') throw new SlotError(answer);
  return answer >= 0 ? new Slot(answer) : slotOf(-1 - answer, onPing, signal);
}

function loadOf(load) {
  const { oldestWaitMs, oldestHoldMs, ...rest } = load;
  return {
    ...rest,
    limit: limitOf(load.limit),
    oldestWait: oldestWaitMs ?? null,
    oldestHold: oldestHoldMs ?? null,
  };
}

function holderOf({ id, scope, keyId, label, ageMs }) {
  return { holder: id, scope, id: keyId, label, age: ageMs };
}

function countersOf(stats) {
  const { waits, waitP50Ms, waitP90Ms, waitP99Ms, waitMaxMs, meanHoldMs, peak, ...counters } = stats;
  const times = { count: waits, p50: waitP50Ms, p90: waitP90Ms, p99: waitP99Ms, max: waitMaxMs };
  return { ...counters, waits: times, ...(peak == null ? {} : { peak, meanHold: meanHoldMs ?? null }) };
}

function poolOf({ teller, heldLong, ...options }) {
  return new native.NativePool({ ...options, heldLongMs: heldLong }, Teller.handleOf(teller));
}

/** Limits on requests in flight. */
class SlotPool {
  #native;

  /** Tests pass a handle in place of the options. */
  constructor(options = {}) {
    this.#native = options instanceof native.NativePool ? options : call(() => poolOf(options));
  }

  /** Takes a slot of every key or of none, waiting for it. */
  async acquire(first, second, third) {
    if (isPlain(first, third)) {
      const answer = call(() => this.#native.acquirePlain(first, String(second), limitNumber(third?.limit)));
      return acquired(answer);
    }
    const { names, limits, options } = askedOf(first, second, third);
    const { signal, onPing, onTopOf } = options;
    if (signal?.aborted) throw cancelledBefore(names[0], signal.reason);
    if (names.length !== 2 || onTopOf !== undefined) {
      const handle = this.#wait(names, limits, options);
      return slotOf(native.expectWait(handle), onPing, signal);
    }
    const { label, timeout, maxWaiting, pingEvery } = options;
    const answer = call(() =>
      this.#native.acquireOne(
        names[0],
        names[1],
        limits[0],
        label,
        timeout ?? NaN,
        maxWaiting === undefined ? NaN : Number(maxWaiting),
        pingEvery === null ? -1 : (pingEvery ?? NaN),
      ),
    );
    return acquired(answer, onPing, signal);
  }

  /** Takes a slot of every key or of none, at once. */
  async tryAcquire(first, second, third) {
    const { names, limits, options } = askedOf(first, second, third);
    const label = options.label ?? '';
    return slotOrThrow(
      call(() =>
        names.length === 2
          ? this.#native.tryOne(names[0], names[1], limits[0], label)
          : this.#native.tryAll(names, limits, label),
      ),
    );
  }

  /** Takes the first of these keys that has room, the least loaded first. */
  async tryFirstOf(asks, options) {
    const { names, limits } = askedOf(asks);
    const answer = call(() => this.#native.tryFirstOf(names, limits, options?.label ?? ''));
    if (!(answer instanceof native.NativeFirst)) throw new SlotError(answer);
    return { index: answer.at(), slot: new Slot(answer.slot()) };
  }

  /** Begins to wait, for hosts that look for themselves. */
  wait(first, second, third) {
    const { names, limits, options } = askedOf(first, second, third);
    return new Wait(this.#wait(names, limits, options));
  }

  #wait(names, limits, options) {
    const terms = waitOptions(options);
    return call(() =>
      options.onTopOf === undefined
        ? this.#native.wait(names, limits, terms)
        : this.#native.waitOnTop(Slot.handleOf(options.onTopOf), names, limits, terms),
    );
  }

  async setLimit(scope, id, limit, options) {
    await answerOf(() => this.#native.setLimit(scope, String(id), limitNumber(limit)), options);
  }

  async clearLimit(scope, id, options) {
    await answerOf(() => this.#native.change(scope, String(id), 0), options);
  }

  async closeKey(scope, id, options) {
    await answerOf(() => this.#native.change(scope, String(id), 1), options);
  }

  async openKey(scope, id, options) {
    await answerOf(() => this.#native.change(scope, String(id), 2), options);
  }

  async load(keys, options) {
    return (await answerOf(() => this.#native.load(namesOf(keys)), options)).map(loadOf);
  }

  async orderByLoad(keys, options) {
    const loads = await this.load(keys, options);
    return [...loads.keys()].sort((one, other) => loads[one].rate - loads[other].rate);
  }

  async holders(scope, id, options) {
    return (await answerOf(() => this.#native.holders(scope, String(id)), options)).map(holderOf);
  }

  async heldLongerThan(age, options) {
    return (await answerOf(() => this.#native.heldLongerThan(age), options)).map(holderOf);
  }

  async force(scope, id, holder, options) {
    return answerOf(() => this.#native.force(scope, String(id), holder), options);
  }

  keyStats(scope, id) {
    const stats = call(() => this.#native.keyStats(scope, String(id)));
    return stats === null ? null : countersOf(stats);
  }

  scopeStats(scope) {
    return countersOf(call(() => this.#native.scopeStats(scope)));
  }

  get knownKeys() {
    return call(() => this.#native.knownKeys());
  }

  /** Slots that were collected without a release, so far. */
  get leaked() {
    return call(() => this.#native.leaked());
  }

  /** What was told of leaks since the last call. */
  takeLeaks() {
    return this.#native.takeTold().map(({ scope, id, label, ageMs }) => ({ scope, id, label, age: ageMs }));
  }

  close() {
    if (this.#native.close()) drain();
  }

  /** Lets go of the pool, which closes it. */
  free() {
    if (this.#native.free()) drain();
  }

  [Symbol.dispose]() {
    this.close();
  }

  async [Symbol.asyncDispose]() {
    this.close();
  }
}

/** A limit as older gateways write it: 0 and less mean unlimited. */
function nonpositiveIsUnlimited(number) {
  return limitOf(call(() => native.NativePool.nonpositiveIsUnlimited(number)));
}

module.exports = { SlotPool, nonpositiveIsUnlimited };
