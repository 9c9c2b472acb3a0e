'use strict';
// Network namespaces joined by emulated links, for tests and benchmarks. Needs root on Linux.
// What it makes is named after this process; what a process that died has left is removed by the next.

const { execFileSync, fork, spawn } = require('node:child_process');
const { accessSync, constants, existsSync, readdirSync } = require('node:fs');
const { join } = require('node:path');
const { createInterface } = require('node:readline');

const ROOT = join(__dirname, '..', '..');
const LINKEM = join(ROOT, 'build', 'release', 'bin', 'linkem');
const NETNS_DIR = '/run/netns';
const PREFIX = 'nmlink';

/** How long a child may take to leave by itself. */
const GRACE_MS = 3000;
/** No command of `ip` or `nft` takes longer. */
const COMMAND_TIMEOUT_MS = 10_000;
const ANSWER_TIMEOUT_MS = 10_000;

let lastId = 0;

/** Why there can be no links here, or undefined when there can. */
function linksUnavailable() {
  if (process.platform !== 'linux') return 'network namespaces are Linux only';
  if (process.getuid() !== 0) return 'only root may make network namespaces';
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
  } catch {
    return '/dev/net/tun is not there';
  }
  if (!existsSync(LINKEM)) return 'not built: node scripts/ensure.mjs --only link';
  for (const [tool, args] of [
    ['ip', ['-V']],
    ['nft', ['-v']],
    ['conntrack', ['-V']],
  ]) {
    try {
      command(tool, args);
    } catch {
      return `${tool} is missing: node scripts/ensure.mjs --only link`;
    }
  }
  try {
    const probe = new Network();
    probe.namespace();
    void probe.close();
  } catch (error) {
    return `network namespaces are not permitted: ${error.message.split('\n', 1)[0]}`;
  }
  return undefined;
}

function command(program, args) {
  try {
    return execFileSync(program, args, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: COMMAND_TIMEOUT_MS,
    });
  } catch (error) {
    const what = error.stderr?.trim() || error.message;
    throw new Error(`${program} ${args.join(' ')}: ${what}`, { cause: error });
  }
}

/** Whether the process that made a namespace of this name has gone. */
function isOrphan(name) {
  const owner = new RegExp(`^${PREFIX}-(\\d+)-\\d+$`).exec(name)?.[1];
  return owner !== undefined && !existsSync(`/proc/${owner}`);
}

/** Removes the namespaces of processes that have died. Their children have left with them. */
function removeOrphans() {
  const names = existsSync(NETNS_DIR) ? readdirSync(NETNS_DIR) : [];
  for (const name of names.filter(isOrphan)) {
    try {
      command('ip', ['netns', 'del', name]);
    } catch {
      // Another process has been faster.
    }
  }
}

/** One network namespace. */
class Namespace {
  constructor(name, ipv6) {
    this.name = name;
    this.ipv6 = ipv6;
  }

  /** Runs a program to its end inside and yields its output. */
  run(program, ...args) {
    return command('ip', ['netns', 'exec', this.name, program, ...args]);
  }

  /** `ip` for this namespace. */
  ip(...args) {
    return command('ip', ['-n', this.name, ...args]);
  }

  /** `fork` inside: a Node with a channel to this process. */
  fork(script, args = [], options = {}) {
    const { execArgv = [], ...rest } = options;
    return fork(script, args, {
      serialization: 'advanced',
      ...rest,
      execPath: 'ip',
      execArgv: ['netns', 'exec', this.name, process.execPath, ...execArgv],
    });
  }

  /** Packets that the kernel has dropped before the emulator could read them. */
  droppedByDevice(device) {
    const text = this.ip('-j', '-s', 'link', 'show', 'dev', device);
    return JSON.parse(text)[0].stats64.tx.dropped;
  }
}

/** Namespaces and links that end together. */
class Network {
  #namespaces = [];
  #closers = [];

  constructor() {
    removeOrphans();
  }

