import { once } from 'node:events';
import net from 'node:net';

import { requireLinks } from './bulk.mjs';
import { FrameParser, LENGTH_BYTES } from './frames.mjs';

/**
 * The peer "the kernel's TCP, not encrypted, with a 4-byte length before every event", under one
 * congestion control.
 *
 * @param {object} style
 * @param {string} style.id
 * @param {string} style.label
 * @param {string} style.congestion  as `net.ipv4.tcp_congestion_control` has it
 * @returns {import('./peer.mjs').Peer}
 */
export function tcpPeer({ id, label, congestion }) {
  return {
    id,
    label,
    security: 'none',
    congestion,

    async unavailable() {
      return requireLinks({ congestion });
    },

    async prepare() {
      return { data: null, close: async () => {} };
    },

    async createReceiver({ sink, host = '127.0.0.1' }) {
      const server = net.createServer((socket) => {
        socket.on('error', () => socket.destroy());
        const parser = new FrameParser((bytes, offset, length) =>
          sink.event(bytes, offset, length),
        );
        socket.on('data', (chunk) => parser.push(chunk));
      });
      server.listen(0, host);
      await once(server, 'listening');
      const { port } = /** @type {net.AddressInfo} */ (server.address());
      return { endpoint: { host, port }, close: async () => void server.close() };
    },

    async createSender({ endpoint }) {
      const socket = net.connect(endpoint);
      await once(socket, 'connect');
      socket.on('error', () => socket.destroy());
      return {
        sendBatch(events) {
          socket.cork();
          for (const event of events) {
            const length = Buffer.allocUnsafe(LENGTH_BYTES);
            length.writeUInt32LE(event.length);
            socket.write(length);
            socket.write(event);
          }
          socket.uncork();
          if (!socket.writableNeedDrain) return undefined;
          return new Promise((resolve) => socket.once('drain', resolve));
        },
        ping: async () => {
          throw new Error('bulk transfers only');
        },
        close: async () => void socket.destroy(),
      };
    },
  };
}
