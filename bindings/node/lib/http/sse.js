'use strict';

const { Doors } = require('./doors.js');
const { EventStream, together } = require('./event_stream.js');
const { SSE_HEADERS, resumeId, subscribeOptions } = require('./stream.js');

function refuse(res, status, text, headers = {}) {
  res.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store', ...headers });
  res.end(status === 204 ? undefined : `${text}\n`);
}

/** A handler of `(req, res)` for plain http, Express and whatever hands those out. */
function sseHandler(bus, options = {}) {
  const doors = Doors.of(options);
  const later = together(options.linger ?? 10);
  return function sse(req, res) {
    if (req.method !== 'GET' && req.method !== 'HEAD') return refuse(res, 405, 'GET only', { allow: 'GET, HEAD' });
    if (!doors.isAllowed(req)) return refuse(res, 403, 'origin not allowed');
    // The one status by which an EventSource stops for good.
    if (!doors.enabled) return refuse(res, 204);
    if (bus.closed) return refuse(res, 503, 'closed');
    if (req.method === 'HEAD') return void res.writeHead(200, SSE_HEADERS).end();
    const leave = doors.enter(doors.addressOf(req));
    if (leave === null) return refuse(res, 503, 'too many connections');
    res.on('close', leave);
    const after = resumeId(req.headers['last-event-id'], req.originalUrl ?? req.url);
    let subscription;
    try {
      subscription = bus.subscribe(subscribeOptions(options, after));
    } catch {
      return refuse(res, 503, 'not available');
    }
    return void new EventStream(res, subscription, options, later);
  };
}

module.exports = { refuse, sseHandler };