  /** A new namespace, its loopback device up, without IPv6 unless asked for. */
  namespace({ ipv6 = false } = {}) {
    const namespace = new Namespace(`${PREFIX}-${process.pid}-${++lastId}`, ipv6);
    command('ip', ['netns', 'add', namespace.name]);
    this.#namespaces.push(namespace);
    // Else devices send router solicitations: traffic that nobody asked for.
    if (!ipv6) setSysctl(namespace, 'net/ipv6/conf/default/disable_ipv6', 1);
    namespace.ip('link', 'set', 'lo', 'up');
    return namespace;
  }

  /**
   * Joins two namespaces by an emulated link. Ends have the addresses `<subnet>.1` and `<subnet>.2`,
   * with IPv6 also `fd77::1` and `fd77::2`, and the device `device`.
   */
  async link(
    a,
    b,
    { conditions, ab, ba, seed = 1, mtu = 1500, subnet = '10.77.1', device = 'link' } = {},
  ) {
    const link = await Link.start({ a, b, seed, mtu, device });
    this.#closers.push(() => link.close());
    link.addrA = `${subnet}.1`;
    link.addrB = `${subnet}.2`;
    for (const [namespace, address] of [
      [a, link.addrA],
      [b, link.addrB],
    ]) {
      namespace.ip('addr', 'add', `${address}/24`, 'dev', device);
      namespace.ip('link', 'set', 'dev', device, 'up');
    }
    if (a.ipv6 && b.ipv6) {
      link.addrA6 = 'fd77::1';
      link.addrB6 = 'fd77::2';
      // Nobody else is on the link who could have the address.
      a.ip('addr', 'add', `${link.addrA6}/64`, 'dev', device, 'nodad');
      b.ip('addr', 'add', `${link.addrB6}/64`, 'dev', device, 'nodad');
    }
    if (conditions !== undefined) await link.set('both', conditions);
    if (ab !== undefined) await link.set('ab', ab);
    if (ba !== undefined) await link.set('ba', ba);
    return link;
  }

  /** Joins two namespaces by a perfect cable: devices of that name, addresses `.1` and `.2`. */
  cable(a, b, { subnet = '10.78.1', device = 'cable' } = {}) {
    const peer = ['peer', 'name', device, 'netns', b.name];
    command('ip', ['-n', a.name, 'link', 'add', device, 'type', 'veth', ...peer]);
    const ends = { addrA: `${subnet}.1`, addrB: `${subnet}.2` };
    for (const [namespace, address] of [
      [a, ends.addrA],
      [b, ends.addrB],
    ]) {
      namespace.ip('addr', 'add', `${address}/24`, 'dev', device);
      namespace.ip('link', 'set', 'dev', device, 'up');
    }
    return ends;
  }

  /** Runs `close` before the namespaces go. */
  onClose(close) {
    this.#closers.push(close);
  }

