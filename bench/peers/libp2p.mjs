import { EchoWaiter } from '../lib/echo.mjs';
import { FrameParser, LENGTH_BYTES, putFrame } from '../lib/frames.mjs';

const PROTOCOL = '/netmesh-bench/1.0.0';

/** @type {import('../lib/peer.mjs').Peer} */
export default {
  id: 'libp2p',
  label: 'libp2p: TCP + Noise + yamux',
  security: 'ChaCha20-Poly1305',

  async unavailable() {
    await load();
    return null;
  },

  async prepare() {
    return { data: null, close: async () => {} };
  },

  async createReceiver({ echo, sink }) {
    const node = await createNode(['/ip4/127.0.0.1/tcp/0']);
    await node.handle(PROTOCOL, (stream) => {
      const parser = new FrameParser(
        echo
          ? (bytes, offset, length) => {
              const frame = Buffer.allocUnsafeSlow(LENGTH_BYTES + length);
              putFrame(frame, 0, bytes.subarray(offset, offset + length));
              stream.send(frame);
            }
          : (bytes, offset, length) => sink.event(bytes, offset, length),
      );
      stream.addEventListener('message', ({ data }) => feed(parser, data));
    });
    return {
      endpoint: node.getMultiaddrs()[0].toString(),
      close: async () => void (await node.stop()),
    };
  },

  async createSender({ endpoint }) {
    const { multiaddr } = await import('@multiformats/multiaddr');
    const node = await createNode([]);
    const stream = await node.dialProtocol(multiaddr(endpoint), PROTOCOL);
    const echo = new EchoWaiter();
    const parser = new FrameParser(() => echo.arrived());
    stream.addEventListener('message', ({ data }) => feed(parser, data));

    /** @param {Buffer[]} events */
    function framed(events) {
      let bytes = 0;
      for (const event of events) bytes += LENGTH_BYTES + event.length;
      const frames = Buffer.allocUnsafeSlow(bytes);
      let at = 0;
      for (const event of events) at = putFrame(frames, at, event);
      return frames;
    }

    return {
      sendBatch: (events) => (stream.send(framed(events)) ? undefined : stream.onDrain()),
      ping(event) {
        const answered = echo.next();
        stream.send(framed([event]));
        return answered;
      },
      close: async () => void (await node.stop()),
    };
  },
};

async function load() {
  supplyWithResolvers();
  const [{ createLibp2p }, { tcp }, { noise }, { yamux }] = await Promise.all([
    import('libp2p'),
    import('@libp2p/tcp'),
    import('@chainsafe/libp2p-noise'),
    import('@chainsafe/libp2p-yamux'),
  ]);
  return { createLibp2p, tcp, noise, yamux };
}

/** libp2p 3 is written for Node 22; this is the one thing that it misses in Node 20. */
function supplyWithResolvers() {
  // @ts-ignore unknown to the types of Node 20
  Promise.withResolvers ??= function withResolvers() {
    let resolve;
    let reject;
    const promise = new this((onResolve, onReject) => {
      resolve = onResolve;
      reject = onReject;
    });
    return { promise, resolve, reject };
  };
}

/** @param {string[]} listen */
async function createNode(listen) {
  const { createLibp2p, tcp, noise, yamux } = await load();
  return createLibp2p({
    addresses: { listen },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
  });
}

/**
 * @param {FrameParser} parser
 * @param {Uint8Array | Iterable<Uint8Array>} data
 */
function feed(parser, data) {
  if (data instanceof Uint8Array) parser.push(data);
  else for (const chunk of data) parser.push(chunk);
}
