// A whole peer of the base protocol (net-mesh 0.19) on a plain UDP socket.

import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { randomBytes } from 'node:crypto';
import { EventEmitter, once } from 'node:events';

import {
  CONTROL_STREAM,
  FLAG,
  type HandshakeKeys,
  type Header,
  Initiator,
  KeyPair,
  LegacyError,
  LegacySession,
  ROUTING_HEADER_BYTES,
  SUBPROTOCOL_GRANT,
  handshakePacket,
  readHeader,
  respond,
  routingHeader,
  u64le,
} from './legacy_wire';

export interface LegacyPacket {
  header: Header;
  events: Buffer[];
  /** Total length, the routing header not counted. */
  bytes: number;
  routed: boolean;
}

interface Options {
  psk: Uint8Array;
  nodeId?: bigint;
  /** Grant credit for every packet at once, as 0.19 does. Default: true. */
  grants?: boolean;
}

interface Stream {
  sequence: bigint;
  /** Bytes of packets taken, which grants tell. */
  consumed: bigint;
}

/** One node of the base protocol with at most one session. */
export class LegacyPeer {
  readonly nodeId: bigint;
  readonly keys = new KeyPair(randomBytes(32));
  /** Event-plane packets, in order of arrival. */
  readonly packets: LegacyPacket[] = [];
  readonly grants: Array<{ streamId: bigint; consumed: bigint }> = [];
  /** Messages of the other control protocols. */
  readonly controls: Array<{ protocol: number; data: Buffer }> = [];
  heartbeats = 0;
  /** What was dropped, and why. */
  readonly drops: string[] = [];
  session: LegacySession | undefined;
  grantsOn: boolean;

  readonly #psk: Uint8Array;
  readonly #socket: Socket = createSocket('udp4');
  readonly #events = new EventEmitter();
  readonly #streams = new Map<bigint, Stream>();
  #controlSequence = 0n;
  /** Where packets of the session go. */
  #remote: { port: number; address: string } | undefined;
  #onHandshake:
    ((message: Buffer, from: RemoteInfo, routing: Buffer | undefined) => void) | undefined;

