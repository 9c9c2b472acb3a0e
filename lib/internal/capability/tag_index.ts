// The tags of one node, looked up by axis and key.

import { isAxis, parseTag, type TagKey } from './taxonomy';

interface Entry {
  present: boolean;
  values: string[];
}

const ABSENT: Readonly<Entry> = { present: false, values: [] };

/** Reads every tag once. Reserved and legacy tags, and empty texts, have no place in it. */
export class TagIndex {
  readonly #entries = new Map<string, Entry>();

  constructor(tags: readonly string[]) {
    for (const text of tags) {
      if (text === '') continue;
      const tag = parseTag(text);
      if (tag.kind !== 'axisPresent' && tag.kind !== 'axisValue') continue;
      const name = `${tag.axis}.${tag.key}`;
      let entry = this.#entries.get(name);
      if (entry === undefined) this.#entries.set(name, (entry = { present: false, values: [] }));
      if (tag.kind === 'axisPresent') entry.present = true;
      else entry.values.push(tag.value);
    }
  }

  #entry(key: TagKey): Readonly<Entry> {
    if (!isAxis(key.axis)) return ABSENT;
    return this.#entries.get(`${key.axis}.${key.key}`) ?? ABSENT;
  }

  /** There is a tag with this key, with a value or without. */
  has(key: TagKey): boolean {
    const { present, values } = this.#entry(key);
    return present || values.length > 0;
  }

  /** The values of the key, one per tag. */
  values(key: TagKey): readonly string[] {
    return this.#entry(key).values;
  }
}
