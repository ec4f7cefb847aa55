'use strict';

const { Gate, isAllowedOrigin } = require('./gate.js');
const { SSE_HEADERS, pump, resumeId, subscribeOptions } = require('./stream.js');

function refuse(res, status, text, headers = {}) {
  res.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', ...headers });
  res.end(`${text}\n`);
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
  const gate = new Gate(options);
  return async function sse(req, res) {
    if (req.method !== 'GET') return refuse(res, 405, 'GET only', { allow: 'GET' });
    if (!isAllowedOrigin(req.headers.origin, req.headers.host, options)) return refuse(res, 403, 'origin not allowed');
    if (bus.closed) return refuse(res, 503, 'closed');
    const leave = gate.enter(req.socket?.remoteAddress ?? '');
    if (leave === null) return refuse(res, 503, 'too many connections');
    const gone = new AbortController();
    res.on('close', () => gone.abort());
    let subscription;
    try {
      const after = resumeId(req.headers['last-event-id'], req.originalUrl ?? req.url);
      subscription = bus.subscribe(subscribeOptions(options, after));
      res.writeHead(200, SSE_HEADERS);
      res.flushHeaders();
      await pump(subscription, options, gone.signal, (frames) => {
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

module.exports = { sseHandler };
