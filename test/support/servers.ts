// Real servers for tests: each on a free port of 127.0.0.1, with a folder of its own, stopped at the end.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

const START_MS = 10_000;

/** A server that can be killed and started again, with the same port and data. */
export class Server {
  #process: ChildProcess | undefined;
  readonly #stopped: Array<() => void> = [];

  constructor(
    readonly program: string,
    readonly port: number,
    readonly folder: string,
    readonly args: string[],
  ) {}

  async start(): Promise<void> {
    const child = spawn(this.program, this.args, { stdio: 'ignore', cwd: this.folder });
    this.#process = child;
    child.once('exit', () => {
      if (this.#process === child) this.#process = undefined;
      for (const stopped of this.#stopped.splice(0)) stopped();
    });
    const deadline = Date.now() + START_MS;
    while (!(await answers(this.port))) {
      if (Date.now() > deadline || this.#process === undefined) {
        throw new Error(`${this.program} did not start on port ${this.port}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  /** Resolves when the process is gone. */
  async stop(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#process;
    if (!child) return;
    const gone = new Promise<void>((resolve) => this.#stopped.push(resolve));
    // A stopped process does not see other signals.
    if (signal !== 'SIGKILL') child.kill('SIGCONT');
    child.kill(signal);
    await gone;
  }

  /** Holds the process still, or lets it go on: a server that is slow. */
  pause(paused: boolean): void {
    this.#process?.kill(paused ? 'SIGSTOP' : 'SIGCONT');
    if (paused) this.#awaitStopped();
  }

  /** The signal is delivered thread by thread; until the last has got it the server may still answer. */
  #awaitStopped(): void {
    const tasks = `/proc/${this.#process?.pid}/task`;
    const stopped = (): boolean =>
      readdirSync(tasks).every((task) =>
        /^State:\s+[TtZ]/m.test(readFileSync(`${tasks}/${task}/status`, 'utf8')),
      );
    const deadline = Date.now() + 1000;
    while (existsSync(tasks) && !stopped() && Date.now() < deadline);
  }
}

const servers = new Set<Server>();

afterAll(async () => {
  for (const server of servers) {
    await server.stop();
    rmSync(server.folder, { recursive: true, force: true });
  }
  servers.clear();
});

/** Why tests that need a program are skipped, when it is not installed. */
export function missing(program: string): boolean {
  const found = spawnSync(program, ['--version'], { stdio: 'ignore' }).error === undefined;
  if (!found) console.warn(`${program} is not installed: its tests are skipped`);
  return !found;
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const done = (result: boolean): void => {
      socket.destroy();
      resolve(result);
    };
    socket.once('connect', () => {
      done(true);
    });
    socket.once('error', () => {
      done(false);
    });
  });
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function begin(
  program: string,
  args: (port: number, folder: string) => string[],
): Promise<Server> {
  const port = await freePort();
  const folder = mkdtempSync(path.join(tmpdir(), 'netmesh-server-'));
  const server = new Server(program, port, folder, args(port, folder));
  servers.add(server);
  await server.start();
  return server;
}

/** A Redis that has every write on its disk before it answers, so that killing it loses nothing. */
export function startRedis(...extra: string[]): Promise<Server> {
  return begin('redis-server', (port, folder) => [
    ...['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', ''],
    ...['--appendonly', 'yes', '--appendfsync', 'always', '--daemonize', 'no'],
    ...extra,
  ]);
}

/** A NATS server with JetStream. */
export function startNats(...extra: string[]): Promise<Server> {
  return begin('nats-server', (port, folder) => [
    ...['-js', '-a', '127.0.0.1', '-p', String(port), '-sd', folder],
    ...extra,
  ]);
}
