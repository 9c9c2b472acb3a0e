// Numbers in tags and metadata: the grammar that every implementation of the protocol shares.

// Each piece can match in one way only, so that hostile digits cost linear time.
const DECIMAL = /^[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/;
const WORD = /^([+-]?)(?:(inf|infinity)|nan)$/i;

/**
 * A decimal number, `inf`, `infinity` or `nan` with an optional sign; undefined for anything else,
 * such as blanks around it, `0x10` or `1_000`. Too large is infinite, too small is 0.
 */
export function parseFloat64(text: string): number | undefined {
  if (DECIMAL.test(text)) return Number(text);
  const word = WORD.exec(text);
  if (word === null) return undefined;
  if (word[2] === undefined) return NaN;
  return word[1] === '-' ? -Infinity : Infinity;
}
