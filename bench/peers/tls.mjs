import { LENGTH_BYTES } from '../lib/frames.mjs';
import { tlsPeer } from '../lib/tls.mjs';

/**
 * TLS as an application would use it with care: a batch is corked and leaves as one write, and every
 * event received is a `Buffer`, as it is with netmesh.
 */
export default tlsPeer({
  id: 'tls',
  label: 'TLS 1.3 over TCP (`node:tls`)',
  views: true,

  createWriter(socket) {
    return (events) => {
      socket.cork();
      for (const event of events) {
        const length = Buffer.allocUnsafe(LENGTH_BYTES);
        length.writeUInt32LE(event.length);
        socket.write(length);
        socket.write(event);
      }
      socket.uncork();
      if (!socket.writableNeedDrain) return undefined;
      return new Promise((resolve) => socket.once('drain', resolve));
    };
  },
});
