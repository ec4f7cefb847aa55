'use strict';
// Servers that tests mount handlers in, and clients of them.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { createServer, request: httpRequest } = require('node:http');

/** Where a server listens, and how to stop it. */
async function listen(server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = () => {
    server.closeAllConnections?.();
    return new Promise((resolve) => server.close(resolve));
  };
  return { server, port: server.address().port, close };
}

/** As above, of Fastify. */
async function listenFastify(app) {
  await app.listen({ port: 0, host: '127.0.0.1' });
  const close = () => {
    app.server.closeAllConnections();
    return app.close();
  };
  return { server: app.server, port: app.server.address().port, close };
}

/** Connects, and reads until `isDone` of the text so far; then the client goes away. */
async function read(port, { isDone = () => false, path = '/events', method, headers = {}, body } = {}) {
  const req = httpRequest({ port, host: '127.0.0.1', path, method, headers, agent: false });
  req.end(body);
  const [res] = await once(req, 'response');
  let text = '';
  try {
    for await (const chunk of res.setEncoding('utf8')) {
      text += chunk;
      if (isDone(text)) break;
    }
  } finally {
    req.destroy();
  }
  return { status: res.statusCode, headers: res.headers, text };
}

/** Waits, as long as it takes within some 20 seconds, for what happens in another part of the process. */
async function until(isTrue) {
  for (let at = 0; at < 4000 && !(await isTrue()); at += 1) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.ok(await isTrue());
}

module.exports = { createServer, listen, listenFastify, read, until };
