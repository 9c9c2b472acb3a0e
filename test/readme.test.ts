import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';

import { MeshNode, NetNode } from 'netmesh';
import { NetMesh } from 'netmesh/core';
import { ERROR_TABLE } from 'netmesh/errors';
import ts from 'typescript';

import { connectedPair } from './support/nodes';

// What the documents say is true: their code runs, their links lead somewhere, their tables are complete.

// The compiler reads the whole library.
jest.setTimeout(60_000);

const execute = promisify(execFile);
const root = path.resolve(__dirname, '..');
const documents = [
  'README.md',
  'bench/README.md',
  ...readdirSync(path.join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

function read(file: string): string {
  return readFileSync(path.join(root, file), 'utf8');
}

// --- code ---

interface CodeBlock {
  document: string;
  line: number;
  language: string;
  /** A piece that relies on what the text around it says exists; all others run by themselves. */
  fragment: boolean;
  text: string;
}

function codeBlocksOf(document: string): CodeBlock[] {
  const text = read(document);
  return [...text.matchAll(/^```(\w+)([^\n]*)\n(.*?)^```$/gms)].map((match) => ({
    document,
    line: text.slice(0, match.index).split('\n').length,
    language: match[1]!,
    fragment: match[2]!.trim() === 'fragment',
    text: match[3]!,
  }));
}

const blocks = documents.flatMap(codeBlocksOf);
const code = blocks.filter(({ language }) =>
  ['ts', 'typescript', 'js', 'javascript'].includes(language),
);

/** What fragments may take for granted. */
const FRAGMENT_CONTEXT = `
import { MeshNode, type MeshStream, NetNode, RedisStreamDedup } from 'netmesh';
import { generateNetKeypair } from 'netmesh/core';
declare const bus: NetNode;
declare const node: MeshNode;
declare const stream: MeshStream;
declare const peerNodeId: bigint;
export async function fragment(): Promise<void> {
`;

let folder: string;

beforeAll(() => {
  // Inside the package, so that its own name leads to it.
  mkdirSync(path.join(root, 'build'), { recursive: true });
  folder = mkdtempSync(path.join(root, 'build', 'documents-'));
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** The compiler's complaints about files, under the rules of the project's own tests. */
function typeErrors(files: string[]): string[] {
  const config = ts.readConfigFile(path.join(root, 'tsconfig.test.json'), (file) =>
    ts.sys.readFile(file),
  );
  const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, root);
  const program = ts.createProgram(files, { ...options, noUnusedLocals: false });
  return ts
    .getPreEmitDiagnostics(program)
    .map(({ file, messageText }) =>
      [file?.fileName, ts.flattenDiagnosticMessageText(messageText, ' ')].join(': '),
    );
}

/** Runs TypeScript as a program and yields its standard output. */
async function runProgram(text: string): Promise<string> {
  const { outputText } = ts.transpileModule(text, {
    compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022 },
  });
  const file = path.join(folder, 'program.js');
  writeFileSync(file, outputText);
  const { stdout, stderr } = await execute(process.execPath, [file], { cwd: folder });
  expect(stderr).toBe('');
  return stdout;
}

test('the example in README.md is examples/quickstart.ts', () => {
  const embedded = /<!-- example:begin -->\n```ts\n(.*?)```\n<!-- example:end -->/s.exec(
    read('README.md'),
  );
  expect(embedded?.[1]).toBe(read('examples/quickstart.ts'));
});

test('the code in the documents passes the compiler', () => {
  expect(code.length).toBeGreaterThan(1);
  const files = code.map(({ fragment, text }, index) => {
    const file = path.join(folder, `block-${index}.ts`);
    writeFileSync(file, fragment ? `${FRAGMENT_CONTEXT}${text}}\n` : text);
    return file;
  });
  expect(typeErrors(files)).toEqual([]);
});

const programs = code.filter(({ fragment }) => !fragment);

test.each(programs.map((block) => [`${block.document}:${block.line}`, block] as const))(
  'the program in %s runs and prints what the document says',
  async (_where, block) => {
    const printed = blocks[blocks.indexOf(block) + 1];
    const expected = printed?.language === 'text' ? printed.text : undefined;
    const output = await runProgram(block.text);
    // Processors without AES instructions take the other cipher.
    const cipher = /aes-256-gcm|chacha20-poly1305/g;
    if (expected !== undefined) {
      expect(output.replace(cipher, 'AEAD')).toBe(expected.replace(cipher, 'AEAD'));
    }
  },
);

test.each(['README.md', 'docs/performance.md'])(
  '%s has one place for measured tables',
  (document) => {
    expect(read(document).split('<!-- bench:begin -->')).toHaveLength(2);
    expect(read(document).split('<!-- bench:end -->')).toHaveLength(2);
  },
);

// --- links ---

/** The anchors of a document's headings, as they are made by the sites that show it. */
function anchorsOf(document: string): Set<string> {
  const headings = read(document)
    .replace(/^```.*?^```$/gms, '')
    .matchAll(/^#+ (.*)$/gm);
  return new Set(
    [...headings].map(([, heading]) =>
      heading!
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

test.each(documents)('every link in %s leads somewhere', (document) => {
  const broken: string[] = [];
  const prose = read(document).replace(/^```.*?^```$/gms, '');
  for (const [, target] of prose.matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^[a-z]+:/.test(target!)) continue;
    const [file, anchor] = target!.split('#') as [string, string?];
    const full = file === '' ? document : path.join(path.dirname(document), file);
    if (!existsSync(path.join(root, full))) broken.push(target!);
    else if (anchor !== undefined && !anchorsOf(full).has(anchor)) broken.push(target!);
  }
  expect(broken).toEqual([]);
});

test('every file that architecture.md names is there', () => {
  const table = read('docs/architecture.md').split('## Where to find what')[1]!;
  const missing: string[] = [];
  for (const row of table.matchAll(/^\|[^|]*\|([^|]*)\|$/gm)) {
    let lastFolder = '';
    for (const [, name] of row[1]!.matchAll(/`([^`]+)`/g)) {
      if (name!.includes('*')) continue;
      if (name!.includes('/')) lastFolder = path.dirname(name!);
      const file = name!.includes('/') ? name! : path.join(lastFolder, name!);
      if (!existsSync(path.join(root, file)) || !statSync(path.join(root, file)).isFile()) {
        missing.push(file);
      }
    }
  }
  expect(missing).toEqual([]);
});

test('every npm script that the documents name exists', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  const named = documents.flatMap((document) =>
    [...read(document).matchAll(/npm (?:run )?(demo|test|bench[\w:]*|(?<=run )[\w:]+)/g)].map(
      ([, name]) => name!,
    ),
  );
  expect([...new Set(named)].filter((name) => !(name in scripts))).toEqual([]);
});

// --- tables ---

/** The names that stand in code spans of a document. */
function codeSpansOf(document: string): Set<string> {
  const prose = read(document).replace(/^```.*?^```$/gms, '');
  return new Set([...prose.matchAll(/`([^`\n]+)`/g)].flatMap(([, span]) => span!.split(/\W+/)));
}

/** The properties that an interface in lib/types.ts declares itself. */
function propertiesOf(name: string): string[] {
  const source = ts.createSourceFile('types.ts', read('lib/types.ts'), ts.ScriptTarget.ES2022);
  const declaration = source.statements.find(
    (statement): statement is ts.InterfaceDeclaration =>
      ts.isInterfaceDeclaration(statement) && statement.name.text === name,
  );
  return declaration!.members.map((member) => (member.name as ts.Identifier).text);
}

function missingIn(document: string, names: Iterable<string>): string[] {
  const spans = codeSpansOf(document);
  return [...names].filter((name) => !spans.has(name));
}

test.each(['MeshNodeConfig', 'StreamConfig', 'ConnectOptions', 'ShutdownOptions', 'PeerInfo'])(
  'operations.md has every property of %s',
  (name) => {
    expect(missingIn('docs/operations.md', propertiesOf(name))).toEqual([]);
  },
);

test.each([
  'NetNodeConfig',
  'BusTuning',
  'RetentionOptions',
  'BatchOptions',
  'RedisOptions',
  'JetStreamOptions',
  'MeshTransportOptions',
  'BackendTls',
  'BusStats',
])('event-bus.md has every property of %s', (name) => {
  expect(missingIn('docs/event-bus.md', propertiesOf(name))).toEqual([]);
});

test('event-bus.md or README.md has every method of NetNode', () => {
  const names = Object.getOwnPropertyNames(NetNode.prototype).filter(
    (name) => name !== 'constructor',
  );
  const missing = new Set(missingIn('docs/event-bus.md', names));
  expect(missingIn('README.md', names).filter((name) => missing.has(name))).toEqual([]);
});

test('operations.md has every counter and every stream statistic', async () => {
  const [a, b] = await connectedPair();
  a.openStream(b.nodeId(), { streamId: 1n });
  const stats = a.streamStats(b.nodeId(), 1n)!;
  expect(missingIn('docs/operations.md', Object.keys(a.stats()))).toEqual([]);
  expect(missingIn('docs/operations.md', Object.keys(stats))).toEqual([]);
});

test('README.md has every method of MeshNode and what NetMesh adds', () => {
  const methodsOf = (constructor: { prototype: object }): string[] =>
    Object.getOwnPropertyNames(constructor.prototype).filter(
      // What starts with `_` or `testInject` is for tests.
      (name) => name !== 'constructor' && !/^_|^testInject/u.test(name),
    );
  const methods = [...methodsOf(MeshNode), ...methodsOf(NetMesh)];
  expect(missingIn('README.md', methods)).toEqual([]);
});

test('operations.md has every error class and code', () => {
  const names = Object.values(ERROR_TABLE).map(({ name }) => name);
  expect(missingIn('docs/operations.md', [...names, ...Object.keys(ERROR_TABLE)])).toEqual([]);
});
