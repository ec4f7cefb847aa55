'use strict';
// Measures beside peers in one run, with a release build that lies beside index.js. Prints a table and puts its rows into
// target/bench.json.
//
//   node bench [--quick] [--only NAME] [--out FILE]

const { join } = require('node:path');
const { parseArgs } = require('node:util');

const { dashboardsRow } = require('./dashboards.js');
const { publishRow } = require('./publish.js');
const { Report } = require('./report.js');
const { acquireReleaseRow, handOverRow } = require('./slots.js');

async function main() {
  const options = { quick: { type: 'boolean' }, only: { type: 'string' }, out: { type: 'string' } };
  const { values } = parseArgs({ options });
  const report = new Report(values);
  await publishRow(report, 1, 1.3);
  await publishRow(report, 64, 0.05);
  await dashboardsRow(report);
  await acquireReleaseRow(report);
  await handOverRow(report);
  report.print();
  report.write(values.out ?? join(__dirname, '../../../target/bench.json'));
}

main();
