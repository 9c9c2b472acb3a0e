import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';

import { requireLinks } from './bulk.mjs';
import { EchoWaiter } from './echo.mjs';

const STREAM_ID = 7n;

/** Bytes that may be on their way on the stream. */
const WINDOW_BYTES = 16 * 1024 * 1024;

const CHANNEL = 'bench/events';
/** Publishes whose acknowledgement is awaited at a time. */
const PUBLISHES_UNDER_WAY = 16;

const SDK = new URL('../../dist/index.js', import.meta.url);

/** Diallers come from addresses of their own, as they would outside: 127.x.y.z is all loopback. */
const LOOPBACK_HOSTS = 250;

async function load() {
  return import(SDK.href);
}

/**
 * netmesh through its public SDK. The two ways to receive are two peers.
 *
 * @param {object} style
 * @param {string} style.id
 * @param {string} style.label
 * @param {(node: any, onEvent: (event: Buffer) => void) => Promise<void>} style.consume
 *   runs until the node is shut down
 * @param {(feed: any, onEvent: (event: Buffer) => void) => Promise<void>} [style.feeds]
 *   reads a subscription to a channel until it ends; else channels are read as everything else
 * @param {{ congestion?: string }} [style.config]  options beyond the defaults
 * @returns {import('./peer.mjs').Peer}
 */
export function netmeshPeer({ id, label, consume, feeds, config = {} }) {
  return {
    id,
    label,
    security: 'AES-256-GCM or ChaCha20-Poly1305',

    async unavailable() {
      if (!existsSync(SDK)) return 'not built: run npm run build first';
      await load();
      if (config.congestion === undefined) return null;
      if (!(await hasCongestionOption())) return 'this build has one congestion control';
      return requireLinks();
    },

    async prepare() {
      return { data: { psk: randomBytes(32).toString('hex') }, close: async () => {} };
    },

    async createReceiver({ shared, echo, sink, host }) {
      const node = await startNode(shared, host, config);
      const consumed = echo
        ? echoAll(node)
        : consume(node, (event) => sink.event(event, 0, event.length));
      return {
        endpoint: endpointOf(node),
        async close() {
          await node.shutdown();
          await consumed;
        },
      };
    },

    async createSender({ shared, endpoint, host }) {
      const node = await startNode(shared, host, config);
      await connect(node, endpoint);
      const stream = openStream(node, endpoint.nodeId);
      const echo = new EchoWaiter();
      const consumed = consumeMessages(node, () => echo.arrived());
      return {
        sendBatch: (events) => node.sendBlocking(stream, events),
        ping(event) {
          const answered = echo.next();
          return node.sendOnStream(stream, [event]).then(() => answered);
        },
        async close() {
          await node.shutdown();
          await consumed;
        },
      };
    },

    channels: {
      async createPublisher({ shared }) {
        const node = await startNode(shared, undefined, config);
        node.registerChannel({ name: CHANNEL, reliable: true });
        /** @type {Set<Promise<void>>} */
        const underWay = new Set();
        return {
          endpoint: endpointOf(node),
          publish(events) {
            const published = node
              .publishMany(CHANNEL, events)
              .then((/** @type {any} */ { errors }) => {
                underWay.delete(published);
                if (errors.length > 0) throw new Error(errors[0].message);
              });
            underWay.add(published);
            return underWay.size < PUBLISHES_UNDER_WAY ? undefined : Promise.race(underWay);
          },
          settle: async () => void (await Promise.all(underWay)),
          close: () => node.shutdown(),
        };
      },

      async createSubscriber({ shared, endpoint, index, onEvent }) {
        const node = await startNode(shared, hostOf(index), config);
        await connect(node, endpoint);
        if (feeds === undefined) {
          await node.subscribeChannel(endpoint.nodeId, CHANNEL);
          const consumed = consume(node, onEvent);
          return {
            async close() {
              await node.shutdown();
              await consumed;
            },
          };
        }
        const feed = await node.subscribe(endpoint.nodeId, CHANNEL);
        const consumed = feeds(feed, onEvent);
        return {
          async close() {
            await feed.close();
            await consumed;
            await node.shutdown();
          },
        };
      },
    },

    handshakes: {
      async createAcceptor({ shared, nodes: count }) {
        const nodes = await Promise.all(Array.from({ length: count }, () => startNode(shared)));
        return {
          endpoint: nodes.map(endpointOf),
          peers: () => nodes.reduce((sum, node) => sum + node.peerCount(), 0),
          close: () => shutdownAll(nodes),
        };
      },

      async createDialler({ shared, endpoint: endpoints, dials }) {
        /** @type {any[]} each dials every acceptor once: two nodes share one session at most */
        const nodes = [];
        for (let index = 0; index < Math.ceil(dials / endpoints.length); index++) {
          nodes.push(await startNode(shared, hostOf(index)));
        }
        return {
          dial: (index) =>
            connect(
              nodes[Math.floor(index / endpoints.length)],
              endpoints[index % endpoints.length],
            ),
          close: () => shutdownAll(nodes),
        };
      },
    },
  };
}

