'use strict';

const { readFileSync } = require('node:fs');
const { join } = require('node:path');

const HEADERS = {
  'content-type': 'text/html; charset=utf-8',
  'x-content-type-options': 'nosniff',
  'content-security-policy':
    "default-src 'none'; connect-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'",
};

const page = () => readFileSync(join(__dirname, 'viewer.html'));

/** A page that shows requests as they finish. It reads them from `events` beside its own address. */
function viewerHandler() {
  const text = page();
  return function viewer(req, res) {
    res.writeHead(200, { ...HEADERS, 'content-length': text.length });
    res.end(req.method === 'HEAD' ? undefined : text);
  };
}

/** The same in the words of fetch. */
function fetchViewer() {
  const text = page();
  return function viewer() {
    return new Response(text, { headers: HEADERS });
  };
}

module.exports = { fetchViewer, viewerHandler };