  /** Ends everything, what was made last first. */
  async close() {
    for (const close of this.#closers.splice(0).reverse()) await close();
    for (const { name } of this.#namespaces.splice(0)) command('ip', ['netns', 'del', name]);
  }
}

/** Writes a setting of the kernel, by its path below /proc/sys. */
function setSysctl(namespace, path, value) {
  namespace.run('sh', '-c', `echo '${value}' > /proc/sys/${path}`);
}

/** What `set` of the emulator takes. */
function conditionsText(conditions) {
  return Object.entries(conditions)
    .map(([name, value]) => `${name.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}=${value}`)
    .join(' ');
}

/** A running emulator. */
class Link {
  #child;
  #waiting = [];
  #ended;
  #stderr = '';
  /** The last counters, once it has ended. */
  #final;

  static async start({ a, b, seed, mtu, device }) {
    const link = new Link([
      ...['--a', `${a.name}:${device}`],
      ...['--b', `${b.name}:${device}`],
      ...['--seed', String(seed)],
      ...['--device-mtu', String(mtu)],
    ]);
    try {
      await link.#answer();
    } catch (error) {
      await link.close().catch(() => {});
      throw error;
    }
    link.a = a;
    link.b = b;
    link.device = device;
    return link;
  }

  constructor(args) {
    this.#child = spawn(LINKEM, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    this.#child.stdin.on('error', () => {});
    this.#child.stderr.on('data', (chunk) => (this.#stderr += chunk));
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      const answer = JSON.parse(line);
      if (answer.final) this.#final = answer.stats;
      else this.#waiting.shift()?.resolve(answer);
    });
    this.#ended = new Promise((resolve) => {
      const end = (why) => {
        for (const { reject } of this.#waiting.splice(0)) reject(new Error(`linkem ${why}`));
        resolve();
      };
      this.#child.once('error', (error) => end(error.message));
      this.#child.once('close', (code, signal) => {
        end(`ended (${signal ?? code}) ${this.#stderr.trim()}`);
      });
    });
  }

  /**
   * Changes conditions of `ab`, `ba` or `both`, from now on. Names are those of `linkem --help`, in
   * camel case; values numbers, booleans or text with a unit.
   */
  async set(where, conditions) {
    if (Object.keys(conditions).length === 0) return;
    await this.#ask(`set ${where} ${conditionsText(conditions)}`);
  }

  /** Counters of both directions, and what the kernel dropped before the emulator saw it. */
  async stats() {
    const { stats } = await this.#ask('stats');
    stats.ab.droppedByDevice = this.a.droppedByDevice(this.device);
    stats.ba.droppedByDevice = this.b.droppedByDevice(this.device);
    return stats;
  }

  /** Ends the emulator and yields its last counters. */
  async close() {
    this.#child.stdin.end();
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), GRACE_MS);
    await this.#ended;
    clearTimeout(timer);
    return this.#final;
  }

  async #ask(line) {
    const answer = this.#answer();
    this.#child.stdin.write(`${line}\n`);
    const { error, ...rest } = await answer;
    if (error !== undefined) throw new Error(`linkem: ${error}`);
    return rest;
  }

  #answer() {
    return new Promise((resolve, reject) => {
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) {
        reject(new Error(`linkem has ended ${this.#stderr.trim()}`));
        return;
      }
      const timer = setTimeout(
        () => reject(new Error('linkem does not answer')),
        ANSWER_TIMEOUT_MS,
      );
      const settle = (done) => (value) => {
        clearTimeout(timer);
        done(value);
      };
      this.#waiting.push({ resolve: settle(resolve), reject: settle(reject) });
    });
  }
}

/** A program inside a namespace that answers calls: `test/support/children/link_peer.cjs` or the like. */
class RemotePeer {
  #child;
  #calls = new Map();
  #lastId = 0;
  #stderr = '';
  #exited;

  constructor(namespace, script = join(__dirname, 'children', 'link_peer.cjs'), options = {}) {
    this.#child = namespace.fork(script, [], {
      stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
      env: { ...process.env, NODE_OPTIONS: '' },
      ...options,
    });
    this.#child.stderr.on('data', (chunk) => (this.#stderr += chunk));
    this.#child.on('message', ({ id, value, error }) => {
      const call = this.#calls.get(id);
      this.#calls.delete(id);
      if (error === undefined) call?.resolve(value);
      else call?.reject(new Error(error));
    });
    this.#exited = new Promise((resolve) => {
      const end = (why) => {
        for (const { reject } of this.#calls.values()) reject(new Error(`peer ${why}`));
        this.#calls.clear();
        resolve();
      };
      this.#child.once('error', (error) => end(error.message));
      this.#child.once('exit', (code, signal) => {
        end(`ended (${signal ?? code}) ${this.#stderr.trim()}`);
      });
    });
  }

  /** Calls a method of the program. */
  call(method, argument) {
    return new Promise((resolve, reject) => {
      if (!this.#child.connected) {
        reject(new Error(`peer has ended ${this.#stderr.trim()}`));
        return;
      }
      const id = ++this.#lastId;
      this.#calls.set(id, { resolve, reject });
      this.#child.send({ id, method, argument });
    });
  }

  /** What it has complained about. */
  get stderr() {
    return this.#stderr;
  }

  /** Ends the program, by force when it does not leave. */
  async end() {
    if (this.#child.connected) this.#child.disconnect();
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), GRACE_MS);
    await this.#exited;
    clearTimeout(timer);
  }
}

module.exports = { Link, Namespace, Network, RemotePeer, linksUnavailable, setSysctl };
