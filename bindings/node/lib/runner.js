'use strict';

const { AsyncLocalStorage } = require('node:async_hooks');
const { Admission } = require('./admission.js');
const { ReqbusError } = require('./errors.js');
const { onAbort } = require('./loop.js');

/** Longer than this Node's timers do not go. */
const LONGEST_MS = 2 ** 31 - 1;

/** A timer that keeps no process alive; it never fires early. */
function after(ms, told) {
  const timer = setTimeout(told, Math.min(Math.ceil(ms), LONGEST_MS));
  timer.unref?.();
  return timer;
}

function error(code, context, why) {
  return new ReqbusError(code, context, `${code} (${context}): ${why}`);
}

/** Periodic checks as promises of this loop: a few at once, never two of one id, the longest overdue first. */
class Runner {
  #admission;
  #makeAdmission;
  #due;
  #check;
  #onError;
  #life = 'new';
  #timer = null;
  /** What of the host's is under way: checks, and the question what is due. */
  #work = new Set();
  /** In whose call the current code runs: who stops its own runner does not wait for itself. */
  #inside = new AsyncLocalStorage();
  /** Calls of the host's that have stopped the runner: they do not wait for each other. */
  #stopping = new Set();
  /** Who waits for the end. */
  #waiters = new Set();

  /** Tests pass what makes the admission. */
  constructor({ due, check, onError = () => {}, ...options }, makeAdmission = () => new Admission(options)) {
    if (typeof due !== 'function') throw error('invalid_argument', 'due', 'it is no function');
    if (typeof check !== 'function') throw error('invalid_argument', 'check', 'it is no function');
    this.#due = due;
    this.#check = check;
    this.#onError = onError;
    this.#makeAdmission = makeAdmission;
    this.#admission = makeAdmission();
  }

  /** Begins; twice is once. */
  start() {
    if (this.#life === 'stopped') throw error('closed', 'runner', 'it was stopped');
    if (this.#life === 'started') return this;
    this.#life = 'started';
    // The first round is so long after the start, not after the runner was made.
    const { paused } = this.#admission;
    this.#admission = this.#makeAdmission();
    if (paused) this.#admission.pause();
    this.#sleep();
    return this;
  }

  get started() {
    return this.#life === 'started';
  }

  pause() {
    this.#admission.pause();
  }

  resume() {
    this.#admission.resume();
  }

  get paused() {
    return this.#admission.paused;
  }

  inFlight() {
    return this.#admission.inFlight();
  }

  stats() {
    return this.#admission.stats();
  }

  #sleep() {
    if (this.#life !== 'started') return;
    this.#timer = after(this.#admission.untilNextRound, () => {
      if (this.#admission.untilNextRound > 0) this.#sleep();
      else this.#round().finally(() => this.#sleep());
    });
  }

  /** One round; it never rejects. */
  async #round() {
    // A round that is passed over: the host is not asked.
    if (this.paused) return void this.#admission.admit([]);
    const asking = { gone: new AbortController() };
    let permits;
    try {
      const due = await this.#of(asking, () => this.#due({ signal: asking.gone.signal }));
      if (this.#life !== 'started') return;
      permits = this.#admission.admit(due);
    } catch (failed) {
      this.#admission.failRound();
      // What a stop broke off has not failed.
      if (this.#life === 'started') this.#tell(failed, null);
      return;
    }
    for (const permit of permits) this.#run(permit);
  }

  /** Runs a call of the host's, which a stop tells and waits for. */
  async #of(work, run) {
    this.#work.add(work);
    try {
      return await this.#inside.run(work, run);
    } finally {
      this.#work.delete(work);
      this.#stopping.delete(work);
      this.#wake();
    }
  }

  /** One check; it never rejects. */
  #run(permit) {
    const { id } = permit;
    const work = { id, gone: new AbortController() };
    const { signal } = work.gone;
    const isOver = () => work.gone.abort(error('timeout', 'check', 'it is over its time'));
    const timer = after(permit.timeLeft, isOver);
    let verdict = 'panicked';
    return this.#of(work, async () => {
      try {
        // All of a round are there before the first of them can stop the runner.
        await null;
        verdict = (await this.#check(id, { signal })) === false ? 'failed' : 'succeeded';
      } catch (failed) {
        this.#tell(failed, id);
      } finally {
        clearTimeout(timer);
        permit.finish(verdict);
      }
    });
  }

  /** What the host's sink throws is nobody's. */
  #tell(failed, id) {
    try {
      this.#onError(failed, id);
    } catch {}
  }

  /** Whether nothing of the host's is under way but what has itself stopped the runner. */
  #isOver(inside) {
    for (const work of this.#work) {
      if (work !== inside && !(inside !== undefined && this.#stopping.has(work))) return false;
    }
    return true;
  }

  #wake() {
    for (const look of [...this.#waiters]) look();
  }

  /** Nothing begins any more; what is under way is told, and waited for. */
  async stop({ timeout = Infinity, signal } = {}) {
    this.#halt();
    const caller = this.#inside.getStore();
    const inside = this.#work.has(caller) ? caller : undefined;
    if (inside !== undefined) {
      this.#stopping.add(inside);
      this.#wake();
    }
    signal?.throwIfAborted();
    if (!this.#isOver(inside) && timeout > 0) await this.#untilOver(inside, timeout, signal);
    const left = this.inFlight().filter(({ id }) => id !== inside?.id);
    return { left, hasEnded: [...this.#work].every((work) => work === inside) };
  }

  #halt() {
    if (this.#life === 'stopped') return;
    this.#life = 'stopped';
    clearTimeout(this.#timer);
    this.#admission.stop();
    const reason = error('closed', 'runner', 'it is being stopped');
    for (const work of this.#work) work.gone.abort(reason);
  }

  #untilOver(inside, timeout, signal) {
    return new Promise((resolve, reject) => {
      const end = (settle, value) => {
        clearTimeout(timer);
        this.#waiters.delete(look);
        undo();
        settle(value);
      };
      const look = () => {
        if (this.#isOver(inside)) end(resolve);
      };
      // Who awaits this with a timeout gets an answer, also in a process that has nothing else to do.
      const timer = timeout === Infinity ? undefined : setTimeout(() => end(resolve), Math.min(timeout, LONGEST_MS));
      const undo = onAbort(signal, () => end(reject, signal.reason));
      this.#waiters.add(look);
    });
  }

  /** Stops, and waits for nobody. */
  [Symbol.dispose]() {
    this.#halt();
  }

  /** Stops, and waits for all. */
  async [Symbol.asyncDispose]() {
    await this.stop();
  }
}

module.exports = { Runner };
