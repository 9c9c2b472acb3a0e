import { installedSize, installPackage, loadTimeMs, packageMissing } from '../lib/install.mjs';

/** @type {import('../lib/scenario.mjs').Scenario} */
export default {
  id: 'p14',
  title: 'the installed package',
  peers: ['netmesh'],
  metrics: [
    { key: 'loadMs', label: 'cold `require`', unit: 'ms', better: 'lower' },
    { key: 'totalMegabytes', label: 'installed, with dependencies', unit: 'MB', better: 'lower' },
    { key: 'packageMegabytes', label: 'installed, itself', unit: 'MB', better: 'lower' },
  ],
  bars: [
    { metric: 'loadMs', bar: 40, goal: 20 },
    { metric: 'totalMegabytes', bar: 8, goal: 5 },
  ],
  async begin() {
    const missing = packageMissing();
    if (missing !== null) throw new Error(missing);
    const { folder, remove } = await installPackage();
    const { packageBytes, totalBytes } = await installedSize(folder);
    return {
      async measure() {
        return {
          loadMs: loadTimeMs(folder),
          totalMegabytes: totalBytes / 1e6,
          packageMegabytes: packageBytes / 1e6,
        };
      },
      end: remove,
    };
  },
};
