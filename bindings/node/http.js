'use strict';

const { Doors, parseOriginPolicy } = require('./lib/http/doors.js');
const { fetchHandler } = require('./lib/http/fetch.js');
const { parseTrustedProxies } = require('./lib/http/proxies.js');
const { requests } = require('./lib/http/requests.js');
const { sseHandler } = require('./lib/http/sse.js');
const { fetchViewer, viewerHandler } = require('./lib/http/viewer.js');
const { wsHandler } = require('./lib/http/ws.js');

exports.Doors = Doors;
exports.fetchHandler = fetchHandler;
exports.fetchViewer = fetchViewer;
exports.parseOriginPolicy = parseOriginPolicy;
exports.parseTrustedProxies = parseTrustedProxies;
exports.requests = requests;
exports.sseHandler = sseHandler;
exports.viewerHandler = viewerHandler;
exports.wsHandler = wsHandler;
