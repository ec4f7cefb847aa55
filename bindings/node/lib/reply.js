'use strict';

const native = require('./native.js').get();
const { call, translate } = require('./errors.js');
const { bell, drain, forget, listen, newToken, onAbort } = require('./loop.js');

/** What a store answers: from memory it is there at once. What `ask` changed stays changed, also after an abort. */
async function answerOf(ask, { signal } = {}) {
  signal?.throwIfAborted();
  const answer = call(ask);
  // Who waits may have been told.
  drain();
  return answer instanceof native.NativeReply ? later(answer, signal) : answer;
}

function later(reply, signal) {
  return new Promise((resolve, reject) => {
    const token = newToken();
    const end = (settle, value) => {
      forget(token);
      undo();
      settle(value);
    };
    const undo = onAbort(signal, () => end(reject, signal.reason));
    listen(token, () => {
      try {
        const answer = reply.tryTake();
        if (answer !== null) end(resolve, answer);
      } catch (error) {
        end(reject, translate(error));
      }
    });
    // Rings at once.
    if (reply.attach(bell, token)) drain();
  });
}

module.exports = { answerOf };
