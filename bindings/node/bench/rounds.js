'use strict';
// Rows beside a peer, in rounds that alternate: what disturbs one disturbs the other.

/** The median of `rounds` rounds of each side, in nanoseconds; a side returns the time of one round. */
async function beside(rounds, ours, peer) {
  const times = [[], []];
  for (let round = -3; round < rounds; round += 1) {
    const pair = [await ours(), await peer()];
    if (round >= 0) pair.forEach((time, side) => times[side].push(time));
  }
  const median = (list) => [...list].sort((one, other) => one - other)[list.length >> 1];
  return { ours: median(times[0]), peer: median(times[1]) };
}

/** Nanoseconds since some moment. */
const now = () => Number(process.hrtime.bigint());

module.exports = { beside, now };
