import eslint from '@eslint/js';
import tseslint from 'typescript-eslint';

const nodeGlobals = Object.fromEntries(
  [
    'AbortController AbortSignal Buffer URL TextDecoder TextEncoder clearImmediate clearInterval',
    'clearTimeout console performance process queueMicrotask setImmediate setInterval setTimeout',
    'structuredClone',
  ]
    .join(' ')
    .split(' ')
    .map((name) => [name, 'readonly']),
);

export default tseslint.config(
  {
    ignores: [
      'build/',
      'dist/',
      'prebuilds/',
      'coverage/',
      '**/node_modules/',
      'test/fixtures/',
      'bench/results/',
    ],
  },
  eslint.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: {
      parserOptions: { project: './tsconfig.test.json', tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      // Numbers and ids belong into messages as they are.
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      // `T[]` and `Array<A | B>`, whichever reads better.
      '@typescript-eslint/array-type': ['error', { default: 'array-simple' }],
      // A type alias may be the clearer name for a shape.
      '@typescript-eslint/consistent-type-definitions': 'off',
      // `typeof import('…')` is the only way to name the type of a module.
      '@typescript-eslint/consistent-type-imports': ['error', { disallowTypeAnnotations: false }],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_', caughtErrorsIgnorePattern: '^_' },
      ],
      // Callers write JavaScript, too: what the types rule out is checked all the same.
      '@typescript-eslint/no-unnecessary-condition': 'off',
      // It asks for `!`, which another rule refuses.
      '@typescript-eslint/non-nullable-type-assertion-style': 'off',
      // An AbortSignal's reason is passed on as it is, and may be anything.
      '@typescript-eslint/prefer-promise-reject-errors': [
        'error',
        { allowThrowingAny: true, allowThrowingUnknown: true },
      ],
      '@typescript-eslint/only-throw-error': [
        'error',
        { allowThrowingAny: true, allowThrowingUnknown: true },
      ],
    },
  },
  {
    files: ['test/**/*.ts'],
    rules: {
      // A test may assert what it has set up, and may call an API in the wrong way on purpose.
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/no-explicit-any': 'off',
      '@typescript-eslint/require-await': 'off',
    },
  },
  {
    files: ['**/*.mjs', '**/*.cjs', '**/*.js'],
    languageOptions: {
      globals: { ...nodeGlobals, module: 'writable', require: 'readonly', __dirname: 'readonly' },
    },
  },
);
