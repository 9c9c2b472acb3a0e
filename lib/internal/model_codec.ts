// Events and rows of users' models as bytes: JSON, with bigints as `{"$bigint":"123"}`.

const BIGINT_KEY = '$bigint';

/** Values that JSON has no word for fail rather than vanish. */
export function encodeJson(value: unknown): Buffer {
  const markers = new WeakSet();
  function replace(this: object, key: string, each: unknown): unknown {
    if (typeof each === 'bigint') {
      const marker = { [BIGINT_KEY]: each.toString() };
      markers.add(marker);
      return marker;
    }
    if (key === BIGINT_KEY && !markers.has(this)) {
      throw new TypeError(`an object must not have the key ${BIGINT_KEY}`);
    }
    if (typeof each === 'number' && !Number.isFinite(each)) {
      throw new TypeError(`a number must be finite, ${key || 'it'} is ${each}`);
    }
    if (typeof each === 'function' || typeof each === 'symbol') {
      throw new TypeError(`a ${typeof each} cannot be stored`);
    }
    return each;
  }
  const text = JSON.stringify(value, replace) as string | undefined;
  if (text === undefined) throw new TypeError(`a value of type ${typeof value} cannot be stored`);
  return Buffer.from(text);
}

/** @throws SyntaxError for what is no JSON. */
export function decodeJson(bytes: Buffer): unknown {
  const text = bytes.toString('utf8');
  // Reviving visits everything, and most values have no bigints in them.
  return text.includes(BIGINT_KEY)
    ? JSON.parse(text, (_key, each: unknown) => bigintOf(each) ?? each)
    : JSON.parse(text);
}

function bigintOf(value: unknown): bigint | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const digits: unknown = (value as Record<string, unknown>)[BIGINT_KEY];
  const marked = typeof digits === 'string' && /^-?\d{1,4096}$/u.test(digits);
  return marked && Object.keys(value).length === 1 ? BigInt(digits) : undefined;
}
