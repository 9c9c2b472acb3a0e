// `netmesh redex inspect|verify|dump|repair`.

import { once } from 'node:events';
import { resolve } from 'node:path';

import { type Command, InvalidArgumentError, Option } from 'commander';

import type { NativeRedexAnalysis, NativeRedexRecord } from '../../types/native';
import { addon } from '../internal/native';
import { Progress } from './progress';

/** Records read from the addon at a time. */
const DUMP_AT_ONCE = 1024;
/** Damaged records that `verify` names one by one. */
const MAX_NAMED = 10;

const PAYLOAD_FORMATS = ['utf8', 'base64', 'hex', 'none'] as const;
type PayloadFormat = (typeof PAYLOAD_FORMATS)[number];

/** Adds the `redex` commands to the program. */
export function addRedexCommands(program: Command): void {
  const redex = program.command('redex').description('Look at and mend RedEX logs on disk.');
  const argument = 'directory of one log, or one that has logs below it';

  redex
    .command('inspect')
    .description('List logs with their sizes. Changes nothing; also while they are in use.')
    .argument('<dir>', argument)
    .option('--json', 'one JSON object per log')
    .action((dir: string, options: { json?: boolean }) => {
      for (const log of logsIn(dir)) inspect(log, options.json === true);
    });

  redex
    .command('verify')
    .description('Check every record. Exits with 1 when something is damaged or torn.')
    .argument('<dir>', argument)
    .option('--json', 'one JSON object per log')
    .action((dir: string, options: { json?: boolean }) => {
      for (const log of logsIn(dir)) verify(log, options.json === true);
    });

  redex
    .command('dump')
    .description('Write the events of one log, one JSON object per line.')
    .argument('<dir>', 'directory of the log')
    .option('--from <seq>', 'first sequence number', seqOption)
    .option('--limit <count>', 'how many events at most', countOption)
    .addOption(
      new Option('--payload <format>', 'how payloads are written')
        .choices(PAYLOAD_FORMATS)
        .default('utf8'),
    )
    .action(
      async (
        dir: string,
        { from, limit, payload }: { from?: bigint; limit?: number; payload: PayloadFormat },
      ) => {
        await dump(oneLog(dir), from ?? 0n, limit ?? Infinity, payload);
      },
    );

  redex
    .command('repair')
    .description(
      'Do what opening a log does: cut what a crash tore, leave damaged records out of a new ' +
        'generation, complete timestamps. Refused while the log is in use.',
    )
    .argument('<dir>', argument)
    .option('--json', 'one JSON object per log')
    .action((dir: string, options: { json?: boolean }) => {
      for (const log of logsIn(dir)) repair(log, options.json === true);
    });
}

function seqOption(text: string): bigint {
  if (!/^\d{1,20}$/u.test(text)) throw new InvalidArgumentError('expected a number from 0 on');
  return BigInt(text);
}

function countOption(text: string): number {
  if (!/^\d{1,15}$/u.test(text)) throw new InvalidArgumentError('expected a number from 0 on');
  return Number(text);
}

function logsIn(dir: string): string[] {
  const logs = addon().redexFindLogs(resolve(dir));
  if (logs.length === 0) throw new Error(`there is no log in ${resolve(dir)}`);
  return logs;
}

