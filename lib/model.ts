/**
 * Models of one's own: typed events in a log, folded in JavaScript into rows to query and to watch.
 *
 * @packageDocumentation
 */

import { isUint8Array } from 'node:util/types';

import { CortexError } from './core/errors';
import { FIRST_CODE, LAST_CODE, Model, type ModelShape } from './internal/model';
import { managerOf } from './internal/managers';
import { decodeJson, encodeJson } from './internal/model_codec';
import type { IndexFunction, ModelRows } from './internal/model_rows';
import type { AdapterOptions, CortexSnapshot } from './internal/cortex_types';
import * as validate from './internal/validate';
import type { Redex } from './redex';

export { Model } from './internal/model';
export type { ModelQuery } from './internal/model_query';
export type { IndexFunction, IndexValue, ModelKey, ModelRows } from './internal/model_rows';

/** One kind of event. Made by {@link event}. */
export interface EventType<Payload> {
  /** What stands for it in the log, 128…255. */
  readonly code?: number;
  /** Returns the payload, or throws what is wrong with it. Runs on every append and every fold. */
  readonly check?: (value: unknown) => Payload;
}

/** What is known about an event besides its payload. */
export interface EventInfo {
  /** Its place in the log. */
  readonly seq: bigint;
  /** Who wrote it. */
  readonly originHash: bigint;
}

/** Payloads as bytes. The default is JSON that knows bigints, too. */
export interface ModelCodec {
  readonly encode: (value: unknown) => Uint8Array;
  readonly decode: (bytes: Buffer) => unknown;
}

/** Names the type of a model's rows; made by {@link rowsOf}. */
export interface RowType<Row> {
  /** Only for the compiler. */
  readonly type?: (row: Row) => Row;
}

/** What {@link defineModel} takes. */
export interface ModelDefinition<Events extends object, Row, IndexName extends string> {
  /** The log is `cortex/models/<name>`: lower case letters, digits, `-`, `_`, `.`, `/`. */
  name: string;
  /**
   * The kinds of events. Their codes count up from 128 in this order unless given: to add kinds later,
   * append them.
   */
  events: { [Name in keyof Events]: EventType<Events[Name]> };
  /** The type of the rows. Where it is missing, the functions in `indexes` tell. */
  rows?: RowType<Row>;
  /**
   * What each event does to the rows. Must depend on nothing else, as it runs again on every opening. An
   * event whose function throws leaves the rows as they were.
   */
  fold: {
    [Name in keyof Events]: (rows: ModelRows<Row>, payload: Events[Name], info: EventInfo) => void;
  };
  /** Fields by which rows are found without looking at all of them. */
  indexes?: Record<IndexName, IndexFunction<Row>>;
  /** When a fold function throws: `'stop'` folding (the default), or `'continue'` with the next event. */
  onFoldError?: 'stop' | 'continue';
  codec?: ModelCodec;
}

/** A model that can be opened over any number of logs. */
export interface ModelClass<Events extends object, Row, IndexName extends string> {
  readonly name: string;
  /** Opens the model's log in a manager and resolves when everything in it is folded. */
  open(
    redex: Redex,
    originHash: bigint | number,
    opts?: AdapterOptions | null,
  ): Promise<Model<Events, Row, IndexName>>;
  /** Starts from a snapshot and folds what the log has after it. */
  openFromSnapshot(
    redex: Redex,
    originHash: bigint | number,
    snapshot: CortexSnapshot,
    opts?: AdapterOptions | null,
  ): Promise<Model<Events, Row, IndexName>>;
}

/**
 * A kind of event with this payload.
 *
 * ```ts
 * const added = event<{ sku: string; quantity: number }>();
 * ```
 */
export function event<Payload>(options: EventType<Payload> = {}): EventType<Payload> {
  const { code, check } = validate.object(options, 'event options');
  if (code !== undefined) validate.integer(code, 'code', FIRST_CODE, LAST_CODE);
  if (check !== undefined) functionOf(check, 'check');
  return options;
}

/** The type of a model's rows, for {@link ModelDefinition.rows}. */
export function rowsOf<Row>(): RowType<Row> {
  return {};
}

/**
 * Defines a model.
 *
 * ```ts
 * const counters = defineModel({
 *   name: 'counters',
 *   rows: rowsOf<{ name: string; value: number }>(),
 *   events: { counted: event<{ name: string; by: number }>() },
 *   fold: {
 *     counted(rows, { name, by }) {
 *       rows.set(name, { name, value: (rows.get(name)?.value ?? 0) + by });
 *     },
 *   },
 * });
 * ```
 *
 * @throws InvalidArgumentError when the definition does not hold together.
 */
