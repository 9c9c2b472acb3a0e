// A link with a bus of net-mesh 0.19: datagrams for the addon's state machine.

import { type RemoteInfo, type Socket, createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';

import type { NativeBatch, NativeLegacyLink } from '../../../types/native';
import { AdapterError } from '../../core/errors';
import { addon } from '../native';
import { eventsOf } from './adapter';
import type { Receive } from './backends';
import type { MeshConfig } from './config';
import type { BusLink } from './mesh';

const MAX_EVENT_BYTES = 8108;
const SOCKET_BUFFER_BYTES = 4 * 1024 * 1024;
/** Handshake packets per second that one source may send. */
const HANDSHAKES_PER_SECOND = 5;
const MAX_SOURCES = 1024;
const HANDSHAKE_FLAG = 0x10;
const FLAGS_OFFSET = 3;
/** Packets handed to the kernel before others get a turn. */
const BURST = 32;
const RETRY_MS = 1000;

interface Address {
  address: string;
  port: number;
}

function parseAddress(text: string): Address {
  const colon = text.lastIndexOf(':');
  return {
    address: text.slice(0, colon).replace(/^\[|\]$/gu, ''),
    port: Number(text.slice(colon + 1)),
  };
}

export class LegacyBusLink implements BusLink {
  readonly #config: MeshConfig;
  readonly #receive: Receive;
  readonly #socket: Socket;
  readonly #link: NativeLegacyLink;
  readonly #handshakes = new Map<string, { second: number; count: number }>();
  #remote: Address;
  #established = false;
  #settle: ((result: boolean | 'modern') => void) | undefined;
  #lastHeard = 0;
  #heartbeats: NodeJS.Timeout | undefined;
  #lastAttempt = 0;
  #closed = false;

  private constructor(config: MeshConfig, receive: Receive) {
    const { NativeLegacyLink: Native } = addon();
    this.#config = config;
    this.#receive = receive;
    this.#link = new Native(
      config.initiator,
      config.psk,
      config.initiator ? config.publicKey : config.secretKey,
    );
    this.#remote = parseAddress(config.peerAddr);
    this.#socket = createSocket(isIPv6(parseAddress(config.bindAddr).address) ? 'udp6' : 'udp4');
    this.#socket.on('message', (datagram, from) => {
      this.#handle(datagram, from);
    });
    // Errors of single datagrams; the network may drop any of them anyway.
    this.#socket.on('error', () => undefined);
  }

  /** Undefined when nobody answers in time, `modern` when the other end asks for the mesh protocol. */
  static async open(
    config: MeshConfig,
    receive: Receive,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<LegacyBusLink | 'modern' | undefined> {
    const link = new LegacyBusLink(config, receive);
    await link.#bind();
    const result = await link.#handshake(timeoutMs, signal);
    if (result === true) {
      process.emitWarning(
        `the bus at ${link.#remote.address}:${link.#remote.port} speaks only the base protocol: ` +
          'events may be lost on the way, and the session has no forward secrecy ' +
          "(legacyPeers: 'deny' refuses such peers)",
        { type: 'NetmeshWarning', code: 'NETMESH_LEGACY_PEER' },
      );
      return link;
    }
    await link.close();
    return result === 'modern' ? 'modern' : undefined;
  }

  async send(batch: NativeBatch): Promise<void> {
    if (this.#closed) throw new AdapterError('shutdown');
    if (!this.isAlive()) throw new AdapterError('transient', 'the session with the peer is gone');
    const events = eventsOf(batch);
    const packets = this.#link.seal(BigInt(batch.shard), this.#config.reliable, events);
    for (let start = 0; start < packets.length; start += BURST) {
      const burst = packets.slice(start, start + BURST);
      await Promise.all(burst.map((packet) => this.#transmit(packet)));
    }
    const tooLarge = events.filter(({ length }) => length > MAX_EVENT_BYTES);
    if (tooLarge.length > 0) {
      throw new AdapterError(
        'fatal',
        `${tooLarge.length} of the ${events.length} events of a batch exceed ${MAX_EVENT_BYTES} ` +
          'bytes, the most that a peer of net-mesh 0.19 takes',
      );
    }
  }

  isAlive(): boolean {
    return this.#established && Date.now() - this.#lastHeard < this.#config.sessionTimeoutMs;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#heartbeats);
    await new Promise<void>((resolve) => this.#socket.close(resolve));
  }

  async #bind(): Promise<void> {
    const { address, port } = parseAddress(this.#config.bindAddr);
    try {
      await new Promise<void>((resolve, reject) => {
        this.#socket.once('error', reject);
        this.#socket.bind({ address, port, exclusive: true }, () => {
          this.#socket.off('error', reject);
          resolve();
        });
      });
    } catch (error) {
      throw new AdapterError('connection', (error as Error).message, { cause: error });
    }
    try {
      this.#socket.setRecvBufferSize(SOCKET_BUFFER_BYTES);
      this.#socket.setSendBufferSize(SOCKET_BUFFER_BYTES);
    } catch {
      // The kernel's own size has to do.
    }
  }

  #handshake(timeoutMs: number, signal: AbortSignal): Promise<boolean | 'modern'> {
    return new Promise((resolve) => {
      const settle = (result: boolean | 'modern'): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', abort);
        this.#settle = undefined;
        resolve(result);
      };
      const abort = (): void => {
        settle(false);
      };
      const timer = setTimeout(abort, timeoutMs);
      signal.addEventListener('abort', abort);
      this.#settle = settle;
      if (this.#config.initiator) this.#begin();
    });
  }

  #begin(): void {
    this.#lastAttempt = Date.now();
    const packet = this.#link.begin();
    if (packet.length > 0) void this.#transmit(packet);
  }

  #handle(datagram: Buffer, from: RemoteInfo): void {
    if (this.#closed) return;
    const handshake = ((datagram[FLAGS_OFFSET] ?? 0) & HANDSHAKE_FLAG) !== 0;
    if (handshake && !this.#mayHandshake(from)) return;
    const received = this.#link.handle(datagram);
    switch (received.kind) {
      case 'ignored':
        return;
      case 'modernPeer':
        if (!this.#config.initiator) this.#settle?.('modern');
        return;
      case 'established':
        // The responder answers where it was asked, and talks there once that is proven.
        if (received.reply) void this.#transmit(received.reply, from);
        if (!this.#established || this.#config.initiator) this.#begun(from);
        return;
      case 'heartbeat':
      case 'events':
        this.#lastHeard = Date.now();
        if (received.moved) this.#remote = from;
        if (received.kind === 'events') {
          this.#receive(Number(received.stream & 0xffff_ffffn), received.events);
        }
    }
  }

  #begun(from: Address): void {
    this.#established = true;
    this.#remote = { address: from.address, port: from.port };
    this.#lastHeard = Date.now();
    this.#beat();
    this.#heartbeats ??= setInterval(() => {
      this.#beat();
    }, this.#config.heartbeatIntervalMs).unref();
    this.#settle?.(true);
  }

  /** The initiator also brings a link back that has fallen silent. */
  #beat(): void {
    if (this.isAlive()) void this.#transmit(this.#link.heartbeat());
    else if (this.#config.initiator && Date.now() - this.#lastAttempt > RETRY_MS) this.#begin();
  }

  #mayHandshake({ address, port }: RemoteInfo): boolean {
    // Replies come from exactly the peer that was asked.
    if (this.#config.initiator) {
      return address === this.#remote.address && port === this.#remote.port;
    }
    const second = Math.floor(Date.now() / 1000);
    const known = this.#handshakes.get(address);
    if (known?.second === second) return ++known.count <= HANDSHAKES_PER_SECOND;
    if (this.#handshakes.size >= MAX_SOURCES) this.#handshakes.clear();
    this.#handshakes.set(address, { second, count: 1 });
    return true;
  }

  #transmit(packet: Uint8Array, to: Address = this.#remote): Promise<void> {
    return new Promise((resolve) => {
      if (this.#closed) {
        resolve();
        return;
      }
      this.#socket.send(packet, to.port, to.address, () => {
        resolve();
      });
    });
  }
}
