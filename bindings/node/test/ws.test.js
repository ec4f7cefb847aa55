'use strict';
// WebSockets, over the real `ws` on both sides, beside plain http, Express and Fastify.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { test } = require('node:test');
const { WebSocket } = require('ws');

const { Bus } = require('./support/testing.js');
const { createServer, listen, listenFastify, read, until } = require('./support/hosts.js');
const { Doors, wsHandler } = require('../http.js');

const HOSTS = {
  http: (ws) => listen(createServer((req, res) => ws(req, res))),
  express: (ws) => {
    const app = require('express')();
    app.get('/ws', ws);
    return listen(createServer(app));
  },
  fastify: (ws) => {
    const app = require('fastify')();
    app.get('/ws', (request, reply) => {
      reply.hijack();
      ws(request.raw, reply.raw);
    });
    return listenFastify(app);
  },
};

/** A server with the handler at `/ws`, for as long as the test. */
async function serve(t, bus, options = {}, host = 'http') {
  const ws = wsHandler(bus, { linger: 0, ...options });
  const { server, port, close } = await HOSTS[host](ws);
  ws.attach(server, '/ws');
  t.after(async () => {
    bus.close();
    await close();
  });
  return port;
}

/** A client, and the messages it got. */
function connect(port, { path = '/ws', protocols = [], ...options } = {}) {
  const ws = new WebSocket(`ws://127.0.0.1:${port}${path}`, protocols, options);
  const messages = [];
  ws.on('message', (data) => messages.push(JSON.parse(data)));
  ws.on('error', () => {});
  const closed = new Promise((resolve) => ws.on('close', (code, reason) => resolve([code, String(reason)])));
  return { ws, messages, opened: once(ws, 'open'), closed };
}

/** How a client is refused before the upgrade. */
async function refused(port, options) {
  const { ws, opened } = connect(port, options);
  opened.catch(() => {});
  const [, res] = await once(ws, 'unexpected-response');
  let text = '';
  for await (const chunk of res.setEncoding('utf8')) text += chunk;
  return [res.statusCode, text];
}

for (const host of Object.keys(HOSTS)) {
  test(`${host}: live, resumed, resynced, left, ended`, async (t) => {
    const bus = new Bus();
    const port = await serve(t, bus, {}, host);
    const live = connect(port);
    await live.opened;
    await until(() => bus.stats().subscriptions === 1n);
    bus.publish({ kind: 'k', json: { n: 1 } });
    bus.publish({ kind: 'k', json: { n: 2 } });
    await until(() => live.messages.length === 2);
    assert.deepEqual(live.messages.map(({ id, kind, data }) => [id, kind, data]), [
      [`${bus.epoch}-1`, 'k', { n: 1 }],
      [`${bus.epoch}-2`, 'k', { n: 2 }],
    ]);
    live.ws.close();
    assert.equal((await live.closed)[0], 1005);
    await until(() => bus.stats().subscriptions === 0n);

    const resumed = connect(port, { path: `/ws?last_event_id=${bus.epoch}-1` });
    await until(() => resumed.messages.length === 1);
    assert.deepEqual(resumed.messages[0].data, { n: 2 });
    const resynced = connect(port, { path: '/ws?last_event_id=nonsense' });
    await until(() => resynced.messages.length === 1);
    assert.equal(resynced.messages[0].kind, 'reqbus.resync');
    bus.close();
    assert.deepEqual(await resumed.closed, [1001, 'closed']);
    assert.equal((await resynced.closed)[0], 1001);
    assert.deepEqual(await refused(port), [503, 'closed\n']);
    assert.equal((await read(port, { path: '/ws' })).status, 426);
  });
}

