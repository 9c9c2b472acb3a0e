'use strict';
// A UDP socket inside a network namespace, driven by its parent. Datagrams carry their number.

const dgram = require('node:dgram');

const socket = dgram.createSocket({ type: 'udp4', recvBufferSize: 4 * 1024 * 1024 });
const FILL = 0x5a;
/** Nothing more is expected after such a pause. */
const SILENCE_MS = 2000;

let numbers = [];
let damaged = 0;
let firstAt = 0;
let lastAt = 0;
let onDatagram = () => {};

socket.on('message', (data) => {
  const now = performance.now();
  if (numbers.length === 0) firstAt = now;
  lastAt = now;
  const number = data.readUInt32LE(0);
  // Only asked for where none is lost and none overtakes: the number is that of the arrival.
  if (number !== numbers.length || data.subarray(4).some((byte) => byte !== FILL)) damaged++;
  numbers.push(number);
  onDatagram();
});

function datagram(number, size) {
  const data = Buffer.alloc(size, FILL);
  data.writeUInt32LE(number, 0);
  return data;
}

const methods = {
  open: ({ host, port }) => new Promise((resolve) => socket.bind(port, host, () => resolve())),
  echo() {
    socket.on('message', (data, from) => socket.send(data, from.port, from.address));
  },
  /** Round trips one after another, in milliseconds. */
  async ping({ to, count }) {
    const times = [];
    for (let i = 0; i < count; i++) {
      const begin = performance.now();
      const answered = new Promise((resolve) => socket.once('message', resolve));
      socket.send(datagram(i, 64), 4000, to);
      await answered;
      times.push(performance.now() - begin);
    }
    return times;
  },
  async send({ to, count, size }) {
    for (let i = 0; i < count; i++) {
      // A refusal of the kernel, as for what is above a known MTU, is one more loss.
      await new Promise((resolve) => socket.send(datagram(i, size), 4000, to, () => resolve()));
    }
  },
  /** Waits for so many datagrams, or for silence, and yields the numbers that came. */
  async wait({ count }) {
    while (numbers.length < count) {
      const more = await new Promise((resolve) => {
        const timer = setTimeout(resolve, SILENCE_MS, false);
        onDatagram = () => {
          clearTimeout(timer);
          resolve(true);
        };
      });
      if (!more) break;
    }
    return numbers;
  },
  duration: () => lastAt - firstAt,
  damaged: () => damaged,
};

process.on('message', async ({ id, method, argument }) => {
  let answer;
  try {
    answer = { id, value: await methods[method](argument) };
  } catch (error) {
    answer = { id, error: `${error.name}: ${error.message}` };
  }
  if (process.connected) process.send(answer);
});
process.on('disconnect', () => process.exit(0));
process.on('SIGINT', () => {});
