// `Symbol.asyncDispose` is younger than the oldest Node.js that we run on. To be loaded before the
// first class that has such a method.

const symbols: { asyncDispose?: symbol } = Symbol;
if (symbols.asyncDispose === undefined) {
  Object.defineProperty(Symbol, 'asyncDispose', { value: Symbol('Symbol.asyncDispose') });
}

export {};
