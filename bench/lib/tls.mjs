import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';

import { EchoWaiter } from './echo.mjs';
import { FrameParser, LENGTH_BYTES, putFrame } from './frames.mjs';

const SERVER_NAME = 'localhost';

/** @type {import('node:tls').SecureContextOptions} */
const TLS_1_3 = {
  minVersion: 'TLSv1.3',
  ciphers: 'TLS_AES_256_GCM_SHA384',
};

/**
 * The peer "TLS 1.3 over TCP with a 4-byte length before every event", in one of two styles.
 *
 * @param {object} style
 * @param {string} style.id
 * @param {string} style.label
 * @param {(socket: tls.TLSSocket) => import('./peer.mjs').Sender['sendBatch']} style.createWriter
 * @param {boolean} style.views  whether every event received becomes a `Buffer` of its own
 * @returns {import('./peer.mjs').Peer}
 */
export function tlsPeer({ id, label, createWriter, views }) {
  return {
    id,
    label,
    security: 'AES-256-GCM',

    async unavailable() {
      return hasOpenssl() ? null : 'needs the openssl command for its certificate';
    },

    async prepare() {
      return { data: await selfSigned(), close: async () => {} };
    },

    async createReceiver({ shared, echo, sink }) {
      /**
       * @param {tls.TLSSocket} socket
       * @returns {(bytes: Uint8Array, offset: number, length: number) => void}
       */
      function onEvent(socket) {
        if (echo) {
          return (bytes, offset, length) =>
            socket.write(framed(bytes.subarray(offset, offset + length)));
        }
        if (views) {
          return (bytes, offset, length) => {
            const event = bytes.subarray(offset, offset + length);
            sink.event(event, 0, event.length);
          };
        }
        return (bytes, offset, length) => sink.event(bytes, offset, length);
      }

      const server = tls.createServer({ ...TLS_1_3, ...shared, noDelay: true }, (socket) => {
        socket.on('error', () => socket.destroy());
        const parser = new FrameParser(onEvent(socket));
        socket.on('data', (chunk) => parser.push(chunk));
      });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      return { endpoint: portOf(server), close: async () => void server.close() };
    },

    async createSender({ shared, endpoint }) {
      const socket = await dial(clientContext(shared), endpoint);
      socket.on('error', () => socket.destroy());
      const echo = new EchoWaiter();
      const parser = new FrameParser(() => echo.arrived());
      socket.on('data', (chunk) => parser.push(chunk));
      return {
        sendBatch: createWriter(socket),
        ping(event) {
          const answered = echo.next();
          socket.write(framed(event));
          return answered;
        },
        async close() {
          socket.destroy();
        },
      };
    },

    handshakes: {
      async createAcceptor({ shared }) {
        const sockets = new Set();
        const server = tls.createServer({ ...TLS_1_3, ...shared, noDelay: true }, (socket) => {
          sockets.add(socket);
          socket.on('error', () => socket.destroy());
          socket.once('close', () => sockets.delete(socket));
          socket.resume();
        });
        server.listen(0, '127.0.0.1', 4096);
        await once(server, 'listening');
        return {
          endpoint: portOf(server),
          peers: () => sockets.size,
          async close() {
            server.close();
            for (const socket of sockets) socket.destroy();
          },
        };
      },

      async createDialler({ shared, endpoint }) {
        const context = clientContext(shared);
        /** @type {tls.TLSSocket[]} */
        const sockets = [];
        return {
          async dial() {
            const socket = await dial(context, endpoint);
            socket.on('error', () => socket.destroy());
            sockets.push(socket);
          },
          async close() {
            for (const socket of sockets) socket.destroy();
          },
        };
      },
    },
  };
}

/** @param {Uint8Array} event */
function framed(event) {
  const frame = Buffer.allocUnsafe(LENGTH_BYTES + event.length);
  putFrame(frame, 0, event);
  return frame;
}

/** @param {{ cert: string }} shared */
function clientContext({ cert }) {
  return tls.createSecureContext({ ...TLS_1_3, ca: cert });
}

/**
 * @param {tls.SecureContext} secureContext
 * @param {number} port
 * @returns {Promise<tls.TLSSocket>}
 */
function dial(secureContext, port) {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({
      secureContext,
      servername: SERVER_NAME,
      host: '127.0.0.1',
      port,
    });
    socket.setNoDelay(true);
    socket.once('error', reject);
    socket.once('secureConnect', () => {
      socket.off('error', reject);
      resolve(socket);
    });
  });
}

/** @param {tls.Server} server */
function portOf(server) {
  return /** @type {import('node:net').AddressInfo} */ (server.address()).port;
}

function hasOpenssl() {
  return spawnSync('openssl', ['version'], { stdio: 'ignore' }).status === 0;
}

/** A P-256 certificate that lives for one run. */
async function selfSigned() {
  const folder = await mkdtemp(join(tmpdir(), 'netmesh-bench-'));
  try {
    const key = join(folder, 'key.pem');
    const cert = join(folder, 'cert.pem');
    const made = spawnSync(
      'openssl',
      [
        ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
        ...['-days', '2', '-subj', `/CN=${SERVER_NAME}`],
        ...['-addext', `subjectAltName=DNS:${SERVER_NAME}`, '-keyout', key, '-out', cert],
      ],
      { encoding: 'utf8' },
    );
    if (made.status !== 0) throw new Error(`openssl req failed: ${made.stderr}`);
    return { key: await readFile(key, 'utf8'), cert: await readFile(cert, 'utf8') };
  } finally {
    await rm(folder, { recursive: true });
  }
}
