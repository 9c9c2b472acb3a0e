/**
 * @param {ArrayLike<number>} sorted  ascending, not empty
 * @param {number} quantile  0 to 1
 */
export function percentile(sorted, quantile) {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * quantile))];
}

/** @param {number[]} values  not empty */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * Rounds to four significant digits: more would be noise.
 *
 * @param {number} value
 */
export function rounded(value) {
  return Number(value.toPrecision(4));
}
