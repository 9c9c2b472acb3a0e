// Predicates as the value of an RPC header.

import { isUint8Array } from 'node:util/types';

import { describe, invalid } from '../validate';
import type { Predicate } from './predicate';
import { checkFinite, predicateFromWire, predicateToWire } from './predicate_wire';
import type { PredicateWire } from './predicate_wire';

/** The name of the header. */
export const RPC_WHERE_HEADER = 'net-where';

/** What RPC lets the value of one header be. */
const HEADER_CAP_BYTES = 4096;

/** A header of an RPC call. */
export interface RpcHeader {
  name: string;
  value: Uint8Array;
}

/**
 * The value of the header, as compact JSON. Its bytes are not canonical: other implementations write
 * some numbers differently.
 *
 * @throws InvalidArgumentError for what {@link predicateToWire} refuses, for thresholds that are not
 * finite, for texts with half a surrogate pair, and above 4096 bytes.
 */
export function predicateToRpcHeader(pred: Predicate): string {
  const wire = predicateToWire(pred);
  checkFinite(wire);
  checkTexts(wire);
  const value = JSON.stringify(wire);
  checkSize(value, 'predicate wire encoding');
  return value;
}

const LONE_SURROGATE = /\p{Surrogate}/u;

/** Refuses texts that are none in UTF-8; a reviver, as it sees every name and value. */
function checkedText(name: string, value: unknown): unknown {
  if (LONE_SURROGATE.test(name) || (typeof value === 'string' && LONE_SURROGATE.test(value))) {
    throw invalid('predicate has a text with half a surrogate pair, which is no Unicode text');
  }
  return value;
}

function checkTexts(wire: PredicateWire): void {
  for (const node of wire.nodes) {
    for (const [name, field] of Object.entries(node) as Array<[string, unknown]>) {
      if (name === 'key' && typeof field === 'object') {
        for (const [inner, text] of Object.entries(field as object)) checkedText(inner, text);
      } else checkedText(name, field);
    }
  }
}

function checkSize(value: string, what: string): void {
  const bytes = Buffer.byteLength(value);
  if (bytes > HEADER_CAP_BYTES) {
    throw invalid(`${what} ${bytes} bytes exceeds header cap ${HEADER_CAP_BYTES}`);
  }
}

/**
 * The predicate in the value of a header.
 *
 * @throws SyntaxError when it is no JSON, and InvalidArgumentError when it is above 4096 bytes or no
 * predicate.
 */
export function predicateFromRpcHeader(value: string): Predicate {
  if (typeof value !== 'string') {
    throw invalid(`predicateFromRpcHeader: value must be a string; got ${describe(value)}`);
  }
  checkSize(value, 'predicate wire payload');
  const wire = JSON.parse(value, checkedText) as PredicateWire;
  const predicate = predicateFromWire(wire);
  // A number such as 1e999 is valid JSON, and infinite.
  checkFinite(wire);
  return predicate;
}

/**
 * The whole header, for `requestHeaders` of a call.
 *
 * @throws InvalidArgumentError as {@link predicateToRpcHeader} does.
 */
export function whereHeader(pred: Predicate): { name: typeof RPC_WHERE_HEADER; value: Buffer } {
  return { name: RPC_WHERE_HEADER, value: Buffer.from(predicateToRpcHeader(pred)) };
}

/**
 * The predicate that a call's headers carry; undefined when they carry none, which stands for all rows.
 * The first header of the name counts. Takes headers as objects or as pairs.
 *
 * @throws what {@link predicateFromRpcHeader} throws: a service refuses such a call.
 */
export function predicateFromRpcHeaders(
  headers: ReadonlyArray<RpcHeader | readonly [name: string, value: Uint8Array]>,
): Predicate | undefined {
  const given: unknown = headers;
  if (!Array.isArray(given)) throw invalid(`headers must be an array; got ${describe(given)}`);
  for (const header of headers) {
    const [name, value] = nameAndValue(header);
    if (name !== RPC_WHERE_HEADER) continue;
    if (!isUint8Array(value)) {
      throw invalid(`${RPC_WHERE_HEADER}: value must be bytes; got ${describe(value)}`);
    }
    if (value.length > HEADER_CAP_BYTES) {
      throw invalid(
        `predicate wire payload ${value.length} bytes exceeds header cap ${HEADER_CAP_BYTES}`,
      );
    }
    return predicateFromRpcHeader(decodeUtf8(value));
  }
  return undefined;
}

function nameAndValue(
  header: RpcHeader | readonly [name: string, value: Uint8Array],
): readonly [name: unknown, value: unknown] {
  if (Array.isArray(header)) return [header[0], header[1]];
  if (typeof header === 'object' && header !== null && 'name' in header) {
    return [header.name, header.value];
  }
  throw invalid(`headers must hold { name, value } or [name, value]; got ${describe(header)}`);
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw invalid(`${RPC_WHERE_HEADER}: value is not UTF-8`);
  }
}