export function defineModel<Events extends object, Row, IndexName extends string = never>(
  definition: ModelDefinition<Events, Row, IndexName>,
): ModelClass<Events, Row, IndexName> {
  const shape = shapeOf(definition as unknown as ModelDefinition<object, Row, string>);
  type Opened = Model<Events, Row, IndexName>;
  const open = (
    redex: Redex,
    originHash: bigint | number,
    opts: AdapterOptions | null | undefined,
    snapshot?: CortexSnapshot,
  ): Promise<Opened> => {
    const manager = managerOf(redex);
    const origin = validate.u64OrInteger(originHash, 'originHash');
    const { persistent } = validate.optionsObject(opts ?? undefined, 'options');
    const onDisk = validate.boolean(persistent ?? false, 'persistent');
    return Model.open(shape, manager, origin, onDisk, snapshot);
  };
  return {
    name: shape.name,
    // Async, so that every failure is a rejection.
    open: async (redex, originHash, opts) => open(redex, originHash, opts),
    openFromSnapshot: async (redex, originHash, snapshot, opts) => {
      validate.object(snapshot, 'snapshot');
      validate.bytes(snapshot.stateBytes, 'snapshot.stateBytes');
      return open(redex, originHash, opts, snapshot);
    },
  };
}

function functionOf<F>(value: F, name: string): F {
  if (typeof value !== 'function') {
    throw validate.invalid(`${name} must be a function; got ${validate.describe(value)}`);
  }
  return value;
}

const MAX_NAME_BYTES = 200;
const NAME = /^[a-z0-9_.-]+(?:\/[a-z0-9_.-]+)*$/u;

/** The definition, checked, with all codes. */
function shapeOf<Row>(definition: ModelDefinition<object, Row, string>): ModelShape<Row> {
  validate.object(definition, 'definition');
  const name = validate.string(definition.name, 'name');
  const reserved = name.split('/').some((segment) => segment === '.' || segment === '..');
  if (!NAME.test(name) || reserved || name.length > MAX_NAME_BYTES) {
    throw validate.invalid(
      `name must be 1 to ${MAX_NAME_BYTES} of a-z, 0-9, "-", "_", "." and single "/" within; ` +
        `got ${validate.describe(name)}`,
    );
  }
  const events = validate.object(definition.events as Record<string, EventType<unknown>>, 'events');
  const folds = validate.object(definition.fold as ModelShape<Row>['folds'], 'fold');
  const codes = new Map<string, number>();
  const names = new Map<number, string>();
  let next = FIRST_CODE;
  for (const [kind, type] of Object.entries(events)) {
    functionOf(folds[kind], `fold.${kind}`);
    const code = event(type).code ?? next;
    if (code > LAST_CODE) throw validate.invalid(`events: no code is left for ${kind}`);
    const other = names.get(code);
    if (other !== undefined) {
      throw validate.invalid(`events: ${other} and ${kind} have the same code ${code}`);
    }
    codes.set(kind, code);
    names.set(code, kind);
    next = code + 1;
  }
  for (const kind of Object.keys(folds)) {
    if (!codes.has(kind)) throw validate.invalid(`fold.${kind} has no event of this name`);
  }
  const indexes: Record<string, IndexFunction<Row>> = definition.indexes ?? {};
  for (const [index, of] of Object.entries(validate.object(indexes, 'indexes'))) {
    functionOf(of, `indexes.${index}`);
  }
  return {
    name,
    checks: new Map(Object.entries(events).map(([kind, { check }]) => [kind, check])),
    codes,
    names,
    folds,
    indexes,
    stopOnError:
      validate.oneOf(definition.onFoldError ?? 'stop', 'onFoldError', ['stop', 'continue']) ===
      'stop',
    ...codecOf(name, definition.codec),
  };
}

function codecOf(
  name: string,
  codec: ModelCodec | undefined,
): Pick<ModelShape<unknown>, 'encode' | 'decode'> {
  if (codec === undefined) return { encode: encodeJson, decode: decodeJson };
  functionOf(validate.object(codec, 'codec').encode, 'codec.encode');
  functionOf(codec.decode, 'codec.decode');
  return {
    encode: (value) => {
      const bytes: unknown = codec.encode(value);
      if (isUint8Array(bytes)) return bytes;
      throw new CortexError(`cortex: ${name}: codec.encode must return a Uint8Array`);
    },
    decode: (bytes) => codec.decode(bytes),
  };
}
