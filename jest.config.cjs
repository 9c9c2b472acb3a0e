/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  modulePathIgnorePatterns: ['<rootDir>/build/', '<rootDir>/dist/', '<rootDir>/bench/'],
  testPathIgnorePatterns: ['/node_modules/', '<rootDir>/test/fixtures/'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
        module: { type: 'commonjs' },
        sourceMaps: 'inline',
      },
    ],
  },
  // Tests read like a user's code, and run the sources.
  moduleNameMapper: {
    '^netmesh$': '<rootDir>/lib/index.ts',
    '^netmesh/core$': '<rootDir>/lib/core/index.ts',
    '^netmesh/(errors|mesh_rpc)$': '<rootDir>/lib/core/$1.ts',
    '^netmesh/(.+)$': '<rootDir>/lib/$1.ts',
    // Sources name their neighbours as the compiled files are called.
    '^(\\.{1,2}/.*)\\.js$': '$1',
  },
  testTimeout: 30_000,
  // Each test file has native threads of its own: more workers than this only slow each other down.
  maxWorkers: 2,
  workerIdleMemoryLimit: '1GB',
};
