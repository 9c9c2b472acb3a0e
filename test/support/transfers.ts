// Transfers between two nodes in namespaces of their own, over an emulated link.

import { type Conditions, type Link, type Namespace, Network, RemotePeer } from './link.cjs';

/** What `link_peer.cjs` tells about a node. */
export interface RemoteEndpoint {
  addr: string;
  publicKey: string;
  nodeId: bigint;
}

export interface TransferResult {
  /** Whether what came is what was sent, to the last byte. */
  intact: boolean;
  bytes: number;
  seconds: number;
  /** The longest time in which nothing came. */
  longestPauseMs: number;
}

/** Two connected nodes in two namespaces. */
export interface Route {
  network: Network;
  sender: RemotePeer;
  receiver: RemotePeer;
  from: RemoteEndpoint;
  to: RemoteEndpoint;
}

const networks = new Set<Network>();

afterEach(async () => {
  const open = [...networks];
  networks.clear();
  for (const network of open) await network.close();
});

/** An empty network that ends with the test. */
export function makeNetwork(): Network {
  const network = new Network();
  networks.add(network);
  return network;
}

/** Starts a node in each namespace and connects the first to the second. */
export async function connectNodes(
  network: Network,
  [a, b]: [Namespace, Namespace],
  [hostA, hostB]: [string, string],
  config: Record<string, unknown> = {},
): Promise<Route> {
  const sender = new RemotePeer(a);
  network.onClose(() => sender.end());
  const receiver = new RemotePeer(b);
  network.onClose(() => receiver.end());
  const [from, to] = (await Promise.all([
    sender.call('open', { bindAddr: `${hostA}:0`, ...config }),
    receiver.call('open', { bindAddr: `${hostB}:0`, ...config }),
  ])) as [RemoteEndpoint, RemoteEndpoint];
  await sender.call('connect', to);
  return { network, sender, receiver, from, to };
}

/** Two connected nodes at the ends of one link; `config` beside `ipv6` is that of the nodes. */
export async function connectOverLink(
  conditions: Conditions,
  seed: number,
  config: { ipv6?: boolean; [option: string]: unknown } = {},
): Promise<Route & { link: Link }> {
  const { ipv6 = false, ...options } = config;
  const network = makeNetwork();
  const a = network.namespace({ ipv6 });
  const b = network.namespace({ ipv6 });
  const link = await network.link(a, b, { conditions, seed });
  const hosts: [string, string] = ipv6
    ? [`[${link.addrA6!}]`, `[${link.addrB6!}]`]
    : [link.addrA, link.addrB];
  const route = await connectNodes(network, [a, b], hosts, options);
  return { ...route, link };
}

/** A transfer under way. */
export interface Transfer {
  /** Waits until so many bytes have arrived. */
  reaches(bytes: number): Promise<void>;
  /** Bytes that have arrived. */
  progress(): Promise<number>;
  result: Promise<TransferResult>;
}

let lastStreamId = 0n;

/** Starts to send `bytes` bytes that follow from `seed`; `back` sends from receiver to sender. */
export async function startTransfer(
  route: Route,
  bytes: number,
  { seed = 1, back = false } = {},
): Promise<Transfer> {
  const streamId = ++lastStreamId;
  const [source, sink] = back ? [route.receiver, route.sender] : [route.sender, route.receiver];
  const [from, to] = back ? [route.to, route.from] : [route.from, route.to];
  await sink.call('expect', { peer: from.nodeId, streamId });
  const sending = source.call('send', { peer: to.nodeId, streamId, bytes, seed });
  const result = (async (): Promise<TransferResult> => {
    const [sent, got] = await Promise.all([sending, sink.call('received', { streamId })]);
    return {
      intact: got.bytes === bytes && got.sha256 === sent.sha256,
      bytes: got.bytes,
      seconds: Number((got.endNs as bigint) - (sent.startNs as bigint)) / 1e9,
      longestPauseMs: got.longestPauseMs,
    };
  })();
  // Whoever waits for it hears of a failure; nobody may be waiting yet.
  result.catch(() => undefined);
  const progress = (): Promise<number> => sink.call('progress', { streamId }) as Promise<number>;
  return {
    result,
    progress,
    async reaches(wanted) {
      let over = false;
      const ended = result.finally(() => (over = true));
      ended.catch(() => undefined);
      while (!over && (await progress()) < wanted) {
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      // A transfer that has failed reaches nothing.
      if (over) await ended;
    },
  };
}

/** A whole transfer. */
export async function transfer(
  route: Route,
  bytes: number,
  options?: { seed?: number; back?: boolean },
): Promise<TransferResult> {
  return (await startTransfer(route, bytes, options)).result;
}
