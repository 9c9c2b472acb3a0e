// `Symbol.dispose` is younger than the oldest Node.js that we run on. To be loaded before the first
// class that has such a method.

const symbols: { dispose?: symbol } = Symbol;
if (symbols.dispose === undefined) {
  Object.defineProperty(Symbol, 'dispose', { value: Symbol('Symbol.dispose') });
}

export {};
