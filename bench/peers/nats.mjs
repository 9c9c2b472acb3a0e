import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';

import { EchoWaiter } from '../lib/echo.mjs';

const EVENTS = 'bench.events';
const ECHOES = 'bench.echoes';
const CONSUMED = 'bench.consumed';

/**
 * Core NATS drops a subscriber that falls too far behind. So the sender keeps at most a window of
 * unconsumed bytes in flight, and the receiver says how far it is after every part of it.
 */
const WINDOW_BYTES = 8 * 1024 * 1024;
const REPORT_BYTES = WINDOW_BYTES / 16;

const START_TIMEOUT_MS = 10_000;

/** @type {import('../lib/peer.mjs').Peer} */
export default {
  id: 'nats',
  label: 'NATS core through `nats-server`',
  security: 'none',

  async unavailable() {
    await import('@nats-io/transport-node');
    const { error } = spawnSync('nats-server', ['--version'], { stdio: 'ignore' });
    return error === undefined ? null : 'nats-server is not installed';
  },

  async prepare() {
    const broker = spawn('nats-server', ['--addr', '127.0.0.1', '--port', '-1'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const exited = once(broker, 'exit');
    const servers = await listening(broker);
    return {
      data: { servers },
      async close() {
        broker.kill('SIGTERM');
        await exited;
      },
    };
  },

  async createReceiver({ shared, echo, sink }) {
    const { connect } = await import('@nats-io/transport-node');
    const connection = await connect({ ...shared, noEcho: true });
    let consumed = 0;
    let reported = 0;
    connection.subscribe(EVENTS, {
      callback(error, { data }) {
        if (error) throw error;
        if (echo) {
          connection.publish(ECHOES, data);
          return;
        }
        sink.event(data, 0, data.length);
        consumed += data.length;
        if (consumed - reported >= REPORT_BYTES) {
          reported = consumed;
          connection.publish(CONSUMED, String(consumed));
        }
      },
    });
    await connection.flush();
    return { endpoint: null, close: () => connection.close() };
  },

  channels: {
    async createPublisher({ shared, subscribers }) {
      const { connect } = await import('@nats-io/transport-node');
      const connection = await connect({ ...shared, noEcho: true });
      let sent = 0;
      const consumed = new Float64Array(subscribers);
      let resume = () => {};
      const full = () => sent - Math.min(...consumed) >= WINDOW_BYTES;
      connection.subscribe(`${CONSUMED}.*`, {
        callback(error, message) {
          if (error) throw error;
          consumed[Number(message.subject.slice(CONSUMED.length + 1))] = Number(message.string());
          if (!full()) resume();
        },
      });
      await connection.flush();
      return {
        endpoint: null,
        publish(events) {
          for (const event of events) {
            connection.publish(EVENTS, event);
            sent += event.length;
          }
          return full() ? new Promise((resolve) => (resume = resolve)) : undefined;
        },
        settle: () => connection.flush(),
        close: () => connection.close(),
      };
    },

    async createSubscriber({ shared, index, onEvent }) {
      const { connect } = await import('@nats-io/transport-node');
      const connection = await connect({ ...shared, noEcho: true });
      let consumed = 0;
      let reported = 0;
      connection.subscribe(EVENTS, {
        callback(error, { data }) {
          if (error) throw error;
          onEvent(data);
          consumed += data.length;
          if (consumed - reported >= REPORT_BYTES) {
            reported = consumed;
            connection.publish(`${CONSUMED}.${index}`, String(consumed));
          }
        },
      });
      await connection.flush();
      return { close: () => connection.close() };
    },
  },

  async createSender({ shared }) {
    const { connect } = await import('@nats-io/transport-node');
    const connection = await connect({ ...shared, noEcho: true });
    let sent = 0;
    let consumed = 0;
    let resume = () => {};
    connection.subscribe(CONSUMED, {
      callback(error, message) {
        if (error) throw error;
        consumed = Number(message.string());
        if (sent - consumed < WINDOW_BYTES) resume();
      },
    });
    const echo = new EchoWaiter();
    connection.subscribe(ECHOES, {
      callback(error) {
        if (error) throw error;
        echo.arrived();
      },
    });
    await connection.flush();
    return {
      sendBatch(events) {
        for (const event of events) {
          connection.publish(EVENTS, event);
          sent += event.length;
        }
        if (sent - consumed < WINDOW_BYTES) return undefined;
        return new Promise((resolve) => (resume = resolve));
      },
      ping(event) {
        const answered = echo.next();
        connection.publish(EVENTS, event);
        return answered;
      },
      close: () => connection.close(),
    };
  },
};

/**
 * @param {import('node:child_process').ChildProcess} broker
 * @returns {Promise<string>} `host:port`, once it takes connections
 */
function listening(broker) {
  return new Promise((resolve, reject) => {
    let log = '';
    const fail = (/** @type {string} */ what) => {
      clearTimeout(timer);
      broker.kill('SIGKILL');
      reject(new Error(`nats-server ${what}: ${log.trim()}`));
    };
    const timer = setTimeout(() => fail('did not start in time'), START_TIMEOUT_MS);
    const ended = () => fail('ended');
    broker.once('exit', ended);
    broker.stderr?.on('data', (chunk) => {
      log += chunk;
      const address = /client connections on (\S+)/.exec(log);
      if (address === null || !log.includes('Server is ready')) return;
      clearTimeout(timer);
      broker.off('exit', ended);
      broker.stderr?.removeAllListeners('data').resume();
      resolve(address[1]);
    });
  });
}
