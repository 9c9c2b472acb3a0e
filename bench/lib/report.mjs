import { ALL_SCENARIO_IDS } from './scenario.mjs';

/**
 * @typedef {import('./results.mjs').Results} Results
 * @typedef {import('./results.mjs').ScenarioResult} ScenarioResult
 * @typedef {import('./results.mjs').PeerResult} PeerResult
 * @typedef {import('./results.mjs').MetricResult} MetricResult
 * @typedef {import('./results.mjs').BarResult} BarResult
 */

const MET = '✓';
const MISSED = '✗ missed';
const NOTHING = '–';

const HEADER = ['scenario', 'peer', 'median', 'spread', 'netmesh ÷ peer', 'bar', 'goal'];

/**
 * The table of everything measured.
 *
 * @param {Results} results
 */
export function fullTable(results) {
  const rows = scenariosOf(results).flatMap(([id, scenario]) => rowsOf(id, scenario));
  return markdownTable(HEADER, rows, [2, 3, 4]);
}

/**
 * The same for one scenario.
 *
 * @param {string} id
 * @param {ScenarioResult} scenario
 */
export function scenarioTable(id, scenario) {
  return markdownTable(HEADER, rowsOf(id, scenario), [2, 3, 4]);
}

/**
 * Peers against scenarios, medians only.
 *
 * @param {Results} results
 */
export function compactTable(results) {
  /** @type {[scenario: string, metric: string, heading: string][]} */
  const columns = [
    ['p3', 'eventsPerSecond', '100 B events/s'],
    ['p1', 'eventsPerSecond', '1 KiB events/s'],
    ['p1', 'megabytesPerSecond', '1 KiB MB/s'],
    ['p2', 'megabytesPerSecond', '8000 B MB/s'],
    ['p4', 'p50Us', 'round trip p50 µs'],
    ['p4', 'p99Us', 'round trip p99 µs'],
  ];
  /** @type {Map<string, string>} */
  const labels = new Map();
  for (const [id] of columns) {
    for (const peer of results.scenarios[id]?.peers ?? []) {
      if (peer.metrics.length > 0) labels.set(peer.id, peer.label);
    }
  }
  const rows = [...labels].map(([peerId, label]) => [
    label,
    ...columns.map(([id, key]) => {
      const peer = results.scenarios[id]?.peers.find((candidate) => candidate.id === peerId);
      const metric = peer?.metrics.find((candidate) => candidate.key === key);
      return metric === undefined ? NOTHING : figure(metric.median);
    }),
  ]);
  return markdownTable(
    ['peer', ...columns.map(([, , heading]) => heading)],
    rows,
    columns.map((_, index) => index + 1),
  );
}

/**
 * One line about where and how the figures were taken.
 *
 * @param {Results} results
 */
export function circumstances({ machine, scenarios }) {
  const all = Object.values(scenarios);
  const dates = all.map(({ date }) => date).sort();
  const runs = Math.min(...all.map((scenario) => scenario.runs));
  const busy = all.reduce((sum, { busyRounds }) => sum + busyRounds, 0);
  const disturbed =
    busy === 0 ? '' : ` Other processes were busy at the start of ${busy} of ${total(all)} rounds.`;
  const special = scenariosOf({ machine, scenarios })
    .filter(([, scenario]) => scenario.circumstances !== undefined)
    .map(([id, scenario]) => ` ${id.toUpperCase()}: ${scenario.circumstances}.`)
    .join('');
  const when = dates[0] === dates.at(-1) ? dates[0] : `${dates[0]} to ${dates.at(-1)}`;
  return (
    `${machine.cores} cores of ${machine.cpu}, ${machine.kernel}, Node ${machine.node}, ${when}; ` +
    `median of ${runs} ${runs === 1 ? 'run' : 'runs'}, peers in turn, two processes on loopback.${disturbed}${special}`
  );
}

/** @param {ScenarioResult[]} scenarios */
function total(scenarios) {
  return scenarios.reduce((sum, { runs }) => sum + runs, 0);
}

/**
 * @param {string} id
 * @param {ScenarioResult} scenario
 */
