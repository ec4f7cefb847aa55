'use strict';
// The dashboards: a process of its own, whose time is not counted. It says `ready` when all are connected, and `done` when
// each has its frames.

const { connect } = require('node:net');

const [port, readers, frames] = process.argv.slice(2).map(Number);
let [ready, done] = [0, 0];

for (let at = 0; at < readers; at += 1) {
  const socket = connect(port, '127.0.0.1');
  let seen = 0;
  let isFirst = true;
  socket.write('GET /events HTTP/1.1\r\nhost: x\r\n\r\n');
  socket.on('data', (bytes) => {
    if (isFirst) {
      isFirst = false;
      ready += 1;
      if (ready === readers) process.send('ready');
    }
    if (bytes.includes('reqbus.lost')) throw new Error('lost');
    // One to a frame, wherever reads and chunks end.
    for (let from = bytes.indexOf(0x7b); from >= 0; from = bytes.indexOf(0x7b, from + 1)) seen += 1;
    if (seen !== frames) return;
    seen += 1;
    done += 1;
    if (done === readers) process.send('done');
  });
}

process.on('disconnect', () => process.exit(0));
