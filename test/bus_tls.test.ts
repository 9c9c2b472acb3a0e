import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { type BackendTls, BusError, NetNode, type Transport } from 'netmesh';

import { openBus } from './support/buses';
import { rejection } from './support/nodes';
import { type Server, freePort, missing, startNats, startRedis } from './support/servers';

// Backends behind TLS, with certificates that are made here.

jest.setTimeout(30_000);

const folder = mkdtempSync(path.join(tmpdir(), 'netmesh-tls-'));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const file = (name: string): string => path.join(folder, name);
const pem = (name: string): string => readFileSync(file(name), 'utf8');

function openssl(...args: string[]): void {
  const { status, stderr } = spawnSync('openssl', args, { cwd: folder, encoding: 'utf8' });
  if (status !== 0) throw new Error(`openssl ${args[0] ?? ''} failed: ${stderr}`);
}

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

/** An authority of this name: `<name>.crt` and `<name>.key`. */
function makeAuthority(name: string): void {
  const subject = ['-subj', `/CN=${name}`, '-days', '2'];
  openssl('req', '-x509', ...KEY, '-keyout', `${name}.key`, '-out', `${name}.crt`, ...subject);
}

/** A certificate for 127.0.0.1 that the authority has signed. */
function makeCertificate(name: string, authority: string): void {
  const names = ['-addext', 'subjectAltName=IP:127.0.0.1'];
  const request = ['-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`];
  openssl('req', ...KEY, ...request, ...names);
  const signer = ['-CA', `${authority}.crt`, '-CAkey', `${authority}.key`, '-CAcreateserial'];
  const signed = ['-days', '2', '-copy_extensions', 'copy', '-out', `${name}.crt`];
  openssl('x509', '-req', '-in', `${name}.csr`, ...signer, ...signed);
}

interface Backend {
  name: string;
  program: string;
  /** A server that asks clients for a certificate of the right authority. */
  start: () => Promise<{ server: Server; port: number }>;
  transport: (port: number, tls?: BackendTls) => Transport;
}

const BACKENDS: Backend[] = [
  {
    name: 'Redis',
    program: 'redis-server',
    start: async () => {
      const port = await freePort();
      const server = await startRedis(
        ...['--tls-port', String(port), '--tls-auth-clients', 'yes'],
        ...['--tls-cert-file', file('server.crt'), '--tls-key-file', file('server.key')],
        ...['--tls-ca-cert-file', file('right.crt')],
      );
      return { server, port };
    },
    transport: (port, tls) => ({
      type: 'redis',
      url: `rediss://127.0.0.1:${port}`,
      connectTimeoutMs: 3000,
      tls,
    }),
  },
  {
    name: 'JetStream',
    program: 'nats-server',
    start: async () => {
      const server = await startNats(
        ...['--tls', '--tlscert', file('server.crt'), '--tlskey', file('server.key')],
        ...['--tlsverify', '--tlscacert', file('right.crt')],
      );
      return { server, port: server.port };
    },
    transport: (port, tls) => ({
      type: 'jetstream',
      url: `tls://127.0.0.1:${port}`,
      connectTimeoutMs: 3000,
      tls,
    }),
  },
];

const withoutOpenssl = spawnSync('openssl', ['version']).error !== undefined;

for (const { name, program, start, transport } of BACKENDS) {
  (withoutOpenssl || missing(program) ? describe.skip : describe)(`${name} behind TLS`, () => {
    let port: number;

    beforeAll(async () => {
      makeAuthority('right');
      makeAuthority('wrong');
      makeCertificate('server', 'right');
      makeCertificate('client', 'right');
      makeCertificate('stranger', 'wrong');
      ({ port } = await start());
    });

    const right = (): BackendTls => ({
      ca: pem('right.crt'),
      cert: pem('client.crt'),
      key: pem('client.key'),
    });
    const refused = async (tls?: BackendTls): Promise<BusError> => {
      const error = await rejection(NetNode.create({ transport: transport(port, tls) }));
      expect(error).toBeInstanceOf(BusError);
      expect(error.message).toMatch(/^Failed to create EventBus: connection error: /);
      return error as BusError;
    };

    test('events go out and come back, and wake a stream', async () => {
      const bus = await openBus({ shards: 2, transport: transport(port, right()) });
      for (let n = 0; n < 100; n++) bus.emit({ n });
      await bus.flush();
      expect((await bus.poll({ limit: 1000 })).events).toHaveLength(100);
      const stream = bus.subscribe({ from: 'latest' });
      const next = stream[Symbol.asyncIterator]().next();
      await new Promise((resolve) => setTimeout(resolve, 100));
      bus.emit({ last: true });
      expect((await next).value?.raw).toBe('{"last":true}');
      stream.stop();
    });

    test('a server of another authority than the one to trust is refused', async () => {
      const error = await refused({ ...right(), ca: pem('wrong.crt') });
      expect(error.message).toMatch(/self[- ]signed certificate|unable to verify/iu);
    });

    test("without an authority of one's own, those of the system count, and do not know it", async () => {
      const { cert, key } = right();
      await refused({ cert, key });
    });

    test('a client without a certificate, or with one of another authority, is refused', async () => {
      await refused({ ca: pem('right.crt') });
      await refused({
        ca: pem('right.crt'),
        cert: pem('stranger.crt'),
        key: pem('stranger.key'),
      });
    });

    test('what is no PEM fails the creation', async () => {
      await refused({ ...right(), cert: 'nonsense' });
    });
  });
}
