// What the demo says: who talks to whom, what was measured, and whether all of it held.

import {
  formatBytes,
  formatCount,
  formatMicroseconds,
  formatNodeId,
  formatRate,
} from './units.mjs';

const REFUSALS = [
  {
    id: 'wrongPsk',
    title: 'wrong PSK',
    tried: 'connect with another pre-shared key',
    expected: 'ConnectionError',
  },
  {
    id: 'wrongPublicKey',
    title: 'wrong public key',
    tried: "connect with a public key that is not the receiver's",
    expected: 'ConnectionError',
  },
  {
    id: 'beyondWindow',
    title: 'beyond the window',
    tried: 'send a batch of twice the window of its stream',
    expected: 'BackpressureError',
  },
];

const SECURITY = {
  modern: 'modern: forward secrecy, both identities proven',
  legacy: 'legacy: base protocol only',
};

export function introduction({ source, receiver, sender }) {
  const node = ({ nodeId, addr }) => `${formatNodeId(nodeId)} at ${addr}`;
  return [
    'Two processes, one encrypted mesh',
    `  sender    ${node(sender)}`,
    `  receiver  ${node(receiver)}`,
    '',
    `Sending ${source.name}, ${formatBytes(source.bytes)}`,
  ].join('\n');
}

/** Everything seen as one plain object; `ok` only if all of it is as it should be. */
export function judge(seen) {
  const { source, sent, received, roundTrips, before, after } = seen;
  const refusals = REFUSALS.map(({ id, tried, expected }) => {
    const error = seen.refusals[id];
    return { id, tried, expected, error, held: error?.name === expected };
  });
  const problems = [];
  const hold = (condition, problem) => {
    if (!condition) problems.push(problem);
  };
  hold(received.bytes === source.bytes, 'not every byte arrived');
  hold(sent.sha256 === received.sha256, 'the SHA-256 digests differ');
  hold(sent.verified && received.verified, 'the receiver did not verify the file');
  hold(sent.security === 'modern', 'the session is not a modern one');
  hold(roundTrips.count > 0, 'no round trip was measured');
  for (const { held, tried } of refusals) hold(held, `not refused: ${tried}`);
  const strangers = Number(after.droppedHandshakes - before.droppedHandshakes);
  hold(strangers >= 2, 'the receiver does not count the handshakes that it refused');
  hold(after.peers === 1, 'the receiver has another peer than the sender');
  hold(
    seen.windowEvents === seen.refusals.windowEvents,
    'of the batch beyond the window something was sent',
  );
  return {
    ok: problems.length === 0,
    problems,
    file: { name: source.name, kind: source.kind, bytes: source.bytes, sha256: received.sha256 },
    transfer: {
      verified: sent.verified && received.verified && sent.sha256 === received.sha256,
      seconds: sent.seconds,
      bytesPerSecond: sent.bytes / sent.seconds,
    },
    roundTrip: roundTrips,
    security: sent.security,
    aead: sent.aead,
    packets: {
      sent: sent.packetsSent,
      received: sent.packetsReceived,
      lost: sent.packetsLost,
      retransmittedBytes: sent.bytesRetransmitted,
    },
    cpuSeconds: { sender: sent.cpuSeconds, receiver: received.cpuSeconds },
    refusals,
    refusedHandshakePackets: strangers,
  };
}

/** The result for people. */
export function summary(result) {
  const { transfer, roundTrip, packets, cpuSeconds, file } = result;
  const rows = [
    ['SHA-256', `${file.sha256}${transfer.verified ? ', the same on both sides' : ''}`],
    [
      'throughput',
      `${formatRate(transfer.bytesPerSecond)} (${transfer.seconds.toFixed(3)} s, hashed at both ends)`,
    ],
    [
      'round trip',
      `p50 ${formatMicroseconds(roundTrip.p50Us)}, p99 ${formatMicroseconds(roundTrip.p99Us)} ` +
        `(${formatCount(roundTrip.count)} × ${roundTrip.bytes} B, one at a time)`,
    ],
    ['security', SECURITY[result.security] ?? result.security],
    ['AEAD', result.aead],
    ['packets', `${formatCount(packets.sent)} out, ${formatCount(packets.received)} in`],
    [
      'retransmits',
      `${formatCount(packets.lost)} packets lost, ${formatBytes(packets.retransmittedBytes)} sent again`,
    ],
    [
      'CPU time',
      `sender ${cpuSeconds.sender.toFixed(3)} s, receiver ${cpuSeconds.receiver.toFixed(3)} s`,
    ],
  ];
  const refusals = result.refusals.map(({ id, held, error }) => {
    const { title } = REFUSALS.find((refusal) => refusal.id === id);
    const said = error === null ? 'nothing was refused' : `${error.name}: ${error.message}`;
    return `  ${held ? '✓' : '✗'} ${title.padEnd(18)} ${said}`;
  });
  const verdict = result.ok
    ? 'All held.'
    : `Failed:\n${result.problems.map((problem) => `  ${problem}`).join('\n')}`;
  return [
    '',
    ...rows.map(([title, value]) => `  ${title.padEnd(12)} ${value}`),
    '',
    'Refused',
    ...refusals,
    `  A handshake that does not verify gets no answer: the receiver dropped ${result.refusedHandshakePackets} packets.`,
    '',
    verdict,
  ].join('\n');
}
