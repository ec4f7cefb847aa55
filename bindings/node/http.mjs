import http from './http.js';

export const {
  Doors,
  fetchHandler,
  fetchViewer,
  parseOriginPolicy,
  parseTrustedProxies,
  requests,
  sseHandler,
  viewerHandler,
  wsHandler,
} = http;
