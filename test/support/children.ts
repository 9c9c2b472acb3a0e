// Programs of their own, run against the compiled package as a user's would be.

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(__dirname, '..', '..');

export interface ChildResult {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** A running program of `test/support/children`. */
export class Child {
  readonly process: ChildProcess;
  readonly ended: Promise<ChildResult>;
  #stdout = '';
  #stderr = '';

  constructor(script: string, args: string[] = [], nodeOptions: string[] = []) {
    if (!existsSync(join(ROOT, 'dist', 'index.js'))) {
      throw new Error('dist/ is missing: npm run build:ts compiles it');
    }
    const path = join(__dirname, 'children', script);
    this.process = spawn(process.execPath, [...nodeOptions, path, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    this.process.stdout?.on('data', (chunk: Buffer) => (this.#stdout += chunk.toString()));
    this.process.stderr?.on('data', (chunk: Buffer) => (this.#stderr += chunk.toString()));
    this.ended = new Promise((resolve, reject) => {
      this.process.once('error', reject);
      this.process.once('close', (code, signal) => {
        resolve({ code, signal, stdout: this.#stdout, stderr: this.#stderr });
      });
    });
  }

  /** Waits until the program has printed something. */
  async printed(text: string): Promise<void> {
    while (!this.#stdout.includes(text)) {
      const over = await Promise.race([
        this.ended.then(() => true),
        new Promise<false>((resolve) =>
          this.process.stdout?.once('data', () => {
            resolve(false);
          }),
        ),
      ]);
      if (over && !this.#stdout.includes(text)) {
        throw new Error(`ended without printing ${text}:\n${this.#stdout}${this.#stderr}`);
      }
    }
  }
}

/** Runs a program to its end. */
export function runChild(
  script: string,
  args: string[] = [],
  nodeOptions: string[] = [],
): Promise<ChildResult> {
  return new Child(script, args, nodeOptions).ended;
}
