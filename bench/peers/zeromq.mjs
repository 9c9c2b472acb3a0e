import { EchoWaiter } from '../lib/echo.mjs';

/** Messages that may wait on either side: a few batches. */
const HIGH_WATER_MARK = 1000;

/** @type {import('../lib/peer.mjs').Peer} */
export default {
  id: 'zeromq',
  label: 'ZeroMQ CURVE (`zeromq` 6)',
  security: 'XSalsa20-Poly1305',

  async unavailable() {
    const { capability } = await import('zeromq');
    return capability.curve ? null : 'its library was built without CURVE';
  },

  async prepare() {
    const { curveKeyPair } = await import('zeromq');
    return { data: { server: curveKeyPair(), client: curveKeyPair() }, close: async () => {} };
  },

  async createReceiver({ shared, echo, sink }) {
    const { Pair } = await import('zeromq');
    const socket = new Pair({
      curveServer: true,
      curveSecretKey: shared.server.secretKey,
      receiveHighWaterMark: HIGH_WATER_MARK,
      linger: 0,
    });
    await socket.bind('tcp://127.0.0.1:*');
    const consumed = consume();

    async function consume() {
      if (echo) {
        for await (const [event] of socket) await socket.send(event);
      } else {
        for await (const [event] of socket) sink.event(event, 0, event.length);
      }
    }

    return {
      endpoint: socket.lastEndpoint,
      async close() {
        socket.close();
        await consumed.catch(() => {}); // the read that was waiting
      },
    };
  },

  async createSender({ shared, endpoint }) {
    const { Pair } = await import('zeromq');
    const socket = new Pair({
      curveServerKey: shared.server.publicKey,
      curvePublicKey: shared.client.publicKey,
      curveSecretKey: shared.client.secretKey,
      sendHighWaterMark: HIGH_WATER_MARK,
      linger: 0,
    });
    socket.connect(endpoint);
    const echo = new EchoWaiter();
    const consumed = consume();

    async function consume() {
      for await (const message of socket) if (message.length > 0) echo.arrived();
    }

    return {
      async sendBatch(events) {
        for (const event of events) await socket.send(event);
      },
      async ping(event) {
        const answered = echo.next();
        await socket.send(event);
        return answered;
      },
      async close() {
        socket.close();
        await consumed.catch(() => {}); // the read that was waiting
      },
    };
  },
};
