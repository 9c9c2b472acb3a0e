// Figures for people.

const BINARY_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

export function formatBytes(bytes) {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < BINARY_UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${BINARY_UNITS[unit]}`;
}

/** Decimal, as network people count. */
export function formatRate(bytesPerSecond) {
  const megabytes = bytesPerSecond / 1e6;
  return `${megabytes >= 100 ? megabytes.toFixed(0) : megabytes.toPrecision(3)} MB/s`;
}

export function formatCount(count) {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ' ');
}

export function formatMicroseconds(us) {
  return us < 1000 ? `${us.toFixed(0)} µs` : `${(us / 1000).toFixed(1)} ms`;
}

export function formatNodeId(id) {
  return `0x${id.toString(16).padStart(16, '0')}`;
}
