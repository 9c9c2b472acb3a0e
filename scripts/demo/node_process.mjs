// A child process of the demo, seen from the parent: its methods as promises.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

import { StepError } from '../shell.mjs';

/** How long a child may take to leave by itself. */
const GRACE_MS = 3000;

const running = new Set();
// However this process ends, nothing of it stays. Children also leave by themselves when it is killed.
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export class NodeProcess {
  /** Gets how many bytes have arrived so far. */
  onProgress = () => {};

  #name;
  #child;
  #calls = new Map();
  #nextId = 0;
  #gone;

  /** `name` is for messages, `module` a file beside this one that calls `serve`. */
  constructor(name, module) {
    this.#name = name;
    const child = fork(new URL(module, import.meta.url), {
      // Ids are bigints.
      serialization: 'advanced',
      stdio: ['ignore', 2, 2, 'ipc'],
    });
    this.#child = child;
    running.add(child);
    child.on('message', (message) => {
      this.#receive(message);
    });
    child.on('error', (error) => {
      this.#fail(`cannot be started: ${error.message}`);
    });
    child.on('exit', (code, signal) => {
      running.delete(child);
      this.#fail(signal === null ? `ended with status ${code}` : `was ended by ${signal}`);
    });
  }

  /** Runs a method in the child. */
  call(method, argument) {
    if (this.#gone) return Promise.reject(this.#gone);
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      this.#calls.set(id, { resolve, reject });
      this.#child.send({ id, method, argument }, (error) => {
        if (error) this.#fail(`cannot be reached: ${error.message}`);
      });
    });
  }

  /** Ends the child, by force when it does not leave. */
  async end() {
    if (!running.has(this.#child)) return;
    if (this.#child.connected) this.#child.disconnect();
    const left = once(this.#child, 'exit');
    await Promise.race([left, sleep(GRACE_MS, undefined, { ref: false })]);
    if (!running.has(this.#child)) return;
    this.#child.kill('SIGKILL');
    await left;
  }

  #receive(message) {
    if (message.progress !== undefined) {
      this.onProgress(message.progress);
      return;
    }
    const call = this.#calls.get(message.id);
    this.#calls.delete(message.id);
    if (message.error === undefined) call?.resolve(message.result);
    else call?.reject(new StepError(`the ${this.#name}: ${message.error}`));
  }

  #fail(what) {
    this.#gone ??= new StepError(`the ${this.#name} process ${what}`);
    for (const { reject } of this.#calls.values()) reject(this.#gone);
    this.#calls.clear();
  }
}
