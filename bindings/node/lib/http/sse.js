'use strict';

const { Doors } = require('./doors.js');
const { SSE_HEADERS, pumpEvents, resumeId, subscribeOptions } = require('./stream.js');

function refuse(res, status, text, headers = {}) {
  res.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store', ...headers });
  res.end(status === 204 ? undefined : `${text}\n`);
}

/** Until the client has taken what was written, or is gone. */
function drained(res) {
  return new Promise((resolve) => {
    const end = () => {
      res.off('drain', end);
      res.off('close', end);
      resolve();
    };
    res.on('drain', end);
    res.on('close', end);
  });
}

/** A handler of `(req, res)` for plain http, Express and whatever hands those out. */
function sseHandler(bus, options = {}) {
  const doors = Doors.of(options);
  return async function sse(req, res) {
    if (req.method !== 'GET' && req.method !== 'HEAD') return refuse(res, 405, 'GET only', { allow: 'GET, HEAD' });
    if (!doors.isAllowed(req)) return refuse(res, 403, 'origin not allowed');
    // The one status by which an EventSource stops for good.
    if (!doors.enabled) return refuse(res, 204);
    if (bus.closed) return refuse(res, 503, 'closed');
    const leave = doors.enter(doors.addressOf(req));
    if (leave === null) return refuse(res, 503, 'too many connections');
    const gone = new AbortController();
    res.on('close', () => gone.abort());
    let subscription;
    try {
      if (req.method === 'HEAD') return res.writeHead(200, SSE_HEADERS).end();
      const after = resumeId(req.headers['last-event-id'], req.originalUrl ?? req.url);
      subscription = bus.subscribe(subscribeOptions(options, after));
      res.writeHead(200, SSE_HEADERS);
      await pumpEvents(subscription, options, gone.signal, (frames) => {
        if (!res.write(frames)) return drained(res);
      });
      res.end();
    } catch (error) {
      if (!gone.signal.aborted) {
        if (res.headersSent) res.destroy(error);
        else refuse(res, 500, 'cannot subscribe');
      }
    } finally {
      subscription?.free();
      leave();
    }
  };
}

module.exports = { refuse, sseHandler };
