'use strict';

/** What reqbus throws: `code` is for programs, the same word in every language; the message is for people. */
class ReqbusError extends Error {
  constructor(code, context, message, options) {
    super(message, options);
    this.code = code;
    this.context = context;
  }

  get name() {
    return 'ReqbusError';
  }
}

/** The limit as users see it: a number, `'unlimited'`, or `null` for none. */
function limitOf(number) {
  if (number === Infinity) return 'unlimited';
  return Number.isNaN(number) ? null : number;
}

/** Why there is no slot. `code` is the outcome. */
class SlotError extends ReqbusError {
  constructor(refusal, reason) {
    super(refusal.outcome, refusal.causeContext ?? 'slot', refusal.message, causeOf(refusal, reason));
    this.scope = refusal.scope;
    this.limit = limitOf(refusal.limit);
    this.inUse = refusal.inUse;
    this.waiting = refusal.waiting;
    this.position = refusal.position;
    this.waited = refusal.waitedMs;
    this.pings = refusal.pings;
    this.retryAfter = refusal.retryAfterS ?? null;
  }

  get name() {
    return 'SlotError';
  }
}

function causeOf(refusal, reason) {
  if (reason !== undefined) return { cause: reason };
  if (refusal.causeCode == null) return undefined;
  return { cause: new ReqbusError(refusal.causeCode, refusal.causeContext, refusal.causeMessage) };
}

/** A wait that the caller gave up before it began. */
function cancelledBefore(scope, reason) {
  const message = `cancelled: ${scope}: the signal was aborted before the call`;
  const standing = { limit: NaN, inUse: 0, waiting: 0, position: 0, waitedMs: 0, pings: 0 };
  return new SlotError({ outcome: 'cancelled', message, scope, ...standing }, reason);
}

/** The error of the extension, in users' words. Others pass as they are. */
function translate(error) {
  if (error instanceof Error && error.message.charCodeAt(0) === 1) {
    const [, code, context, message] = error.message.split('\u0001');
    return new ReqbusError(code, context, `${code} (${context}): ${message}`);
  }
  if (error instanceof Error && typeof error.code === 'string' && /Expected$|^InvalidArg$/.test(error.code)) {
    // An argument of another sort than the extension takes.
    return new ReqbusError('invalid_argument', 'arguments', `invalid_argument: ${error.message}`, { cause: error });
  }
  return error;
}

/** Runs a call of the extension. */
function call(run) {
  try {
    return run();
  } catch (error) {
    throw translate(error);
  }
}

module.exports = { ReqbusError, SlotError, call, cancelledBefore, limitOf, translate };
