import http from './http.js';

export const { fetchHandler, sseHandler } = http;