/**
 * Consumes everything a node receives, message by message.
 *
 * @param {any} node
 * @param {(event: Buffer) => void} onEvent
 */
export async function consumeMessages(node, onEvent) {
  for await (const { data } of node.messages()) onEvent(data);
}

/**
 * Consumes what a channel brings, payload by payload.
 *
 * @param {any} feed
 * @param {(event: Buffer) => void} onEvent
 */
export async function consumeFeed(feed, onEvent) {
  for await (const { payload } of feed) onEvent(payload);
}

/**
 * The same in the batches in which messages reach JavaScript.
 *
 * @param {any} node
 * @param {(event: Buffer) => void} onEvent
 */
export async function consumeBatches(node, onEvent) {
  for await (const batch of node.messageBatches()) {
    for (const { data } of batch) onEvent(data);
  }
}

/** @param {any} node */
async function echoAll(node) {
  let stream;
  for await (const { peerNodeId, data } of node.messages()) {
    stream ??= openStream(node, peerNodeId);
    await node.sendOnStream(stream, [data]);
  }
}

/**
 * @param {{ psk: string }} shared
 * @param {string} [host]
 * @param {object} [config]
 */
async function startNode({ psk }, host = '127.0.0.1', config = {}) {
  const { MeshNode } = await load();
  const node = await MeshNode.create({ bindAddr: `${host}:0`, psk, ...config });
  await node.start();
  return node;
}

/** Whether `congestion` is an option: then it refuses what it does not know. */
async function hasCongestionOption() {
  const { MeshNode } = await load();
  const psk = randomBytes(32).toString('hex');
  try {
    const node = await MeshNode.create({ bindAddr: '127.0.0.1:0', psk, congestion: 'no such' });
    await node.shutdown();
    return false;
  } catch {
    return true;
  }
}

/** @param {any} node */
function endpointOf(node) {
  return { addr: node.localAddr(), publicKey: node.publicKey(), nodeId: node.nodeId() };
}

/**
 * @param {any} node
 * @param {{ addr: string, publicKey: string, nodeId: bigint }} endpoint
 */
function connect(node, { addr, publicKey, nodeId }) {
  return node.connect(addr, publicKey, nodeId);
}

/**
 * @param {any} node
 * @param {bigint} peerNodeId
 */
function openStream(node, peerNodeId) {
  return node.openStream(peerNodeId, {
    streamId: STREAM_ID,
    reliability: 'reliable',
    windowBytes: WINDOW_BYTES,
  });
}

/** @param {number} index */
function hostOf(index) {
  const { platform } = process;
  if (platform !== 'linux') return '127.0.0.1';
  return `127.0.${1 + Math.floor(index / LOOPBACK_HOSTS)}.${1 + (index % LOOPBACK_HOSTS)}`;
}

/** @param {any[]} nodes */
async function shutdownAll(nodes) {
  await Promise.all(nodes.map((node) => node.shutdown()));
}