test('limits, in all and per address, are reserved before the upgrade and given back', async (t) => {
  const bus = new Bus();
  const doors = new Doors({ maxConnections: 3, maxPerAddress: 2 });
  const port = await serve(t, bus, { doors });
  const two = [connect(port), connect(port)];
  await Promise.all(two.map(({ opened }) => opened));
  assert.deepEqual(await refused(port), [503, 'too many connections\n']);
  // Behind a trusted proxy the forwarded address counts.
  const other = connect(port, { headers: { 'x-forwarded-for': '198.51.100.7, 10.0.0.1' } });
  await other.opened;
  assert.equal(doors.connections, 3);
  assert.deepEqual(await refused(port, { headers: { 'x-forwarded-for': '198.51.100.8' } }), [503, 'too many connections\n']);
  for (const { ws } of [...two, other]) ws.terminate();
  await until(() => doors.connections === 0 && bus.stats().subscriptions === 0n);
});

test('a handshake that is none gives its place back', async (t) => {
  const doors = new Doors();
  const port = await serve(t, new Bus(), { doors });
  const headers = { connection: 'upgrade', upgrade: 'websocket', 'sec-websocket-key': 'bad', 'sec-websocket-version': '13' };
  assert.equal((await read(port, { path: '/ws', headers })).status, 400);
  await until(() => doors.connections === 0);
});

test('an origin of another host is refused before the upgrade, as are other paths', async (t) => {
  const port = await serve(t, new Bus());
  assert.deepEqual(await refused(port, { origin: 'https://evil.example' }), [403, 'origin not allowed\n']);
  assert.deepEqual(await refused(port, { path: '/other' }), [404, 'not found\n']);
  const { opened } = connect(port, { origin: 'http://127.0.0.1' });
  await opened;
});

test('switched off: the close code that ends reconnecting', async (t) => {
  const doors = new Doors({ enabled: () => false });
  const port = await serve(t, new Bus(), { doors });
  const { opened, closed } = connect(port);
  await opened;
  assert.deepEqual(await closed, [4001, 'realtime_disabled']);
  assert.equal((await read(port, { path: '/ws' })).status, 404);
  await until(() => doors.connections === 0);
});

test('a token that was offered as a subprotocol is never sent back', async (t) => {
  const port = await serve(t, new Bus(), { subprotocol: 'gateway-admin' });
  const one = connect(port, { protocols: ['token.abc', 'gateway-admin'] });
  await one.opened;
  assert.equal(one.ws.protocol, 'gateway-admin');
  const other = connect(port, { protocols: ['token.abc'] });
  other.opened.catch(() => {});
  // The client, which wanted one of its own, gives up; it has seen no echo.
  const [{ message }] = await once(other.ws, 'error');
  assert.match(message, /no subprotocol/);
});

test('what a client says is passed over; what is too long ends its connection', async (t) => {
  const bus = new Bus();
  const port = await serve(t, bus);
  const { ws, opened, closed, messages } = connect(port);
  await opened;
  ws.send('x'.repeat(1024));
  await until(() => bus.stats().subscriptions === 1n);
  bus.publish({ kind: 'k', text: 'a' });
  await until(() => messages.length === 1);
  ws.send('x'.repeat(1025));
  assert.equal((await closed)[0], 1009);
  await until(() => bus.stats().subscriptions === 0n);
});

test('b9: a quiet connection is told the id up to which it has everything, and pinged', async (t) => {
  const bus = new Bus();
  const port = await serve(t, bus, { heartbeat: 20, kinds: ['other'] });
  const { ws, messages } = connect(port);
  let pings = 0;
  ws.on('ping', () => (pings += 1));
  await until(() => messages.length > 0);
  bus.publish({ kind: 'k', text: 'a' });
  await until(() => messages.at(-1).id === `${bus.epoch}-1` && pings > 1);
  assert.equal(messages.at(-1).kind, 'reqbus.heartbeat');
});

test('a client that answers no ping is let go', async (t) => {
  const bus = new Bus();
  const port = await serve(t, bus, { heartbeat: 10, pongWait: 20 });
  const { opened, closed } = connect(port, { autoPong: false });
  await opened;
  assert.equal((await closed)[0], 1006);
  await until(() => bus.stats().subscriptions === 0n);
});
