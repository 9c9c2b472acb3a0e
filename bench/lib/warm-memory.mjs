import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { freemem } from 'node:os';

/** Wanted, and what of the machine's free memory it may be at most. */
const WANTED_BYTES = 2 * 2 ** 30;
const SHARE_OF_FREE = 1 / 4;
const BLOCK_BYTES = 64 * 2 ** 20;

/** What the child runs. It keeps what it touches until it exits. */
const TOUCH = `
  const blocks = [];
  for (let left = Number(process.argv[1]); left > 0; left -= ${BLOCK_BYTES})
    blocks.push(Buffer.alloc(Math.min(left, ${BLOCK_BYTES}), 1));
`;

/** How much {@link warmMemory} is to touch on this machine, now. */
export function bytesToWarm() {
  return Math.floor(Math.min(WANTED_BYTES, freemem() * SHARE_OF_FREE));
}

/**
 * Has another process touch so much memory, and ends it, so that what is measured next finds pages that are
 * there.
 *
 * The hosts of many virtual machines take back memory that is free, and give it again when it is touched.
 * Getting a page back took eight times as long as zeroing one that is there, on the machine of the published
 * figures: 0.4 against 3 GB/s. Whoever writes a gigabyte first then pays for whoever did not, and the rate says
 * more about the host than about the log. A machine of one's own has its memory at all times; this
 * gets a virtual one as close as a process can, and every peer alike. A host may still take pages back during
 * a measurement.
 *
 * Hosts take memory in large pieces, so it is touched in large pages, where the C library offers that (glibc
 * 2.35).
 *
 * @param {number} bytes
 */
export async function warmMemory(bytes) {
  const child = spawn(process.execPath, ['-e', TOUCH, String(bytes)], {
    stdio: 'ignore',
    env: { ...process.env, GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1' },
  });
  const [code, signal] = await once(child, 'exit');
  if (code !== 0) throw new Error(`touching ${bytes} bytes ended with ${signal ?? code}`);
}
