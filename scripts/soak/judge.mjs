// Whether memory stayed flat: decided from samples of one process over time.

const MIB = 1024 * 1024;

/** Resident memory of a run shorter than this still follows the allocators' arenas, not what is held. */
const SHORT_SECONDS = 60;
const SHORT_RESIDENT_LIMIT = 64 * MIB;

/** Until then allocators, the compiler and caches are still filling. */
const WARMUP_SHARE = 0.4;

/**
 * How much each quantity may grow over the judged time, by its trend. Noise is what one peer more or less holds at
 * the moment of a sample; a leak grows with time, so that a longer run sees smaller ones.
 */
const LIMITS = [
  { key: 'rss', label: 'resident', limit: 16 * MIB },
  { key: 'heapUsed', label: 'JavaScript heap', limit: 4 * MIB },
  { key: 'external', label: 'outside the heap', limit: 8 * MIB },
  { key: 'arrayBuffers', label: 'array buffers', limit: 8 * MIB },
  { key: 'descriptors', label: 'descriptors', limit: 2 },
  { key: 'threads', label: 'threads', limit: 2 },
];

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** The slope of Theil and Sen: the median over all pairs, which single outliers do not move. */
function slope(points) {
  const slopes = [];
  for (let i = 0; i < points.length; i++) {
    for (let j = i + 1; j < points.length; j++) {
      slopes.push((points[j].y - points[i].y) / (points[j].x - points[i].x));
    }
  }
  return slopes.length === 0 ? 0 : median(slopes);
}

/**
 * Judges `samples`, each with `seconds` and the quantities above. Yields a verdict for each quantity.
 */
export function judge(samples) {
  const end = samples.at(-1).seconds;
  const judged = samples.filter(({ seconds }) => seconds >= end * WARMUP_SHARE);
  const span = end - judged[0].seconds;
  return LIMITS.map(({ key, label, limit: usual }) => {
    const limit = key === 'rss' && end < SHORT_SECONDS ? SHORT_RESIDENT_LIMIT : usual;
    const perSecond = slope(judged.map((sample) => ({ x: sample.seconds, y: sample[key] })));
    const growth = perSecond * span;
    return {
      key,
      label,
      median: median(judged.map((s) => s[key])),
      growth,
      limit,
      flat: growth <= limit,
    };
  });
}

/** A verdict as a line for people. */
export function describe({ key, label, median: middle, growth, limit, flat }) {
  const count = key === 'descriptors' || key === 'threads';
  const figure = (value) => (count ? value.toFixed(0) : `${(value / MIB).toFixed(1)} MiB`);
  const sign = growth < 0 ? '' : '+';
  return (
    `${flat ? 'ok  ' : 'FAIL'} ${label.padEnd(16)} ${figure(middle).padStart(10)}, ` +
    `trend ${sign}${figure(growth)} (at most ${figure(limit)})`
  );
}
