'use strict';

const { ReqbusError, SlotError, call } = require('./errors.js');
const { bell, drain, forget, listen, newToken, onAbort } = require('./loop.js');
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
    // Only a cancel that counted has the host's own reason as its cause.
    const isOurs = step.outcome === 'cancelled' && step.causeContext === 'host';
    return { type: 'ended', error: new SlotError(step, isOurs ? this.#reason : undefined) };
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
    const cause = reason === undefined ? undefined : String(reason?.message ?? reason).slice(0, 255);
    if (this.#native.cancel(cause)) drain();
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

/** The slot at the end of a wait: pings are passed to `onPing`, an aborted signal cancels. */
async function slotOf(wait, onPing, signal) {
  const undo = onAbort(signal, () => wait.cancel(signal.reason));
  try {
    for (;;) {
      const step = await wait.next();
      if (step.type === 'granted') return step.slot;
      if (step.type === 'ended') throw step.error;
      try {
        await onPing?.();
      } catch (error) {
        // The client is gone: nobody is there to be served.
        wait.cancel(error);
      }
    }
  } finally {
    undo();
  }
}

module.exports = { Wait, slotOf };
