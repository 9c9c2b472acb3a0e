// What the scripts share: running a step, saying what happens, parsing totals. No dependencies.

import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

/** A failure that has been explained to the user; needs no stack. */
export class StepError extends Error {}

/** How many lines of a failed command's output are worth showing. */
const TAIL_LINES = 60;
/** A long step says where it is this often. */
const PROGRESS_INTERVAL_MS = 15_000;

/** Children that run now; they end when this process is told to. */
const children = new Set();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    for (const child of children) child.kill(signal);
    process.exit(1);
  });
}

export function seconds(sinceMs) {
  return `${((Date.now() - sinceMs) / 1000).toFixed(1)} s`;
}

export function tail(text, lines = TAIL_LINES) {
  return text.trimEnd().split('\n').slice(-lines).join('\n');
}

/**
 * Runs a program to its end. Yields `{ code, signal, stdout, output }`, where `output` holds stdout and
 * stderr as they came. Never rejects: a program that cannot start has the code 127.
 */
export function run(command, args, { cwd = root, env, onText, inherit = false, timeoutMs } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', ...(inherit ? ['inherit', 'inherit'] : ['pipe', 'pipe'])],
    });
    children.add(child);
    let output = '';
    let stdout = '';
    let timedOut = false;
    const timer =
      timeoutMs === undefined
        ? undefined
        : setTimeout(() => {
            timedOut = true;
            child.kill('SIGKILL');
          }, timeoutMs);
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text) => {
        output += text;
        if (stream === child.stdout) stdout += text;
        onText?.(text);
      });
    }
    const finish = (code, signal) => {
      clearTimeout(timer);
      children.delete(child);
      resolve({ code: code ?? 1, signal, stdout, output, timedOut });
    };
    child.once('error', (error) => {
      output += `${command}: ${error.message}\n`;
      finish(127, null);
    });
    child.once('close', finish);
  });
}

/** Runs a step of a build: one line when it starts, now and then one about progress, the output when it fails. */
export async function step(title, command, args, { log, ...options } = {}) {
  log?.(title);
  const started = Date.now();
  let said = started;
  const result = await run(command, args, {
    ...options,
    onText: (text) => {
      const progress = text.match(/\[\d+\/\d+\]/g)?.at(-1);
      if (progress === undefined || Date.now() - said < PROGRESS_INTERVAL_MS) return;
      said = Date.now();
      log?.(`  ${progress} after ${seconds(started)}`);
    },
  });
  if (result.code !== 0) {
    throw new StepError(
      `${tail(result.output)}\n\n${title}: failed\n  ${[command, ...args].join(' ')}`,
    );
  }
  return result;
}

/** Runs `work` over `items`, at most `limit` at a time; results keep the order of the items. */
export async function inParallel(items, limit, work) {
  const results = new Array(items.length);
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const index = next++;
      results[index] = await work(items[index]);
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, limit) }, worker));
  return results;
}

export function jobs() {
  return Number(process.env.CMAKE_BUILD_PARALLEL_LEVEL) || availableParallelism();
}

/** Totals of a run of tests. */
export class Totals {
  passed = 0;
  failed = 0;
  skipped = 0;

  add({ passed = 0, failed = 0, skipped = 0 }) {
    this.passed += passed;
    this.failed += failed;
    this.skipped += skipped;
    return this;
  }

  toString() {
    const skipped = this.skipped === 0 ? '' : `, ${this.skipped} skipped`;
    return `${this.passed} passed, ${this.failed} failed${skipped}`;
  }

  /** Reads the totals from the last line of a runner's output, or nothing when it has none. */
  static parse(text) {
    const match = text.trimEnd().match(/(?:^|\n)(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/);
    if (match === null) return undefined;
    const [passed, failed, skipped] = match.slice(1).map((digits) => Number(digits ?? 0));
    return new Totals().add({ passed, failed, skipped });
  }
}

/** Runs the main function of a script; a failure becomes its message and exit status 1. */
export async function runMain(main) {
  try {
    process.exitCode = (await main()) ?? 0;
  } catch (error) {
    console.error(error instanceof StepError ? error.message : error);
    process.exitCode = 1;
  }
}

/** Whether the module with this `import.meta.url` is the program that was started. */
export function isMain(url) {
  return process.argv[1] !== undefined && path.resolve(process.argv[1]) === fileURLToPath(url);
}