function rowsOf(id, scenario) {
  const name = `${id.toUpperCase()} ${scenario.title}`;
  const several = scenario.peers.some(
    ({ metrics }) => metrics.filter(({ shown }) => shown === 'row').length > 1,
  );
  return scenario.peers.flatMap((peer) => {
    if (peer.metrics.length === 0) {
      return [[name, peer.label, 'not measured', NOTHING, NOTHING, '', '']];
    }
    return peer.metrics
      .filter(({ shown }) => shown === 'row')
      .map((metric) => {
        // A bar against a peer is shown on that peer's row, a bar on the figure on netmesh's, and
        // one of a variant of netmesh on the variant's.
        const bar = scenario.bars.find(
          (candidate) =>
            candidate.metric === metric.key &&
            (candidate.subject ?? candidate.against ?? 'netmesh') === peer.id,
        );
        const other = scenario.peers.find(({ id }) => id === bar?.against);
        const whose = bar?.subject === undefined ? '' : (other?.label ?? '');
        const what = bar?.against === undefined ? metric.unit : whose;
        return [
          several ? `${name}: ${metric.label}` : name,
          peer.label,
          [metric, ...besides(peer, metric)].map(withUnit).join(', '),
          `${figure(metric.min)}–${figure(metric.max)}`,
          metric.ratio === undefined ? NOTHING : `${figure(metric.ratio)} ×`,
          bar?.bar === undefined ? '' : limit(bar, bar.bar, bar.met, what, MISSED),
          bar?.goal === undefined ? '' : limit(bar, bar.goal, bar.goalMet, what, ''),
        ];
      });
  });
}

/**
 * The metrics shown in the same cell as `metric`.
 *
 * @param {PeerResult} peer
 * @param {MetricResult} metric
 */
function besides({ metrics }, metric) {
  const following = metrics.slice(metrics.indexOf(metric) + 1);
  const end = following.findIndex(({ shown }) => shown !== 'beside');
  return end === -1 ? following : following.slice(0, end);
}

/** @param {MetricResult} metric */
function withUnit({ median, unit }) {
  return `${figure(median)} ${unit}`.trim();
}

/**
 * @param {BarResult} bar
 * @param {number} value
 * @param {boolean | null} met
 * @param {string} what  unit, or whose multiple it is
 * @param {string} otherwise  what follows when it is not met
 */
function limit(bar, value, met, what, otherwise) {
  const sign = bar.better === 'higher' ? '≥' : '≤';
  const measure = bar.against === undefined ? figure(value) : `${value} ×`;
  const mark = met === null ? '' : met ? MET : otherwise;
  return [sign, measure, what, mark].filter((part) => part !== '').join(' ');
}

/** @param {Results} results */
function scenariosOf(results) {
  return ALL_SCENARIO_IDS.flatMap((id) => {
    const scenario = results.scenarios[id];
    return scenario === undefined ? [] : [/** @type {const} */ ([id, scenario])];
  });
}

/**
 * Three significant digits, thousands apart.
 *
 * @param {number} value
 */
function figure(value) {
  const digits = Number(value.toPrecision(3));
  const [whole, fraction] = String(digits).split('.');
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ' ');
  return fraction === undefined ? grouped : `${grouped}.${fraction}`;
}

/**
 * A table laid out as the formatter of the repository lays it out, so that it stays as written.
 *
 * @param {string[]} header
 * @param {string[][]} rows
 * @param {number[]} rightAligned  columns
 */
function markdownTable(header, rows, rightAligned) {
  const widths = header.map((name, column) =>
    Math.max(3, name.length, ...rows.map((row) => row[column].length)),
  );
  const line = (/** @type {string[]} */ cells) =>
    `| ${cells
      .map((cell, column) =>
        rightAligned.includes(column) ? cell.padStart(widths[column]) : cell.padEnd(widths[column]),
      )
      .join(' | ')} |`;
  const rule = widths.map((width, column) =>
    rightAligned.includes(column) ? `${'-'.repeat(width - 1)}:` : '-'.repeat(width),
  );
  return [line(header), line(rule), ...rows.map(line)].join('\n');
}
