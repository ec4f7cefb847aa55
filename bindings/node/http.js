'use strict';

const { fetchHandler } = require('./lib/http/fetch.js');
const { sseHandler } = require('./lib/http/sse.js');

exports.fetchHandler = fetchHandler;
exports.sseHandler = sseHandler;
