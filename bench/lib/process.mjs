import { fork, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const WORKER = fileURLToPath(new URL('./worker.mjs', import.meta.url));

/** A call that takes longer has hung: every measurement is a few seconds. */
const CALL_TIMEOUT_MS = 60_000;

/** How long a worker may take to leave by itself once its end of the channel is closed. */
const EXIT_TIMEOUT_MS = 2_000;

/**
 * @typedef {object} Placement
 * @property {number} [core]        pins the process
 * @property {string[]} [execArgv]
 * @property {{ fork: typeof fork }} [namespace]  the network namespace to run in
 */

/** One forked worker, and calls to the methods of the role that it plays. */
export class WorkerProcess {
  #child;
  #lastId = 0;
  #stderr = '';
  /** @type {Map<number, { resolve: (value: any) => void, reject: (error: Error) => void }>} */
  #calls = new Map();

  /**
   * @param {string} moduleUrl  module that exports the role
   * @param {string} role       function in it: `(options) => methods`
   * @param {object} options
   * @param {Placement} [placement]
   * @returns {Promise<WorkerProcess>}
   */
  static async start(moduleUrl, role, options, placement = {}) {
    const worker = new WorkerProcess(moduleUrl, role, placement);
    try {
      await worker.#open(options);
    } catch (error) {
      await worker.stop();
      throw error;
    }
    return worker;
  }

  /**
   * @param {string} moduleUrl
   * @param {string} role
   * @param {Placement} placement
   */
  constructor(moduleUrl, role, { core, execArgv = [], namespace = { fork } }) {
    this.#child = namespace.fork(WORKER, [moduleUrl, role], {
      execArgv,
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    });
    if (core !== undefined) pin(this.#child.pid, core);
    this.#child.stderr?.on('data', (chunk) => (this.#stderr += chunk));
    this.#child.on('message', (/** @type {any} */ { id, value, error }) => {
      const call = this.#calls.get(id);
      this.#calls.delete(id);
      if (error === undefined) call?.resolve(value);
      else call?.reject(new Error(error));
    });
    this.#child.once('exit', (code, signal) => {
      const error = new Error(`worker ended (${signal ?? code}) ${this.#stderr.trim()}`);
      for (const call of this.#calls.values()) call.reject(error);
      this.#calls.clear();
    });
  }

  /** @param {object} options */
  #open(options) {
    const opened = this.#reply(0);
    this.#child.send(options);
    return opened;
  }

  /**
   * @param {string} method
   * @param {unknown} [argument]
   * @returns {Promise<any>}
   */
  call(method, argument) {
    if (!this.#child.connected) return Promise.reject(new Error('worker has ended'));
    const id = ++this.#lastId;
    const reply = this.#reply(id, method);
    this.#child.send({ id, method, argument });
    return reply;
  }

  /**
   * @param {number} id
   * @param {string} [method]
   */
  #reply(id, method = 'start') {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#calls.delete(id);
        reject(new Error(`${method}: no answer within ${CALL_TIMEOUT_MS / 1000} s`));
      }, CALL_TIMEOUT_MS);
      const settle =
        (/** @type {(value: any) => void} */ done) =>
        /** @param {any} value */
        (value) => {
          clearTimeout(timer);
          done(value);
        };
      this.#calls.set(id, { resolve: settle(resolve), reject: settle(reject) });
    });
  }

  /** Lets the worker go, and ends it when it does not leave. */
  async stop() {
    const child = this.#child;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    if (child.connected) child.disconnect();
    const timer = setTimeout(() => child.kill('SIGKILL'), EXIT_TIMEOUT_MS);
    await exited;
    clearTimeout(timer);
  }
}

/**
 * Binds a process and the threads it will start to one core, where `taskset` exists.
 *
 * @param {number | undefined} pid
 * @param {number} core
 */
function pin(pid, core) {
  spawnSync('taskset', ['-acp', String(core), String(pid)], { stdio: 'ignore' });
}

/** Whether processes can be bound to a core here. */
export function canPin() {
  return spawnSync('taskset', ['--version'], { stdio: 'ignore' }).status === 0;
}
