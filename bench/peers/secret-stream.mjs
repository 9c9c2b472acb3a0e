import { once } from 'node:events';

import { EchoWaiter } from '../lib/echo.mjs';

const RECEIVER_STREAM_ID = 1;
const SENDER_STREAM_ID = 2;

/**
 * Opened here, not above: a missing package is a reason to skip this peer, not an error.
 */
async function load() {
  const [{ default: SecretStream }, { default: UDX }] = await Promise.all([
    // @ts-expect-error comes without types
    import('@hyperswarm/secret-stream'),
    // @ts-expect-error comes without types
    import('udx-native'),
  ]);
  return { SecretStream, UDX };
}

/** @type {import('../lib/peer.mjs').Peer} */
export default {
  id: 'secret-stream',
  label: 'secret-stream over `udx-native` (the Hyperswarm stack)',
  security: 'XChaCha20-Poly1305',

  async unavailable() {
    await load();
    return null;
  },

  async prepare() {
    return { data: null, close: async () => {} };
  },

  async createReceiver({ echo, sink }) {
    const { SecretStream, UDX } = await load();
    const udx = new UDX();
    const socket = udx.createSocket();
    socket.bind(0, '127.0.0.1');
    const raw = udx.createStream(RECEIVER_STREAM_ID, {
      framed: true,
      // Asked about the first packet of a stream without a remote end: take it as that end.
      firewall(
        /** @type {unknown} */ from,
        /** @type {number} */ port,
        /** @type {string} */ host,
      ) {
        raw.connect(from, SENDER_STREAM_ID, port, host);
        return false;
      },
    });
    // The stream has no socket before its first packet, which comes in on this one.
    const stream = new SecretStream(false, raw);
    stream.on('error', () => stream.destroy());
    stream.on('data', (/** @type {Buffer} */ event) => {
      if (echo) stream.write(event);
      else sink.event(event, 0, event.length);
    });
    return {
      endpoint: socket.address().port,
      async close() {
        stream.destroy();
        await socket.close().catch(() => {});
      },
    };
  },

  async createSender({ endpoint }) {
    const { SecretStream, UDX } = await load();
    const udx = new UDX();
    const socket = udx.createSocket();
    socket.bind(0, '127.0.0.1');
    const raw = udx.createStream(SENDER_STREAM_ID, { framed: true });
    raw.connect(socket, RECEIVER_STREAM_ID, endpoint, '127.0.0.1');
    const stream = new SecretStream(true, raw);
    stream.on('error', () => stream.destroy());
    const echo = new EchoWaiter();
    stream.on('data', () => echo.arrived());
    await stream.opened;
    return {
      sendBatch(events) {
        let room = true;
        for (const event of events) room = stream.write(event);
        return room ? undefined : once(stream, 'drain').then(() => {});
      },
      ping(event) {
        const answered = echo.next();
        stream.write(event);
        return answered;
      },
      async close() {
        stream.destroy();
        await socket.close().catch(() => {});
      },
    };
  },
};
