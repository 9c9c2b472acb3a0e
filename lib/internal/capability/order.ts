// One order of strings for every language: that of their UTF-8 bytes.

/** Moves surrogates above the rest of the plane, where the code points that they stand for belong. */
function rank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}

/**
 * Compares by code point, which is the order of UTF-8 bytes. It differs from `Array.prototype.sort`
 * only between characters beyond U+FFFF and those from U+E000 to U+FFFF.
 */
export function byCodePoint(a: string, b: string): number {
  const shared = Math.min(a.length, b.length);
  for (let index = 0; index < shared; index++) {
    const left = a.charCodeAt(index);
    const right = b.charCodeAt(index);
    if (left !== right) return rank(left) - rank(right);
  }
  return a.length - b.length;
}