function oneLog(dir: string): string {
  const path = resolve(dir);
  const logs = logsIn(dir);
  if (logs.includes(path)) return path;
  if (logs.length === 1) return logs[0] as string;
  throw new Error(`there are ${logs.length} logs below ${path}; name one:\n  ${logs.join('\n  ')}`);
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function printJson(value: object): void {
  print(
    JSON.stringify(value, (_key, each: unknown) =>
      typeof each === 'bigint' ? each.toString() : each,
    ),
  );
}

function isoTime(ns: bigint): string | null {
  return ns <= 0n ? null : new Date(Number(ns / 1_000_000n)).toISOString();
}

function inspect(log: string, json: boolean): void {
  const found = addon().redexInspect(log);
  const first = addon().redexRead(log, 0, 1)[0];
  const last = addon().redexRead(log, found.records - 1, 1)[0];
  const facts = {
    log,
    ...found,
    firstSeq: first?.seq ?? null,
    lastSeq: last?.seq ?? null,
    firstTime: first ? isoTime(first.timestampNs) : null,
    lastTime: last ? isoTime(last.timestampNs) : null,
  };
  if (json) {
    printJson(facts);
    return;
  }
  const layout = found.generation === 0 ? 'flat layout' : `generation ${found.generation}`;
  print(log);
  print(`  ${layout}, manifest ${found.manifestValid ? 'valid' : 'missing or not valid'}`);
  print(`  records ${found.records}, sequence ${facts.firstSeq ?? '-'} to ${facts.lastSeq ?? '-'}`);
  print(`  idx ${found.indexBytes} B, dat ${found.payloadBytes} B, ts ${found.timestampBytes} B`);
  if (facts.firstTime !== null) print(`  from ${facts.firstTime} to ${facts.lastTime ?? '-'}`);
}

/** What is wrong, one line each. */
function problems(log: string, found: NativeRedexAnalysis, payloadBytes: number): string[] {
  const out: string[] = [];
  const torn = found.records - found.keep;
  if (torn > 0) out.push(`${torn} records at the end are torn or never written`);
  if (found.strayIndexBytes > 0) out.push(`${found.strayIndexBytes} bytes of a partial record`);
  if (payloadBytes > found.datEnd) {
    out.push(`${payloadBytes - found.datEnd} bytes after the last payload`);
  }
  if (found.timestamps < found.keep) {
    out.push(`${found.keep - found.timestamps} timestamps are missing`);
  }
  if (found.damaged.length > 0) {
    const named = found.damaged.slice(0, MAX_NAMED).map((index) => {
      const seq = addon().redexRead(log, index, 1)[0]?.seq;
      return `${index} (sequence ${seq ?? '-'})`;
    });
    const more = found.damaged.length > named.length ? ', …' : '';
    out.push(`${found.damaged.length} damaged records: ${named.join(', ')}${more}`);
  }
  return out;
}

function verify(log: string, json: boolean): void {
  const progress = new Progress(log);
  const { payloadBytes } = addon().redexInspect(log);
  const found = addon().redexVerify(log, progress.update);
  progress.finish();
  const wrong = problems(log, found, payloadBytes);
  if (wrong.length > 0) process.exitCode = 1;
  if (json) {
    printJson({ log, sound: wrong.length === 0, ...found, problems: wrong });
    return;
  }
  const sound = found.keep - found.damaged.length;
  print(`${log}: ${sound} sound records${wrong.length === 0 ? '' : ', and'}`);
  for (const line of wrong) print(`  ${line}`);
}

async function dump(
  log: string,
  from: bigint,
  limit: number,
  format: PayloadFormat,
): Promise<void> {
  let left = limit;
  for (let index = 0; left > 0;) {
    const records = addon().redexRead(log, index, DUMP_AT_ONCE);
    if (records.length === 0) return;
    index += records.length;
    const lines: string[] = [];
    for (const record of records) {
      // Zeros after the last record are space that a writer has reserved.
      const unwritten = !record.sound && record.seq === 0n && record.checksum === 0;
      if (record.seq < from || unwritten || left === 0) continue;
      left -= 1;
      lines.push(dumpLine(record, format));
    }
    if (lines.length > 0 && !process.stdout.write(lines.join(''))) {
      await once(process.stdout, 'drain');
    }
  }
}

function dumpLine(record: NativeRedexRecord, format: PayloadFormat): string {
  const { seq, timestampNs, payload, checksum, isInline, sound } = record;
  const line = {
    seq: Number.isSafeInteger(Number(seq)) ? Number(seq) : seq.toString(),
    time: isoTime(timestampNs),
    bytes: payload.length,
    checksum,
    ...(isInline ? { inline: true } : {}),
    ...(sound ? {} : { damaged: true }),
    ...(format === 'none' ? {} : { payload: payload.toString(format) }),
  };
  return `${JSON.stringify(line)}\n`;
}

function repair(log: string, json: boolean): void {
  const progress = new Progress(log);
  const done = addon().redexRepair(log, progress.update);
  progress.finish();
  if (json) {
    printJson({ log, ...done });
    return;
  }
  const did: string[] = [];
  if (done.migrated) did.push('moved from the flat layout into a generation');
  if (done.manifestRewritten) did.push('wrote the manifest anew');
  if (done.cutRecords > 0) did.push(`cut ${done.cutRecords} torn records`);
  if (done.cutPayloadBytes > 0)
    did.push(`cut ${done.cutPayloadBytes} bytes after the last payload`);
  if (done.filledTimestamps > 0) did.push(`filled ${done.filledTimestamps} timestamps`);
  if (done.compacted) did.push(`left out ${done.damaged.length} damaged records`);
  print(`${log}: ${did.length === 0 ? 'nothing to do' : did.join(', ')}`);
}