  constructor({ psk, nodeId, grants }: Options) {
    this.#psk = psk;
    this.nodeId = nodeId ?? randomBytes(8).readBigUInt64LE() | 1n;
    this.grantsOn = grants ?? true;
    this.#socket.on('message', (datagram, from) => {
      try {
        this.#receive(datagram, from);
      } catch (error) {
        if (!(error instanceof LegacyError)) throw error;
        this.drops.push(error.message);
      }
      this.#events.emit('activity');
    });
  }

  async bind(): Promise<void> {
    this.#socket.bind(0, '127.0.0.1');
    await once(this.#socket, 'listening');
  }

  get addr(): string {
    return `127.0.0.1:${this.#socket.address().port}`;
  }

  get publicKey(): string {
    return this.keys.publicKey.toString('hex');
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#socket.close(() => {
        resolve();
      });
    });
  }

  /** Waits until something holds after a datagram. */
  async until(condition: () => boolean, what = 'the condition'): Promise<void> {
    const signal = AbortSignal.timeout(10_000);
    while (!condition()) {
      await once(this.#events, 'activity', { signal }).catch(() => {
        throw new Error(`${what} did not come true within 10 s; dropped: ${this.drops.join(', ')}`);
      });
    }
  }

  /** The initiator's side of a direct or routed handshake; retries as 0.19 does not within one. */
  async connect(
    addr: string,
    publicKey: string,
    nodeId: bigint,
    { routed = false, timeoutMs = 5000 } = {},
  ): Promise<void> {
    const remote = parse(addr);
    const keys = this.#handshakeKeys(this.nodeId, nodeId);
    const ephemeral = new KeyPair(randomBytes(32));
    const payload = routed ? u64le(this.nodeId) : Buffer.alloc(0);
    const initiator = new Initiator(keys, Buffer.from(publicKey, 'hex'), ephemeral, payload);
    const answered = new Promise<Buffer>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#onHandshake = undefined;
        reject(new LegacyError('handshake timeout'));
      }, timeoutMs);
      this.#onHandshake = (message, from, routing) => {
        if (`${from.address}:${from.port}` !== addr || (routing !== undefined) !== routed) return;
        clearTimeout(timer);
        this.#onHandshake = undefined;
        resolve(message);
      };
    });
    const packet = handshakePacket(initiator.message1);
    this.sendDatagram(
      remote,
      routed ? Buffer.concat([routingHeader(16, this.nodeId, nodeId), packet]) : packet,
    );
    this.session = new LegacySession(initiator.readMessage2(await answered), true);
    this.#remote = remote;
  }

  /** The responder's side of a direct handshake, resolving to message 1 with its payload. */
  accept(peerNodeId: bigint): Promise<{ message1: Buffer; payload: Buffer }> {
    return new Promise((resolve) => {
      this.#onHandshake = (message, from) => {
        const keys = this.#handshakeKeys(peerNodeId, this.nodeId);
        const ephemeral = new KeyPair(randomBytes(32));
        const { message2, h, payload } = respond(keys, this.keys, ephemeral, message);
        this.#onHandshake = undefined;
        this.session = new LegacySession(h, false);
        this.#remote = from;
        this.sendDatagram(from, handshakePacket(message2));
        resolve({ message1: message, payload });
      };
    });
  }

  /** The responder's side of routed handshakes, as a started 0.19 node. */
  serveRouted(): void {
    this.#onHandshake = (message, from, routing) => {
      if (routing === undefined) return;
      const source = BigInt(routing.readUInt32LE(6));
      const keys = this.#handshakeKeys(source, this.nodeId);
      const ephemeral = new KeyPair(randomBytes(32));
      const { message2, h, payload } = respond(keys, this.keys, ephemeral, message);
      if (payload.length < 8) throw new LegacyError('no node id in message 1');
      const peer = payload.readBigUInt64LE(0);
      if ((peer & 0xffff_ffffn) !== source) throw new LegacyError('node id and routing id differ');
      this.session = new LegacySession(h, false);
      this.#remote = from;
      this.sendDatagram(
        from,
        Buffer.concat([routingHeader(16, this.nodeId, peer), handshakePacket(message2)]),
      );
    };
  }

  /** One packet of events; returns the datagram. */
  sendEvents(streamId: bigint, events: readonly Uint8Array[], { reliable = false } = {}): Buffer {
    const stream = this.#stream(streamId);
    const packet = this.#open().seal(
      { streamId, sequence: stream.sequence++, flags: reliable ? FLAG.reliable : 0 },
      events,
    );
    this.#send(packet);
    return packet;
  }

  sendHeartbeat(): void {
    this.#send(this.#open().seal({ flags: FLAG.heartbeat }));
  }

  /** One packet of messages of a control protocol. */
  sendControl(protocol: number, messages: readonly Uint8Array[]): void {
    const streamId = BigInt(protocol);
    const { sequence } = this.#stream(streamId);
    this.#stream(streamId).sequence++;
    this.#send(this.#open().seal({ subprotocol: protocol, streamId, sequence }, messages));
  }

  sendGrant(streamId: bigint, consumed: bigint): void {
    this.#send(
      this.#open().seal(
        {
          subprotocol: SUBPROTOCOL_GRANT,
          streamId: CONTROL_STREAM,
          sequence: this.#controlSequence++,
        },
        [Buffer.concat([u64le(streamId), u64le(consumed)])],
      ),
    );
  }

  /** Consumed so far on a stream: what its next grant says. */
  consumed(streamId: bigint): bigint {
    return this.#stream(streamId).consumed;
  }

  /** Events received on a stream, in order of arrival. */
  received(streamId: bigint): string[] {
    return this.packets
      .filter(({ header }) => header.streamId === streamId)
      .flatMap(({ events }) => events.map(String));
  }

  sendDatagram(to: { port: number; address: string }, datagram: Buffer): void {
    this.#socket.send(datagram, to.port, to.address);
  }

  /** Sends once more, or anything else, to the peer of the session. */
  sendRaw(datagram: Buffer): void {
    this.#send(datagram);
  }

  #send(packet: Buffer): void {
    if (!this.#remote) throw new Error('no session');
    this.sendDatagram(this.#remote, packet);
  }

  #open(): LegacySession {
    if (!this.session) throw new Error('no session');
    return this.session;
  }

  #stream(id: bigint): Stream {
    let stream = this.#streams.get(id);
    if (!stream) this.#streams.set(id, (stream = { sequence: 0n, consumed: 0n }));
    return stream;
  }

  #handshakeKeys(initiatorId: bigint, responderId: bigint): HandshakeKeys {
    return { psk: this.#psk, initiatorId, responderId };
  }

  #receive(datagram: Buffer, from: RemoteInfo): void {
    // Keep-alives and pingwaves belong to other chapters of the protocol.
    if (datagram.length === 14 && datagram.readUInt16LE(0) === 0x4850) return;
    if (datagram.length === 72 && datagram.readUInt16LE(0) !== 0x4e45) return;
    if (datagram.length > 8192) throw new LegacyError('truncated');
    const isRouted = datagram.length >= 82 && datagram.readUInt16LE(0) === 0x5452;
    const routing = isRouted ? datagram.subarray(0, ROUTING_HEADER_BYTES) : undefined;
    if (routing && routing.readBigUInt64LE(10) !== this.nodeId) {
      throw new LegacyError('routed to another node');
    }
    const packet = isRouted ? datagram.subarray(ROUTING_HEADER_BYTES) : datagram;
    const header = readHeader(packet);
    if (header.flags & FLAG.handshake) {
      this.#onHandshake?.(packet.subarray(64), from, routing);
      return;
    }
    const { session } = this;
    if (session?.id !== header.sessionId) throw new LegacyError('unknown session');
    if (header.flags & FLAG.heartbeat) {
      if (isRouted) throw new LegacyError('routed heartbeat');
      session.open(packet, header);
      this.heartbeats++;
      return;
    }
    const events = session.open(packet, header);
    if (header.subprotocol === SUBPROTOCOL_GRANT) {
      for (const event of events) {
        if (event.length !== 16) throw new LegacyError('grant of another length');
        this.grants.push({
          streamId: event.readBigUInt64LE(0),
          consumed: event.readBigUInt64LE(8),
        });
      }
      return;
    }
    if (header.subprotocol !== 0) {
      if (header.streamId !== BigInt(header.subprotocol)) throw new LegacyError('control stream');
      for (const data of events) this.controls.push({ protocol: header.subprotocol, data });
      return;
    }
    this.packets.push({ header, events, bytes: packet.length, routed: isRouted });
    const stream = this.#stream(header.streamId);
    stream.consumed += BigInt(80 + header.payloadLength);
    if (this.grantsOn) this.sendGrant(header.streamId, stream.consumed);
  }
}

function parse(addr: string): { port: number; address: string } {
  const [address, port] = addr.split(':');
  return { address: address!, port: Number(port) };
}
