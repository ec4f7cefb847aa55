'use strict';

const { STATUS_CODES } = require('node:http');
const { Doors } = require('./doors.js');
const { refuse } = require('./sse.js');
const { pump, resumeId, subscribeOptions } = require('./stream.js');

/** The close code that says: connect no more. */
const SWITCHED_OFF = 4001;
/** A client has nothing to say that is longer. */
const LONGEST_MESSAGE = 1024;

/** The package `ws`, which only this handler needs. */
function loadWs() {
  try {
    return require('ws');
  } catch (cause) {
    const advice = 'wsHandler needs the package ws: npm install ws';
    throw Object.assign(new Error(advice, { cause }), { code: 'ERR_REQBUS_WS' });
  }
}

/** An answer in place of the upgrade. */
function deny(socket, status, text) {
  socket.on('error', () => {});
  const body = `${text}\n`;
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\ncontent-type: text/plain; charset=utf-8\r\n`;
  socket.once('finish', () => socket.destroy());
  socket.end(`${head}content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`);
}

/** Sends texts in one write; resolves when the client's socket has taken the last. */
function send(socket, ws, texts) {
  return new Promise((resolve, reject) => {
    socket.cork();
    texts.forEach((text, at) => {
      const isLast = at === texts.length - 1;
      ws.send(text, isLast ? (error) => (error ? reject(error) : resolve()) : undefined);
    });
    socket.uncork();
  });
}

/** Pings, and ends a connection that answers none. */
function keepAlive(ws, every, pongWait) {
  let silent = 0;
  ws.on('pong', () => (silent = 0));
  const timer = setInterval(() => {
    if (silent >= pongWait) return ws.terminate();
    silent += every;
    return ws.ping();
  }, every);
  timer.unref?.();
  ws.on('close', () => clearInterval(timer));
}

/** A handler of upgrades, `(req, socket, head)`: one JSON object per message, with id, kind, time and payload. */
function wsHandler(bus, options = {}) {
  const { WebSocketServer } = loadWs();
  const doors = Doors.of(options);
  const { heartbeat = 30000, pongWait = 60000, subprotocol, writeTimeout } = options;
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: LONGEST_MESSAGE,
    // What else a client offers, a token perhaps, is never sent back.
    handleProtocols: (offered) => (offered.has(subprotocol) ? subprotocol : false),
  });

  async function serve(req, socket, ws) {
    const gone = new AbortController();
    ws.on('close', () => gone.abort());
    // What clients say means nothing here; what they say wrongly ends the connection, which is told as a close.
    ws.on('error', () => {});
    if (!doors.enabled) return ws.close(SWITCHED_OFF, 'realtime_disabled');
    let subscription;
    try {
      const after = resumeId(req.headers['last-event-id'], req.url);
      subscription = bus.subscribe(subscribeOptions(options, after));
      keepAlive(ws, heartbeat, pongWait);
      const read = () => subscription.nextTexts('envelope', { signal: gone.signal });
      const beat = () => {
        // A look first: events that others get are settled by it.
        const texts = subscription.tryTexts('envelope') ?? [];
        for (const text of [...texts, subscription.heartbeat('envelope')]) ws.send(text);
      };
      await pump({ heartbeat, writeTimeout }, read, (texts) => send(socket, ws, texts), beat);
      return ws.close(1001, 'closed');
    } catch {
      if (subscription === undefined) return ws.close(1013, 'not available');
      return ws.terminate();
    } finally {
      subscription?.free();
    }
  }

  function upgrade(req, socket, head) {
    // Node leaves an upgraded socket to whoever takes it.
    socket.on('error', () => {});
    if (!doors.isAllowed(req)) return deny(socket, 403, 'origin not allowed');
    if (bus.closed) return deny(socket, 503, 'closed');
    const leave = doors.enter(doors.addressOf(req));
    if (leave === null) return deny(socket, 503, 'too many connections');
    // However it ends, also before it is a WebSocket.
    socket.on('close', leave);
    return server.handleUpgrade(req, socket, head, (ws) => serve(req, socket, ws));
  }

  /** Of upgrades; of `(req, res)` too, which only says that an upgrade is wanted. */
  function handler(req, other, head) {
    if (typeof other.writeHead !== 'function') return upgrade(req, other, head);
    if (!doors.enabled) return refuse(other, 404, 'not found');
    return refuse(other, 426, 'a WebSocket', { upgrade: 'websocket', connection: 'upgrade' });
  }

  /** Serves the upgrades of one path of an http server; others are left to others. */
  handler.attach = (http, path) => {
    const listener = (req, socket, head) => {
      if (req.url.split('?', 1)[0] === path) upgrade(req, socket, head);
      // With nobody else to take it, it would stay for ever.
      else if (http.listenerCount('upgrade') === 1) deny(socket, 404, 'not found');
    };
    http.on('upgrade', listener);
    return () => http.off('upgrade', listener);
  };
  return handler;
}

module.exports = { wsHandler };
