'use strict';

const native = require('./native.js').get();
const { ReqbusError, SlotError, call } = require('./errors.js');
const { bell, drain, expected, forget, listen, newToken, onAbort } = require('./loop.js');
const { Slot } = require('./slot.js');

/** A request that waits for its slot. */
class Wait {
  #native;
  #token = 0;
  #reason = undefined;
  #waits = false;

  constructor(handle) {
    this.#native = handle;
  }

  get position() {
    return this.#native.position();
  }

  /** What is new: `null` for nothing, a ping that is due, the slot, or the end. */
  tryNext() {
    const step = call(() => this.#native.tryNext());
    if (step === null) return null;
    if (step === true) return { type: 'ping' };
    if (typeof step === 'number') return { type: 'granted', slot: new Slot(step) };
    return { type: 'ended', error: errorOf(step, this.#reason) };
  }

  /** What is new, as soon as there is something. */
  async next({ signal } = {}) {
    signal?.throwIfAborted();
    if (this.#waits) {
      const why = 'another call waits on this; one at a time';
      throw new ReqbusError('busy', 'wait', `busy (wait): ${why}`);
    }
    const step = this.tryNext();
    return step ?? this.#ring(signal);
  }

  #ring(signal) {
    return new Promise((resolve, reject) => {
      this.#waits = true;
      const end = (settle, value) => {
        forget(this.#token);
        this.#waits = false;
        undo();
        settle(value);
      };
      const undo = onAbort(signal, () => end(reject, signal.reason));
      const look = () => {
        const step = this.tryNext();
        if (step !== null) end(resolve, step);
      };
      const isNew = this.#token === 0;
      if (isNew) this.#token = newToken();
      listen(this.#token, look);
      // Rings at once; the look after that arms.
      if (isNew && call(() => this.#native.attach(bell, this.#token))) drain();
    });
  }

  /** Gives up. `reason` is the cause of the error that the wait ends with. */
  cancel(reason) {
    this.#reason ??= reason;
    if (this.#native.cancel(causeOf(reason))) drain();
    // What it ended with is there now.
    if (this.#waits) drain();
  }

  /** Lets go of it; what it has not handed out is given back. */
  free() {
    if (this.#native.free()) drain();
  }

  [Symbol.dispose]() {
    this.free();
  }

  async [Symbol.asyncDispose]() {
    this.free();
  }
}

/** What the extension says of a wait that is no slot's number (bindings/node/src/expected.rs). */
const [PING, ENDED] = [-1, -2];

/** The slot at the end of a wait, by its number: pings are passed to `onPing`, an aborted signal cancels. */
function slotOf(at, onPing, signal) {
  return new Promise((resolve, reject) => {
    let isOver = false;
    let isPinging = false;
    let reason;
    const told = (step) => {
      if (step === PING) return ping();
      isOver = true;
      expected.delete(at);
      undo();
      if (step === ENDED) return reject(errorOf(native.refusalOfWait(at), reason));
      return resolve(new Slot(step));
    };
    const look = () => {
      // A grant is returned after the ping was written.
      if (isOver || isPinging) return;
      const step = native.nextOfWait(at);
      if (step !== null) told(step);
      drain();
    };
    const cancel = (why) => {
      reason ??= why;
      native.cancelWait(at, causeOf(why));
      drain();
      // What it ended with is there now.
      look();
    };
    const ping = () => {
      isPinging = true;
      const end = (failed) => {
        isPinging = false;
        // The client is gone: nobody is there to be served.
        if (failed !== undefined) cancel(...failed);
        else look();
      };
      // Not within the call that drains: it is the host's.
      Promise.resolve().then(onPing).then(() => end(), (error) => end([error]));
    };
    const undo = onAbort(signal, () => cancel(signal.reason));
    expected.set(at, told);
    // It rang as it came; the look at that arms it.
    drain();
  });
}

/** What a wait ended with. Only a cancel that counted has the host's own reason as its cause. */
function errorOf(refusal, reason) {
  const isOurs = refusal.outcome === 'cancelled' && refusal.causeContext === 'host';
  return new SlotError(refusal, isOurs ? reason : undefined);
}

/** A reason of the host's as the extension takes it. */
function causeOf(reason) {
  return reason === undefined ? undefined : String(reason?.message ?? reason).slice(0, 255);
}

module.exports = { Wait, slotOf };
