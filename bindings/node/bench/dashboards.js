'use strict';
// Processor time of a gateway per frame, delivered over real sockets to dashboards in another process.

const { fork } = require('node:child_process');
const { EventEmitter, once } = require('node:events');
const { createServer } = require('node:http');
const { join } = require('node:path');

const { Bus } = require('../index.js');
const { sseHandler } = require('../http.js');

const DASHBOARDS = 64;
/** What a gateway finishes in one second at 5,000 requests a second, as they come: a few at a time. */
const FRAMES = 5000;
const EACH = 5;

/** Publishes the frames over a second. */
async function paced(publish) {
  const begun = performance.now();
  for (let at = 0; at < FRAMES; at += EACH) {
    for (let one = 0; one < EACH; one += 1) publish();
    const due = begun + ((at + EACH) / FRAMES) * 1000;
    do await new Promise((resolve) => setTimeout(resolve, 1));
    while (performance.now() < due - 1);
  }
}

/** Nanoseconds of processor time of this process for each frame. */
async function cpuPerFrame(handler, publish) {
  const server = createServer(handler).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const readers = fork(join(__dirname, 'readers.js'), [server.address().port, DASHBOARDS, FRAMES].map(String));
  await once(readers, 'message');
  const before = process.cpuUsage();
  const done = once(readers, 'message');
  await paced(publish);
  await done;
  const { user, system } = process.cpuUsage(before);
  readers.kill();
  server.closeAllConnections();
  server.close();
  await once(readers, 'exit');
  return ((user + system) * 1000) / (FRAMES * DASHBOARDS);
}

async function dashboardsRow(report) {
  const name = `node/dashboards/${DASHBOARDS}`;
  if (!report.wants(name)) return;
  const ours = async () => {
    const bus = new Bus({ logEvents: FRAMES });
    const handler = sseHandler(bus, { maxConnections: DASHBOARDS, maxPerAddress: 0 });
    const spent = await cpuPerFrame(handler, () =>
      bus.publishRequest('POST', '/v1/messages', 'claude-sonnet-4', 42, 'success', 812),
    );
    bus.close();
    return spent;
  };
  const peer = () => {
    const emitter = new EventEmitter().setMaxListeners(0);
    const handler = (req, res) => {
      res.writeHead(200, { 'content-type': 'text/event-stream' });
      res.write(': connected\n\n');
      const told = (event) => res.write(`event: request\ndata: ${JSON.stringify(event)}\n\n`);
      emitter.on('request', told);
      res.on('close', () => emitter.off('request', told));
    };
    return cpuPerFrame(handler, () =>
      emitter.emit('request', {
        timestamp: new Date().toISOString(),
        method: 'POST',
        path: '/v1/messages',
        model: 'claude-sonnet-4',
        account_id: 42,
        status: 'success',
        latency_ms: 812,
      }),
    );
  };
  const row = { name, peer: 'EventEmitter + JSON.stringify + res.write', unit: 'CPU ns/frame', target: 0.2, rounds: 5, warm: 1 };
  await report.measure(row, ours, peer);
}

module.exports = { dashboardsRow };
