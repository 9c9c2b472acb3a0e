import { u64Argument } from '../internal/redex_config';

const U64_MAX = 0xffff_ffff_ffff_ffffn;

/** Names one write: who made it, and its sequence number in the log. */
export class WriteToken {
  readonly #originHash: bigint;
  readonly #seq: bigint;

  constructor(originHash: bigint, seq: bigint) {
    this.#originHash = u64Argument(originHash);
    this.#seq = u64Argument(seq);
  }

  /** The producer's identity. */
  get originHash(): bigint {
    return this.#originHash;
  }

  /** The sequence number that the write got. */
  get seq(): bigint {
    return this.#seq;
  }

  /**
   * The token that {@link WriteToken.toString} wrote.
   *
   * @throws Error when the text is none; the message starts with `WriteToken parse:`.
   */
  static fromString(text: string): WriteToken {
    const colon = typeof text === 'string' ? text.indexOf(':') : -1;
    if (colon < 0) throw new Error('WriteToken parse: expected `<origin_hex>:<seq>`');
    const origin = text.slice(0, colon);
    if (!/^[0-9a-fA-F]{16}$/u.test(origin)) {
      throw new Error('WriteToken parse: origin must be 16 lowercase hex chars');
    }
    const digits = text.slice(colon + 1);
    const seq = /^\d{1,32}$/u.test(digits) ? BigInt(digits) : undefined;
    if (seq === undefined || seq > U64_MAX) {
      throw new Error('WriteToken parse: seq must be a decimal u64');
    }
    return new WriteToken(BigInt(`0x${origin}`), seq);
  }

  /** `00000000abcdef01:5`: 16 digits of the origin, then the sequence number in decimal. */
  toString(): string {
    return `${this.#originHash.toString(16).padStart(16, '0')}:${this.#seq}`;
  }
}
