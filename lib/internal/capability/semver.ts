// Versions in tags: up to three numbers, of which pre-release and build are cut off.

/** Major, minor, patch. */
export type Version = readonly [bigint, bigint, bigint];

const U64_MAX = 0xffff_ffff_ffff_ffffn;
/** Digits of the largest u64. */
const MAX_DIGITS = 20;
/** Unicode's White_Space, which is not quite what `trim` takes away. */
const SPACE = '\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';
const LEADING = new RegExp(`^[${SPACE}]+`, 'u');
const SPACE_UNIT = new RegExp(`[${SPACE}]`, 'u');

function trim(text: string): string {
  let end = text.length;
  while (end > 0 && SPACE_UNIT.test(text[end - 1] ?? '')) end--;
  return text.slice(0, end).replace(LEADING, '');
}

function parsePart(text: string): bigint | undefined {
  const digits = trim(text);
  if (!/^[0-9]+$/.test(digits)) return undefined;
  const significant = digits.replace(/^0+/, '');
  if (significant.length > MAX_DIGITS) return undefined;
  const value = BigInt(significant === '' ? '0' : significant);
  return value <= U64_MAX ? value : undefined;
}

/** `1`, `1.2`, `1.2.3`, `1.2.3-rc.1+build`; missing parts are 0. Undefined for anything else. */
export function parseVersion(text: string): Version | undefined {
  const cut = text.search(/[-+]/);
  const parts = (cut < 0 ? text : text.slice(0, cut)).split('.', 4);
  if (parts.length > 3) return undefined;
  const version: [bigint, bigint, bigint] = [0n, 0n, 0n];
  for (let index = 0; index < parts.length; index++) {
    const part = parsePart(parts[index] ?? '');
    if (part === undefined) return undefined;
    version[index] = part;
  }
  return version;
}

/** Negative, 0 or positive, as for sorting. */
export function compareVersions(a: Version, b: Version): number {
  for (let index = 0; index < 3; index++) {
    const left = a[index] ?? 0n;
    const right = b[index] ?? 0n;
    if (left !== right) return left < right ? -1 : 1;
  }
  return 0;
}

/** The caret rule: `version` is at least `wanted`, and of the same leftmost part that is not 0. */
export function isCompatible(version: Version, wanted: Version): boolean {
  if (compareVersions(version, wanted) < 0) return false;
  if (wanted[0] > 0n) return version[0] === wanted[0];
  if (wanted[1] > 0n) return version[0] === 0n && version[1] === wanted[1];
  return compareVersions(version, wanted) === 0;
}
