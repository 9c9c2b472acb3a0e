import type { ChildProcess, ForkOptions } from 'node:child_process';

/** Names as `linkem --help` has them, in camel case; numbers, booleans or text with a unit. */
export interface Conditions {
  loss?: number | string;
  burstStart?: number | string;
  burstEnd?: number | string;
  burstLoss?: number | string;
  delay?: string;
  jitter?: string;
  reorder?: number | string;
  reorderBy?: string;
  duplicate?: number | string;
  corrupt?: number | string;
  corruption?: 'payload' | 'wire';
  rate?: string | 0;
  queue?: string;
  mtu?: number;
  oversize?: 'silent' | 'icmp';
  down?: boolean;
}

/** What became of the packets of one direction. */
export interface LinkCounters {
  packetsIn: number;
  bytesIn: number;
  packetsOut: number;
  bytesOut: number;
  lost: number;
  lostInBurst: number;
  lostWhileDown: number;
  droppedByQueue: number;
  tooBig: number;
  overflowed: number;
  duplicated: number;
  corrupted: number;
  reordered: number;
  maxQueueBytes: number;
  icmpSent: number;
  undeliverable: number;
  lateMeanNs: number;
  lateMaxNs: number;
  /** Before the emulator could read them; not part of the final counters. */
  droppedByDevice?: number;
}

export interface LinkStats {
  ab: LinkCounters;
  ba: LinkCounters;
}

export interface LinkOptions {
  /** Of both directions; `ab` and `ba` come on top. */
  conditions?: Conditions;
  ab?: Conditions;
  ba?: Conditions;
  seed?: number;
  /** Of the devices. Default: 1500. */
  mtu?: number;
  /** The first three numbers of the addresses. Default: `10.77.1`. */
  subnet?: string;
  device?: string;
}

export declare class Namespace {
  readonly name: string;
  readonly ipv6: boolean;
  run(program: string, ...args: string[]): string;
  ip(...args: string[]): string;
  fork(script: string, args?: string[], options?: ForkOptions): ChildProcess;
  droppedByDevice(device: string): number;
}

export declare class Link {
  readonly a: Namespace;
  readonly b: Namespace;
  readonly addrA: string;
  readonly addrB: string;
  /** Where both namespaces have IPv6. */
  readonly addrA6?: string;
  readonly addrB6?: string;
  readonly device: string;
  set(where: 'ab' | 'ba' | 'both', conditions: Conditions): Promise<void>;
  stats(): Promise<LinkStats>;
  close(): Promise<LinkStats>;
}

export declare class Network {
  namespace(options?: { ipv6?: boolean }): Namespace;
  link(a: Namespace, b: Namespace, options?: LinkOptions): Promise<Link>;
  cable(
    a: Namespace,
    b: Namespace,
    options?: { subnet?: string; device?: string },
  ): { addrA: string; addrB: string };
  onClose(close: () => Promise<unknown>): void;
  close(): Promise<void>;
}

export declare class RemotePeer {
  constructor(namespace: Namespace, script?: string, options?: ForkOptions);
  call(method: string, argument?: unknown): Promise<any>;
  readonly stderr: string;
  end(): Promise<void>;
}

/** Why there can be no links here, or undefined when there can. */
export declare function linksUnavailable(): string | undefined;

/** Writes a setting of the kernel, by its path below /proc/sys. */
export declare function setSysctl(namespace: Namespace, path: string, value: string | number): void;
