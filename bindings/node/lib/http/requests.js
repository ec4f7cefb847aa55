'use strict';

const { SlotError } = require('../errors.js');

const EVENTS = { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache', 'x-accel-buffering': 'no' };
/** What an outcome is answered with; anything else is 503. */
const STATUS = { busy: 429, queue_full: 429, timed_out: 429, cancelled: 499 };

function acceptsEvents(req) {
  return (req.headers.accept ?? '').includes('text/event-stream');
}

/** The answer's own beginning is passed over: the pings began it. */
function passOverBeginning(res) {
  res.writeHead = (status) => {
    res.statusCode = status;
    return res;
  };
  res.setHeader = () => res;
  res.setHeaders = () => res;
  res.appendHeader = () => res;
  res.removeHeader = () => {};
  res.flushHeaders = () => {};
}

/** Writes one ping; resolves when the client's socket has taken it. */
function ping(res, state, text) {
  if (!state.streamStarted) {
    state.streamStarted = true;
    res.writeHead(200, EVENTS);
    passOverBeginning(res);
  }
  state.pingBytes += Buffer.byteLength(text);
  return new Promise((resolve, reject) => res.write(text, (error) => (error ? reject(error) : resolve())));
}

/** Answers with why there is no slot. */
function answer(res, state, error) {
  const status = STATUS[error.code] ?? 503;
  const type = status === 429 ? 'rate_limit_error' : 'api_error';
  const said = { type, code: `slot_${error.code}`, scope: error.scope, retry_after: error.retryAfter };
  const body = JSON.stringify({ type: 'error', error: said });
  res.statusCode = status;
  if (state.streamStarted) return res.end(`event: error\ndata: ${body}\n\n`);
  if (error.retryAfter !== null) res.setHeader('retry-after', String(error.retryAfter));
  res.setHeader('content-type', 'application/json');
  res.setHeader('cache-control', 'no-store');
  return res.end(body);
}

/** The path of a request without its query, which may hold secrets. */
function pathOf(req) {
  return (req.originalUrl ?? req.url).split('?', 1)[0];
}

/** How a request ended. */
function statusOf(res) {
  // A client that left before the end was not served.
  if (!res.writableFinished) return res.statusCode === 429 ? 'rate_limited' : 'error';
  if (res.statusCode < 400) return 'success';
  return res.statusCode === 429 ? 'rate_limited' : 'error';
}

/**
 * A middleware `(req, res, next)`: publishes one event for each request, on every way out, and takes the slots that it
 * needs before `next` is called. `req.reqbus` has the slot, and what pings were written.
 */
function requests(options = {}) {
  const { bus, pool, slots, describe, onRefused = answer, ping: text = ': ping\n\n' } = options;
  const { streams = acceptsEvents, timeout, maxWaiting, pingEvery, onError = () => {} } = options;

  /** What a client can say shall end no process: an event that is refused is told, and that is all. */
  function publish(req, res, begun) {
    const event = {
      method: req.method,
      path: pathOf(req),
      model: '',
      accountId: 0,
      status: statusOf(res),
      latencyMs: Math.round(performance.now() - begun),
    };
    try {
      bus.publishRequest({ ...event, ...describe?.(req, res) });
    } catch (error) {
      onError(error, req);
    }
  }

  return async function middleware(req, res, next) {
    const begun = performance.now();
    const gone = new AbortController();
    const state = { slot: null, streamStarted: false, pingBytes: 0 };
    req.reqbus = state;
    res.once('close', () => {
      gone.abort();
      state.slot?.release();
      if (bus) publish(req, res, begun);
    });
    try {
      const asks = pool ? await slots?.(req) : null;
      if (asks && asks.length > 0) {
        state.slot = await pool.acquire(asks, {
          label: pathOf(req).slice(0, 80),
          timeout,
          maxWaiting,
          pingEvery: streams(req) ? pingEvery : null,
          onPing: () => ping(res, state, text),
          signal: gone.signal,
        });
        // It may have gone while the grant was on its way.
        if (gone.signal.aborted) return void state.slot.release();
      }
    } catch (error) {
      if (gone.signal.aborted) return undefined;
      if (!(error instanceof SlotError) || error.code === 'invalid') return next(error);
      return onRefused === answer ? answer(res, state, error) : onRefused(error, req, res);
    }
    return next();
  };
}

module.exports = { requests };
